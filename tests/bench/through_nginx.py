"""Through nginx: two of our workers against a backend in C (nginx with a fixed answer), behind the same nginx.

nginx and ``wrk`` are pinned to the first core, the backends to the second: so it shows whether our workers keep a whole
nginx busy, which is what a machine with more cores would ask of them. ``make bench`` runs it last.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from contenders import HERE
from measure import Score, cpu_s, read_wrk

NAMES = ("backend in C", "two kirsch workers")
_MAIN = """
daemon off; master_process off; pid {folder}/{name}.pid; error_log {folder}/{name}.err;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
"""
_BACKEND = (
    _MAIN
    + """
  server {{
    listen unix:{folder}/c.0.sock; listen unix:{folder}/c.1.sock;
    default_type text/html;
    location / {{ return 200 "Hello, world!"; }}
  }}
}}
"""
)
_FRONT = (
    _MAIN
    + """
  upstream c {{ server unix:{folder}/c.0.sock; server unix:{folder}/c.1.sock; keepalive 64; {long} }}
  upstream k {{ server unix:{folder}/k.0.sock; server unix:{folder}/k.1.sock; keepalive 64; {long} }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Request-ID $request_id;
  server {{ listen 127.0.0.1:{c}; location / {{ proxy_pass http://c; }} }}
  server {{ listen 127.0.0.1:{k}; location / {{ proxy_pass http://k; }} }}
}}
"""
)
_KEPT_LONG = "keepalive_requests 1000000;"
_WORKER = """
import sys
sys.path.insert(0, sys.argv[2])
import cherry_app, cherrypy
cherrypy.config.update({**cherry_app.QUIET, "server.socket_file": sys.argv[1], "server.thread_pool": 10})
cherrypy.quickstart(cherry_app.Root(), "/")
"""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody has."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


@contextmanager
def running(core: int, command: list[str], awaited: list[Path | int]) -> Iterator[psutil.Process]:
    """Run *command* on *core* until the end of the block; it is there when all it is awaited at takes connections."""
    process = psutil.Popen(["taskset", "-c", str(core), *command], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        for place in awaited:
            while not connects(place):
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"through_nginx: {command[0]} does not serve at {place}")
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def connects(place: Path | int) -> bool:
    """True if somebody listens there."""
    family = socket.AF_UNIX if isinstance(place, Path) else socket.AF_INET
    with socket.socket(family) as probe:
        return probe.connect_ex(str(place) if isinstance(place, Path) else ("127.0.0.1", place)) == 0


def main() -> None:
    """Print requests/s of both, and the ratio, which the plan wants at 0.85."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    given = parser.parse_args()
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if nginx is None or shutil.which("wrk") is None:
        raise SystemExit("through_nginx: nginx or wrk is missing; install it (Debian: apt-get install nginx wrk)")
    with tempfile.TemporaryDirectory(prefix="kb") as name, ExitStack() as stack:
        folder = Path(name)
        c, k = free_ports(2)
        for file, text in (("back", _BACKEND), ("front", _FRONT)):
            (folder / file).write_text(text.format(folder=folder, name=file, c=c, k=k, long=_KEPT_LONG))
        backend = [nginx, "-p", name, "-c", str(folder / "back")]
        behind = {c: [stack.enter_context(running(1, backend, [folder / "c.0.sock", folder / "c.1.sock"]))], k: []}
        for number in (0, 1):
            place = folder / f"k.{number}.sock"
            worker = [sys.executable, "-c", _WORKER, str(place), str(HERE)]
            behind[k].append(stack.enter_context(running(1, worker, [place])))
        front = stack.enter_context(running(0, [nginx, "-p", name, "-c", str(folder / "front")], [c, k]))
        scores = {c: Score(), k: Score()}
        front_us: dict[int, list[float]] = {c: [], k: []}
        for turn in range(given.rounds + 1):
            for port, score in scores.items():
                wrk = ["taskset", "-c", "0", "wrk", "-t1", "-c32", f"-d{given.seconds:g}s", "--latency"]
                before = cpu_s(front), sum(map(cpu_s, behind[port]))
                text = subprocess.run([*wrk, f"http://127.0.0.1:{port}/"], check=True, capture_output=True, text=True)
                if turn:
                    count = read_wrk(text.stdout, score)
                    front_us[port].append((cpu_s(front) - before[0]) / count * 1e6)
                    score.cpu_us.append((sum(map(cpu_s, behind[port])) - before[1]) / count * 1e6)
    rates = [statistics.median(score.rates) for score in scores.values()]
    for title, rate, (port, score) in zip(NAMES, rates, scores.items(), strict=True):
        costs = [statistics.median(costs) for costs in (score.p99_ms, front_us[port], score.cpu_us)]
        print(f"through nginx, {title}: {rate:,.0f} requests/s, p99 {costs[0]:.2f} ms,", end=" ")
        print(f"processor time of a request: nginx {costs[1]:.1f} us, behind it {costs[2]:.1f} us")
    print(f"ratio {rates[1] / rates[0]:.2f} (wanted: 0.85), failed: {sum(score.failed for score in scores.values())}")
    sys.exit(rates[1] < 0.85 * rates[0] or any(score.failed for score in scores.values()))


if __name__ == "__main__":
    main()
