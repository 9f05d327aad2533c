"""A host in a temporary folder: releases, a state file, and a supervisor that runs as it does in production."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kirsch.errors import ControlError
from kirsch.link.state import State, state_to_json, write_whole
from kirsch.spec import App, HostPaths, Pool, Stack, Vhost, Workers
from kirsch.spec.pool import Rolling, Scaling
from kirsch.spec.vhost import Listen
from kirsch.supervise.client import ControlClient

SHOP = """
import os, threading, time
import cherrypy

class Root:
    @cherrypy.expose
    def index(self):
        return f"{os.environ['KIRSCH_WORKER']} {os.environ['KIRSCH_RELEASE']} {os.getpid()}"

    @cherrypy.expose
    def echo(self, value=""):
        cherrypy.response.headers["X-Worker"] = f"{os.environ['KIRSCH_WORKER']} {os.environ['KIRSCH_RELEASE']}"
        return "echo " + value

    @cherrypy.expose
    def sleep(self, s="1"):
        time.sleep(float(s))
        return "slept"

    @cherrypy.expose
    def wait(self, file):
        deadline = time.monotonic() + 60
        while not os.path.exists(file) and time.monotonic() < deadline:
            time.sleep(0.01)
        return "waited"

    @cherrypy.expose
    def die(self):
        os._exit(41)

    @cherrypy.expose
    def eat(self, mib="100"):
        Root.meal = bytearray(int(mib) * 2**20)
        return "eaten"
"""


class Host:
    """One machine with one stack."""

    def __init__(self) -> None:
        # short: a Unix socket's path has 107 octets, and pytest's folders are long
        self.folder = tempfile.mkdtemp(prefix="ks", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.paths = HostPaths(root=f"{self.folder}/root", run=f"{self.folder}/run")
        os.makedirs(self.paths.log_dir)
        os.makedirs(self.paths.run)
        self.port = free_port()
        self.admin_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.control = ControlClient(self.paths.control_socket, timeout_s=60)

    def release(self, name: str, source: str = SHOP) -> str:
        """Write a release with one module, ``shop``."""
        folder = f"{self.paths.releases}/{name}"
        os.makedirs(folder, exist_ok=True)
        Path(folder, "shop.py").write_text(source)
        return folder

    def state(self, release: str = "r1", *, workers: int = 2, slots: int | None = None, **pool: Any) -> State:
        """Describe a stack of one app in one pool."""
        folder = self.release(release) if not os.path.isdir(f"{self.paths.releases}/{release}") else ""
        folder = folder or f"{self.paths.releases}/{release}"
        spec = Pool(
            name="web",
            workers=Workers(min=workers, max=slots or workers),
            **{"drain_s": 10.0, "roll": Rolling(bake_s=0), "scale": Scaling(auto=False)} | pool,
        )
        listen = Listen(address="127.0.0.1", port=self.port)
        stack = Stack(
            name="demo",
            apps={"shop": App(name="shop", entry="shop:Root")},
            pools={"web": spec},
            vhosts={"main": Vhost(name="main", listen=(listen,), apps=("shop",))},
            directory=folder,
        )
        admin = f"127.0.0.1:{self.admin_port}"
        return State(stack=stack, release=release, release_dir=folder, python=sys.executable, admin=admin)

    def write(self, state: State) -> None:
        """Put the state where the supervisor reads it."""
        write_whole(self.paths.state_file, state_to_json(state))

    def start(self, state: State | None = None, *, nginx: bool = False) -> subprocess.Popen[bytes]:
        """Start a supervisor."""
        if state is not None:
            self.write(state)
        argv = [sys.executable, "-m", "kirsch.supervise", "--root", self.paths.root, "--run", self.paths.run]
        with open(f"{self.paths.log_dir}/supervisor.log", "ab") as log:
            self.process = subprocess.Popen(
                argv + ([] if nginx else ["--no-nginx"]), stdout=log, stderr=log, start_new_session=True
            )
        return self.process

    def status(self) -> dict[str, Any]:
        """What the supervisor says; empty while there is none."""
        try:
            found: dict[str, Any] = self.control.call("status")
        except ControlError as error:
            if error.kind != "unreachable":
                raise
            return {}
        return found

    def workers(self) -> list[dict[str, Any]]:
        """The workers of the pool."""
        return [worker for pool in self.status().get("pools", ()) for worker in pool["workers"]]

    def wait_for(self, condition: Callable[[dict[str, Any]], object], timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait until the status fulfils *condition*."""
        deadline = time.monotonic() + timeout_s
        while True:
            status = self.status()
            if status and condition(status):
                return status
            if time.monotonic() > deadline:
                log = Path(self.paths.log_dir, "supervisor.log").read_text()[-3000:]
                raise TimeoutError(f"{status}\n{log}")
            time.sleep(0.03)

    def wait_until_ready(self, count: int = 2, *, nginx: bool = False) -> dict[str, Any]:
        """Wait until so many workers serve, and nobody boots or drains."""

        def is_settled(status: dict[str, Any]) -> bool:
            states = [worker["state"] for pool in status["pools"] for worker in pool["workers"]]
            return states == ["ready"] * count and bool(not nginx or (status["nginx"] or {}).get("pid"))

        return self.wait_for(is_settled)

    def stop(self) -> int:
        """Stop everything; return the exit status of the supervisor."""
        assert self.process is not None
        self.control.call("stop", drain_s=3)
        return self.process.wait(30)

    def slot_targets(self) -> dict[str, str]:
        """Where the links point."""
        # a link is made beside its name, and renamed: gone before it is read
        found = [entry for entry in os.scandir(self.paths.slots) if not entry.name.endswith(".new")]
        return {entry.name: os.readlink(entry.path) for entry in found}

    def get(self, path: str, slot: int = 1, timeout_s: float = 10.0) -> tuple[int, bytes]:
        """Ask a worker through its slot."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(timeout_s)
            line.connect(self.paths.slot_socket("web", slot))
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while piece := line.recv(65536):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body

    def leftovers(self) -> list[int]:
        """Processes of this host that are still alive."""
        return leftovers(self.folder)

    def clean_up(self) -> None:
        """End whatever the test left, and remove the folder."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.control.call("stop", drain_s=0)
            except ControlError:
                self.process.kill()
            self.process.wait(30)
        for pid in leftovers(self.folder):
            os.kill(pid, 9)
        shutil.rmtree(self.folder, ignore_errors=True)


def leftovers(folder: str) -> list[int]:
    """Processes that have *folder* in their command line."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes()
                is_zombie = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if folder.encode() in line and not is_zombie:
                found.append(int(process.name))
    return found


def free_port() -> int:
    """A port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def host() -> Iterator[Host]:
    """A host that is cleaned up."""
    made = Host()
    yield made
    made.clean_up()


@pytest.fixture(scope="session")
def loadgen() -> ModuleType:
    """The load generator of the integration tests."""
    path = Path(__file__).parents[2] / "integration" / "loadgen.py"
    spec = importlib.util.spec_from_file_location("kirsch_loadgen", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
