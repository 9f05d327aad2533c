"""Where everything lies on a host: the only place that joins these paths.

ROOT keeps (releases, shared data, logs); RUN is short, private and can be made anew (sockets, pids, nginx).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from kirsch.errors import Problem, SpecError

SOCKET_PATH_LIMIT_BYTES = 107
"""``sun_path`` has 108 octets, one of which is the closing NUL."""

# the longest socket name that stands under RUN: pool names have up to 32 letters, seats three digits, pids seven
_LONGEST_SOCKET = "/workers/" + "p" * 32 + ".256.4194304.sock"


@dataclass(frozen=True, slots=True)
class HostPaths:
    """The folders and files of one stack on one host."""

    root: str
    run: str

    @property
    def releases(self) -> str:
        """``ROOT/releases``: one folder a release."""
        return f"{self.root}/releases"

    @property
    def current(self) -> str:
        """``ROOT/current``: symbolic link to the release that new workers take."""
        return f"{self.root}/current"

    @property
    def shared(self) -> str:
        """``ROOT/shared``: what outlives releases."""
        return f"{self.root}/shared"

    @property
    def log_dir(self) -> str:
        """``ROOT/shared/log``: logs of nginx, supervisor and workers."""
        return f"{self.root}/shared/log"

    @property
    def history(self) -> str:
        """``ROOT/history.jsonl``: one line a deploy."""
        return f"{self.root}/history.jsonl"

    @property
    def envs(self) -> str:
        """``ROOT/envs``: one virtual environment for each set of requirements."""
        return f"{self.root}/envs"

    @property
    def lock(self) -> str:
        """``ROOT/deploy.lock``: the lease of the deploy that is under way."""
        return f"{self.root}/deploy.lock"

    @property
    def run_link(self) -> str:
        """``ROOT/run``: symbolic link to RUN, so that another login or a cron job finds it."""
        return f"{self.root}/run"

    @property
    def slots(self) -> str:
        """``RUN/slots``: the socket names that nginx knows."""
        return f"{self.run}/slots"

    @property
    def workers(self) -> str:
        """``RUN/workers``: the workers' own sockets and orders."""
        return f"{self.run}/workers"

    @property
    def nginx(self) -> str:
        """``RUN/nginx``: prefix of the host's nginx (generations, pid, temporary files)."""
        return f"{self.run}/nginx"

    @property
    def nginx_generations(self) -> str:
        """``RUN/nginx/generations``: one folder a rendering."""
        return f"{self.nginx}/generations"

    @property
    def nginx_current(self) -> str:
        """``RUN/nginx/current``: symbolic link to the rendering that nginx reads."""
        return f"{self.nginx}/current"

    @property
    def nginx_pid(self) -> str:
        """``RUN/nginx/nginx.pid``."""
        return f"{self.nginx}/nginx.pid"

    @property
    def nginx_marker(self) -> str:
        """``RUN/nginx/marker.sock``: where nginx says which generation serves."""
        return f"{self.nginx}/marker.sock"

    @property
    def nginx_error_log(self) -> str:
        """``ROOT/shared/log/nginx-error.log``."""
        return f"{self.log_dir}/nginx-error.log"

    @property
    def nginx_access_log(self) -> str:
        """``ROOT/shared/log/nginx-access.log``: one JSON object a line."""
        return f"{self.log_dir}/nginx-access.log"

    @property
    def control_socket(self) -> str:
        """``RUN/control.sock``: the supervisor's ear (mode 0600)."""
        return f"{self.run}/control.sock"

    @property
    def traffic_socket(self) -> str:
        """``RUN/traffic.sock``: where nginx says what it has answered, one datagram a request."""
        return f"{self.run}/traffic.sock"

    @property
    def events_log(self) -> str:
        """``ROOT/shared/log/events.jsonl``: what the supervisor did and saw, one JSON object a line."""
        return f"{self.log_dir}/events.jsonl"

    @property
    def bus_socket(self) -> str:
        """``RUN/bus.sock``: where workers join the hub."""
        return f"{self.run}/bus.sock"

    @property
    def bus_file(self) -> str:
        """``ROOT/bus.json``: tokens, leases and settings, which outlive the supervisor and the machine's next start."""
        return f"{self.root}/bus.json"

    @property
    def admin_socket(self) -> str:
        """``RUN/admin.sock``: status page and metrics over a Unix socket."""
        return f"{self.run}/admin.sock"

    @property
    def supervisor_pid(self) -> str:
        """``RUN/supervisor.pid``."""
        return f"{self.run}/supervisor.pid"

    @property
    def state_file(self) -> str:
        """``RUN/stack.json``: resolved stack, listen addresses and release."""
        return f"{self.run}/stack.json"

    def slot_socket(self, pool: str, slot: int) -> str:
        """The name under which nginx knows slot *slot* (from 1) of *pool*."""
        return f"{self.slots}/{pool}.{slot}.sock"

    def worker_socket(self, pool: str, seat: int, pid: int) -> str:
        """The socket that the worker *pid* in seat *seat* of *pool* binds."""
        return f"{self.workers}/{pool}.{seat}.{pid}.sock"

    def holding_socket(self, pool: str) -> str:
        """Where the supervisor itself listens for *pool* while no worker does: seat 0, which no worker has."""
        return self.worker_socket(pool, 0, 0)

    def app_metrics(self, pool: str) -> str:
        """``RUN/metrics/POOL``: where ``prometheus_client`` keeps what the workers of *pool* count."""
        return f"{self.run}/metrics/{pool}"

    def scoreboard(self, pool: str) -> str:
        """The file that the workers of *pool* and the supervisor share."""
        return f"{self.run}/{pool}.board"


def run_name(root: str, stack: str) -> str:
    """The last part of a run directory's path: ``shop-1f0c9a2b``."""
    return f"{stack[:12]}-{hashlib.sha256(root.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def run_dir_for(root: str, stack: str, environ: Mapping[str, str], uid: int) -> str:
    """A short run directory for *stack* deployed at the absolute path *root*.

    ``/run/kirsch/shop-1f0c9a2b`` for root; under ``XDG_RUNTIME_DIR`` when it is set; else ``/tmp/kirsch-1000/…``.
    The hash is the root's, so that two roots on one machine never meet; the name is cut, so that any name fits.

    Raises:
        SpecError: a worker's socket there would not fit into the 107 octets that the kernel gives a socket's path.
    """
    name = run_name(root, stack)
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if uid == 0:
        base = "/run/kirsch"
    elif runtime.startswith("/"):
        base = f"{runtime.rstrip('/')}/kirsch"
    else:
        base = f"/tmp/kirsch-{uid}"
    run = f"{base}/{name}"
    longest = len((run + _LONGEST_SOCKET).encode("utf-8", "surrogateescape"))
    if longest > SOCKET_PATH_LIMIT_BYTES:
        raise SpecError(
            [
                Problem(
                    file="",
                    key="run directory",
                    given=f'"{run}"',
                    message=f'"{run}" is too long: a socket in it could take {longest} octets',
                    allowed=f"{SOCKET_PATH_LIMIT_BYTES} octets; set XDG_RUNTIME_DIR to a shorter folder",
                )
            ]
        )
    return run
