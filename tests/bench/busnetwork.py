"""Three machines on one: network namespaces that meet at a bridge in a fourth, and a Redis in the first.

Nothing of the host's own network is touched, and everything is gone afterwards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from types import TracebackType

PORT = 6379
PROGRAMS = {"ip": "iproute2", "redis-server": "redis-server"}


class Unavailable(Exception):
    """It cannot be had on this machine; the text says what is missing."""


class Network:
    """So many hosts, and a Redis that all of them reach."""

    def __init__(self, hosts: int) -> None:
        self.switch = f"kns-bus-{os.getpid()}-switch"
        self.names = [f"kns-bus-{os.getpid()}-{number}" for number in range(hosts)]
        self.url = f"redis://10.77.0.1:{PORT}/0"
        self._made: list[str] = []
        self._folder = ""
        self._redis: subprocess.Popen[str] | None = None

    def inside(self, number: int) -> list[str]:
        """Return the words before a command that run it on a host."""
        return ["ip", "netns", "exec", self.names[number]]

    def __enter__(self) -> Network:
        missing = [f"{name} (package {package})" for name, package in PROGRAMS.items() if shutil.which(name) is None]
        if os.geteuid() != 0:
            missing.append("root, who may make network namespaces")
        if missing:
            raise Unavailable(f"it needs {', '.join(missing)}")
        try:
            self._wire()
            self._start_redis()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take everything away; pairs of devices and the bridge go with their namespaces."""
        if self._redis is not None:
            self._redis.kill()
            self._redis.communicate()
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False)
        if self._folder:
            shutil.rmtree(self._folder)

    def _wire(self) -> None:
        for name in (self.switch, *self.names):
            _ip("netns", "add", name)
            self._made.append(name)
        _ip("-n", self.switch, "link", "add", "bridge0", "type", "bridge")
        _ip("-n", self.switch, "link", "set", "bridge0", "up")
        for number, name in enumerate(self.names):
            port = f"port{number}"
            _ip("-n", self.switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", self.switch, "link", "set", port, "master", "bridge0", "up")
            _ip("-n", name, "addr", "add", f"10.77.0.{number + 1}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def _start_redis(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="kr", dir="/tmp")
        options = ["--port", str(PORT), "--bind", "10.77.0.1", "--protected-mode", "no", "--save", ""]
        self._redis = subprocess.Popen(
            [*self.inside(0), "redis-server", *options, "--dir", self._folder], stdout=subprocess.PIPE, text=True
        )
        assert self._redis.stdout is not None
        for line in self._redis.stdout:
            if "ready to accept connections" in line.lower():
                return
        raise Unavailable("redis-server did not start")


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"ip {' '.join(words)}: {done.stderr.strip()}")
