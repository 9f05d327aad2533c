"""The master process: starting it, finding it again, signalling it, and reading what it says."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from kirsch.nginx.binary import Nginx, binary_link
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

    @property
    def marker(self) -> str:
        """The socket where it says which generation it serves."""
        return self._paths.nginx_marker

    def point(self, binary: str | None = None) -> None:
        """Have the link that it is started by name *binary*, or its own: what it executes in its place on demand."""
        link = Path(binary_link(self._paths))
        part = link.with_name(".binary.part")
        part.unlink(missing_ok=True)
        part.symlink_to(binary or self._nginx.path)
        os.rename(part, link)

    def is_of_this_binary(self) -> bool:
        """False when the binary that runs is another one than that which a start would take now."""
        pid = self.pid()
        try:
            running = os.readlink(f"/proc/{pid}/exe")
            with open(self._nginx.path, "rb") as stream:
                is_program = stream.read(4) == b"\x7fELF"
        except OSError:
            # nobody to compare with, or root's: a reload does
            return True
        # a script names the program itself
        return not is_program or running == os.path.realpath(self._nginx.path)

    def is_started_by_link(self, pid: int) -> bool:
        """True when the master *pid* executes what :meth:`point` says when it is asked to replace itself."""
        words = _command_line(pid).replace(b"nginx: master process ", b"").split(b"\0")[0].split(b" -c ")
        return words[0].decode("utf-8", "replace") in (binary_link(self._paths), self._nginx.path)

    def former(self) -> int | None:
        """The pid of the master before, while it finishes after another binary has taken its place."""
        try:
            pid = int(Path(f"{self._paths.nginx_pid}.oldbin").read_text(encoding="ascii").strip() or "0")
        except (OSError, ValueError):
            return None
        return pid if pid > 1 and self._config.encode() in _command_line(pid) else None

    def start(self) -> list[str]:
        """Start it on the current generation; what it complains about, empty when it went into the background."""
        # a socket file of a killed nginx would keep the new one from binding
        Path(self._paths.nginx_marker).unlink(missing_ok=True)
        self.point()
        # a file, not a pipe: the daemon inherits it, and a pipe would be open for as long as nginx lives
        with tempfile.TemporaryFile() as output:
            try:
                status = subprocess.run(
                    # by a name of ours, so that another binary can take its place
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
        _kill_with_group(pid)

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
        return serving_children(pid) if pid else frozenset()

    def _command(self, config: str, log: str, *options: str) -> list[str]:
        # -c first: the process title may be cut at its end, and pid() looks for this path in it
        return [binary_link(self._paths), "-c", config, "-p", f"{self._paths.nginx}/", "-e", log, *options]


def end_process(pid: int, timeout_s: float) -> None:
    """End a master and its processes: they finish their requests, and are killed after *timeout_s* seconds."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        children = _children(pid)
        signal.pidfd_send_signal(descriptor, signal.SIGQUIT)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if poll.poll(timeout_s * 1000):
            return
        for process in (pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        poll.poll(timeout_s * 1000)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _kill_with_group(pid: int) -> None:
    try:
        group = os.getpgid(pid)
        # a daemon's own session: a master that took another's place is in that one's
        if group == os.getsid(pid) != os.getsid(0):
            os.killpg(group, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


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


def serving_children(pid: int) -> frozenset[int]:
    """Pids of the children of the master *pid* that have not been told to go."""
    return frozenset(child for child in _children(pid) if is_serving(child))


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
