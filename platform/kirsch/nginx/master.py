"""The master process: starting it, finding it again, signalling it, and reading what it says."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from kirsch.nginx.binary import Nginx
from kirsch.nginx.site import MAIN_FILE
from kirsch.spec import HostPaths

START_TIMEOUT_S = 30
_TROUBLE = re.compile(r"\[(warn|error|crit|alert|emerg)\] ?(?:[0-9]+#[0-9]+: )?(.*)")
_EMERGENCY = re.compile(r"\[emerg\] (?:[0-9]+#[0-9]+: )?(.*)")
_SHUTTING_DOWN = b"is shutting down"


class Master:
    """nginx's master process of one stack, whoever started it: known by its pid file and its command line."""

    def __init__(self, paths: HostPaths, nginx: Nginx) -> None:
        self._paths = paths
        self._nginx = nginx
        self._config = f"{paths.nginx_current}/{MAIN_FILE}"

    def start(self) -> list[str]:
        """Start it on the current generation; what it complains about, empty when it went into the background."""
        # a socket file of a killed nginx would keep the new one from binding
        Path(self._paths.nginx_marker).unlink(missing_ok=True)
        # a file, not a pipe: the daemon inherits it, and a pipe would be open for as long as nginx lives
        with tempfile.TemporaryFile() as output:
            try:
                status = subprocess.run(
                    self._command(self._config, self._paths.nginx_error_log),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=START_TIMEOUT_S,
                    check=False,
                    cwd="/",
                    env=environment(),
                ).returncode
            except (OSError, subprocess.TimeoutExpired) as error:
                return [f"{self._nginx.path}: {error}"]
            output.seek(0)
            said = output.read().decode("utf-8", "replace").splitlines()
        if status == 0:
            return []
        return list(dict.fromkeys(troubles(said))) or [*said, f"nginx ended with status {status}"]

    def pid(self) -> int | None:
        """Its pid; None when it does not run (a pid file may be left over, and its number another process's)."""
        try:
            pid = int(Path(self._paths.nginx_pid).read_text(encoding="ascii").strip() or "0")
        except (OSError, ValueError):
            return None
        return pid if pid > 1 and self._config.encode() in _command_line(pid) else None

    def signal(self, number: signal.Signals) -> bool:
        """Send it a signal; False when it does not run."""
        pid = self.pid()
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def kill_all(self) -> None:
        """Take the master and its workers down at once: they share the process group that the daemon made."""
        pid = self.pid()
        if pid is None:
            return
        try:
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def wait_for_end(self, timeout_s: float) -> bool:
        """Wait until it is gone; False when it still runs after *timeout_s* seconds."""
        pid = self.pid()
        if pid is None:
            return True
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(max(0.0, timeout_s) * 1000)) or self.pid() is None
        finally:
            os.close(descriptor)

    def serving_workers(self) -> frozenset[int]:
        """Pids of its processes that take connections (not those that only finish what they have)."""
        pid = self.pid()
        return frozenset(child for child in _children(pid) if is_serving(child)) if pid else frozenset()

    def _command(self, config: str, log: str, *options: str) -> list[str]:
        # -c first: the process title may be cut at its end, and pid() looks for this path in it
        return [self._nginx.path, "-c", config, "-p", f"{self._paths.nginx}/", "-e", log, *options]


def troubles(lines: Iterable[str]) -> list[str]:
    """The lines of nginx's that say what is wrong, without times and numbers: ``[emerg] unknown directive …``."""
    return [f"[{match[1]}] {match[2]}" for line in lines if (match := _TROUBLE.search(line))]


def emergencies(path: str, offset: int) -> list[str]:
    """The ``[emerg]`` lines that the error log got since it was *offset* octets long."""
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    found = (_EMERGENCY.search(line) for line in text.splitlines())
    return list(dict.fromkeys(f"[emerg] {match[1]}" for match in found if match))


def is_serving(pid: int) -> bool:
    """True when *pid* is a process of nginx's that has not been told to go."""
    title = _command_line(pid)
    return bool(title) and _SHUTTING_DOWN not in title


def _command_line(pid: int) -> bytes:
    """As the kernel has it; empty when there is no such process, or only its zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _children(pid: int) -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            status = Path(entry.path, "stat").read_bytes()
        except OSError:
            continue
        # pid (name, which may hold anything) state ppid …
        if int(status.rpartition(b")")[2].split()[1]) == pid:
            found.append(int(entry.name))
    return found


def environment() -> dict[str, str]:
    """What nginx is run with: only what it needs, for a variable NGINX would name sockets to inherit."""
    return {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C"} | (
        {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}
    )
