"""One host over the system's OpenSSH client: one connection, which everything else goes through.

The user's configuration applies: keys, agents, jump hosts, known_hosts, names of hosts. Nobody is asked for anything
(`BatchMode`), since several hosts are spoken to at once.

The connection is a session of its own that lasts as long as its standard input is open. So it ends with this process
however that ends, and no master stays behind.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kirsch.errors import HostUnreachable
from kirsch.release.shell import Ran
from kirsch.spec import Host

CONNECT_TIMEOUT_S = 10
ALIVE_EVERY_S = 5
ALIVE_COUNT = 3
"""A host that is silent for 15 s is lost."""

READY = "kirsch-connected"
CURES = (
    ("Host key verification failed", "known_hosts lacks its key or has another: connect once with ssh, compare"),
    ("Permission denied", "no key of yours is let in there: ssh-copy-id, an agent, or IdentityFile in ~/.ssh/config"),
    ("Could not resolve", "the name is not known: see host.NAME.address in the inventory"),
    ("No route to host", "nobody has the address, or a network between is down"),
    ("timed out", "nobody answers: the address, a firewall, or the host is down"),
    ("Connection refused", "no sshd listens there: host.NAME.port in the inventory, or sshd is down"),
)
"""What OpenSSH says, and what to look at."""


@dataclass(frozen=True)
class Session:
    """A program that runs on the host, with its ends here."""

    process: subprocess.Popen[bytes]
    stdin: IO[bytes]
    stdout: IO[bytes]


class Ssh:
    """A connection to *host*; its control socket lies in *folder*, which must be private and short."""

    def __init__(self, host: Host, folder: str, program: str = "ssh") -> None:
        self.name = host.name
        where = ["-p", str(host.port)] if host.port else []
        who = ["-l", host.user] if host.user else []
        self.base = [
            program,
            *("-o", "BatchMode=yes"),
            *("-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}"),
            *("-o", f"ServerAliveInterval={ALIVE_EVERY_S}"),
            *("-o", f"ServerAliveCountMax={ALIVE_COUNT}"),
            *("-o", f"ControlPath={folder}/%C"),
            "-T",
            *where,
            *who,
        ]
        self.address = host.address
        self.master: subprocess.Popen[bytes] | None = None

    def connect(self) -> None:
        """Open the connection.

        Raises:
            HostUnreachable: with what OpenSSH says, and what to do.
        """
        with tempfile.TemporaryFile() as said:
            argv = [*self.base, "-o", "ControlMaster=yes", "-o", "ControlPersist=no", "--", self.address]
            argv.append(f"echo {READY}; exec cat >/dev/null")
            self.master = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
            assert self.master.stdout is not None
            for line in self.master.stdout:  # a login script may greet first
                if line.strip() == READY.encode():
                    return
            self.master.wait()
            said.seek(0)
            raise self._unreachable(said.read().decode("utf-8", "replace"))

    def close(self) -> None:
        """End the connection and everything that goes through it."""
        if self.master is None:
            return
        for pipe in (self.master.stdin, self.master.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.master.wait(CONNECT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.master.kill()
            self.master.wait()
        self.master = None

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float | None = None) -> Ran:
        """Run a program to its end, *stdin* as its input; its two streams come as one.

        Raises:
            HostUnreachable: the connection is lost.
        """
        try:
            ran = subprocess.run(
                self._command(argv), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as error:
            raise HostUnreachable(f"nothing came back within {timeout_s:g} s", host=self.name) from error
        output = ran.stdout.decode("utf-8", "replace")
        if ran.returncode == 255:
            raise self._unreachable(output)
        return Ran(ran.returncode, output)

    def feed(self, argv: Sequence[str], write: Callable[[IO[bytes]], None]) -> Ran:
        """Run a program whose input *write* makes as it goes."""
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(self._command(argv), stdin=subprocess.PIPE, stdout=said, stderr=said)
            assert process.stdin is not None
            try:
                with suppress(BrokenPipeError), process.stdin:  # who ends early tells why, by status and words
                    write(process.stdin)
            except BaseException:
                process.kill()
                process.wait()
                raise
            status = process.wait()
            said.seek(0)
            return Ran(status, said.read().decode("utf-8", "replace"))

    def open(self, argv: Sequence[str], log: Path) -> Session:
        """Start a program and speak with it; what it says on standard error goes to *log*."""
        with log.open("wb") as said:
            process = subprocess.Popen(self._command(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
        assert process.stdin is not None
        assert process.stdout is not None
        return Session(process, process.stdin, process.stdout)

    def _command(self, argv: Sequence[str]) -> list[str]:
        # "no": through the connection that is there, or not at all
        return [*self.base, "-o", "ControlMaster=no", "--", self.address, shlex.join(argv)]

    def _unreachable(self, said: str) -> HostUnreachable:
        lines = [line for line in said.strip().splitlines() if line.strip()]
        last = lines[-1].strip() if lines else "the connection was lost"
        cure = next((cure for words, cure in CURES if words in said), "")
        return HostUnreachable(f"{last}{f' ({cure})' if cure else ''}", host=self.name, step="connect", output=said)
