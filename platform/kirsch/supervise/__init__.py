"""The parent on a host: slots, workers, rolls, deaths, the holding server, the host's nginx, the control socket."""
