"""Inside one worker: read the order, load the applications, serve, drain, leave."""
