"""What metrics and the scoreboard cost a request: "Hello" on the native server, with and without them, in pairs.

    python tests/bench/metrics_cost.py --rounds 20 --seconds 2

Both servers run at once, each in a process, and are asked in turns by one client without pause, so that whatever else
the machine does meets both. The budget is 5 % of the throughput; exit status 1 when it is missed.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUDGET = 0.05
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: h\r\nX-Request-ID: 0123456789abcdef0123456789abcdef\r\nX-Request-Start: t=1.000\r\n\r\n"
)

SERVER = """
import os, sys, threading
import cherrypy
from kirsch.link.order import Order
from kirsch.scoreboard import Scoreboard
from kirsch.worker.engines import site
from kirsch.worker.engines.native import WorkerServer
from kirsch.worker.voice import Voice
from cherrypy._cpwsgi_server import CPWSGIServer

class Root:
    @cherrypy.expose
    def index(self):
        return "Hello, world!"

folder, is_counted, path = sys.argv[1], sys.argv[2] == "counted", sys.argv[3]
board = folder + "/board"
Scoreboard.create(board, 1, 16)
order = Order(stack="s", pool="web", seat=1, record=1, generation=1, release="r", release_dir=folder,
              shared_dir=folder, socket_dir=folder, scoreboard=board, apps=())
site.make_production_like()
site.settle_config(order, {"server.socket_file": path})
cherrypy.tree.mount(Root(), "")
made = WorkerServer(cherrypy.server, Voice(order)) if is_counted else CPWSGIServer(cherrypy.server)
cherrypy.server.httpserver = made
cherrypy.server.subscribe()
site.start_bus()
print("up", flush=True)
sys.stdin.readline()
os._exit(0)
"""


class Side:
    """One of the two: its server, and a connection to it."""

    def __init__(self, folder: str, name: str) -> None:
        self.name = name
        self.rates: list[float] = []
        own = Path(folder, name)
        own.mkdir()
        path = f"{own}/s.sock"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(own), name, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"up\n":
            raise SystemExit(f"the server {name} did not come up")
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(path)
        self.length = len(self.ask())

    def ask(self) -> bytes:
        """Return one whole answer; all are of one length."""
        self.line.sendall(REQUEST)
        data = b""
        while not data.endswith(b"Hello, world!"):
            data += self.line.recv(65536)
        return data

    def run(self, seconds: float) -> float:
        """Return requests a second of the server's processor time, which is what others cannot take away."""
        before, done = self._cpu(), 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for _ in range(200):
                self.line.sendall(REQUEST)
                left = self.length
                while left > 0:
                    left -= len(self.line.recv(65536))
            done += 200
        return done / (self._cpu() - before)

    def _cpu(self) -> float:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure; print each pair and the verdict."""
    parser = argparse.ArgumentParser(description="What metrics and scoreboard cost.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kmc") as folder:
        bare, counted = Side(folder, "bare"), Side(folder, "counted")
        shares = []
        for number in range(options.rounds):
            sides = (bare, counted) if number % 2 else (counted, bare)
            for side in sides:
                side.rates.append(side.run(options.seconds))
            shares.append(1 - counted.rates[-1] / bare.rates[-1])
            print(f"{bare.rates[-1]:9.0f} {counted.rates[-1]:9.0f} {shares[-1]:7.2%}", flush=True)
        for side in (bare, counted):
            side.process.kill()
            side.process.wait()
    cost = statistics.median(shares)
    print(f"median {cost:.2%} of the requests a second of one processor; the budget is {BUDGET:.0%}")
    return int(cost > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
