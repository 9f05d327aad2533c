"""The coordinator's end of an agent: asks for one thing at a time, and beats so that the agent knows of us."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kirsch.errors import DeployError, GateFailed, HostUnreachable, LockHeld
from kirsch.release.hosts.agent import HEARTBEAT_S
from kirsch.release.hosts.ssh import Ssh

LEAVE_TIMEOUT_S = 180.0
"""How long an agent may take to go back to the release of before: as long as its workers may take to boot."""

LAUNCH = """
import runpy, sys
sys.path += sys.argv[1].split(":")
runpy.run_module("kirsch.release.hosts.agent", run_name="__main__", alter_sys=True)
"""
"""Ours come after the standard library, which a package may shadow, and instead of what else the host has installed."""

Hear = Callable[[Mapping[str, Any]], None]


class Remote:
    """An agent on a host, started through *ssh* on *python* from the folder *code*; *hear* gets its events.

    *log* is where its standard error goes here.
    """

    def __init__(self, ssh: Ssh, python: str, code: str, hear: Hear, log: Path) -> None:
        self.name = ssh.name
        self.hear = hear
        self.log = log
        self.session = ssh.open([python, "-I", "-S", "-c", LAUNCH, code], log)
        self.mutex = threading.Lock()
        self.done = threading.Event()
        self.beating = threading.Thread(target=self._beat, name=f"kirsch-beat-{self.name}", daemon=True)
        self._read_hello()
        self.beating.start()

    def call(self, verb: str, /, **args: Any) -> Any:
        """Ask and return the result.

        Raises:
            HostUnreachable: the line broke; the agent takes its host back by itself.
            DeployError: what the agent answered, as what it was there where it matters here.
        """
        self._send(json.dumps({"verb": verb, "args": args}).encode() + b"\n")
        for line in self.session.stdout:
            message = json.loads(line)
            if "event" in message:
                self.hear(message["event"])
            elif "error" in message:
                raise self._error(message["error"])
            else:
                return message.get("result")
        raise self._lost()

    def close(self) -> None:
        """Hang up and wait until the agent has ended what it has to; True where it did."""
        self.done.set()
        with suppress(OSError), self.mutex:
            self.session.stdin.close()
        try:
            self.session.process.wait(LEAVE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.session.process.kill()
            self.session.process.wait()
        self.session.stdout.close()

    def _read_hello(self) -> None:
        first = self.session.stdout.readline()
        if b"hello" not in first:
            raise self._lost()

    def _send(self, data: bytes) -> None:
        try:
            with self.mutex:
                self.session.stdin.write(data)
                self.session.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._lost() from error

    def _beat(self) -> None:
        while not self.done.wait(HEARTBEAT_S):
            with suppress(HostUnreachable):
                self._send(b"\n")

    def _lost(self) -> HostUnreachable:
        said = self.log.read_text(errors="replace").strip() if self.log.exists() else ""
        return HostUnreachable("the agent or the connection to it is gone", host=self.name, output=said[-4000:])

    def _error(self, said: Mapping[str, Any]) -> DeployError:
        message, step, output = str(said["message"]), said.get("step"), str(said.get("output") or "")
        if said["kind"] == "LockHeld":
            return LockHeld(message, host=self.name, holder=said.get("holder"))
        return GateFailed(message, host=self.name, step=step, output=output, report=said.get("report"))
