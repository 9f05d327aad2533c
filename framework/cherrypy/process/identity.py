"""What a process is to its system: daemon or child of a terminal, its user and group, its pid file."""

from __future__ import annotations

import grp
import os
import pwd
import sys
import threading
from collections.abc import Callable
from typing import Any

from cherrypy.process.plugin import SimplePlugin
from cherrypy.process.readiness import Witness
from cherrypy.process.wspbus import Bus


class DropPrivileges(SimplePlugin):
    """Becomes another user and group once the sockets are bound.

    Args:
        bus: the bus.
        umask: the file mode creation mask to set.
        uid: number or name of the user to become.
        gid: number or name of the group to become; the supplementary groups are given up with it.
    """

    def __init__(
        self, bus: Bus, umask: int | None = None, uid: int | str | None = None, gid: int | str | None = None
    ) -> None:
        super().__init__(bus)
        self.finalized = False
        self.uid = uid
        self.gid = gid
        self.umask = umask

    @property
    def uid(self) -> int | None:
        """Number of the user to become; a name may be assigned."""
        return self._uid

    @uid.setter
    def uid(self, value: int | str | None) -> None:
        try:
            self._uid = pwd.getpwnam(value).pw_uid if isinstance(value, str) else value
        except KeyError:
            raise KeyError(f"uid: this system has no user {value!r}; give the name of one, a number, or None") from None

    @property
    def gid(self) -> int | None:
        """Number of the group to become; a name may be assigned."""
        return self._gid

    @gid.setter
    def gid(self, value: int | str | None) -> None:
        try:
            self._gid = grp.getgrnam(value).gr_gid if isinstance(value, str) else value
        except KeyError:
            raise KeyError(
                f"gid: this system has no group {value!r}; give the name of one, a number, or None"
            ) from None

    @property
    def umask(self) -> int | None:
        """The mask to set; None leaves the process's own."""
        return self._umask

    @umask.setter
    def umask(self, value: int | None) -> None:
        if value is not None and not isinstance(value, int):
            raise TypeError(
                f"umask is {value!r}; it has to be a number such as 0o027, or None to keep the process's own"
            )
        self._umask = value

    def start(self) -> None:
        """Change group, user and mask; the group first, for afterwards there is no right to."""
        if self.finalized:
            if self.uid is not None or self.gid is not None:
                self.bus.log(f"Already running as uid: {os.getuid()} gid: {os.getgid()}")
        elif self.uid is None and self.gid is None:
            self.bus.log("uid/gid not set", level=30)
        else:
            self.bus.log(f"Started as uid: {os.getuid()} gid: {os.getgid()}")
            if self.gid is not None:
                os.setgid(self.gid)
                os.setgroups([])
            if self.uid is not None:
                os.setuid(self.uid)
            self.bus.log(f"Running as uid: {os.getuid()} gid: {os.getgid()}")
        self._set_umask()
        self.finalized = True

    start.priority = 77  # type: ignore[attr-defined]  # after the servers, which may need a privileged port

    def _set_umask(self) -> None:
        if self.finalized:
            if self.umask is not None:
                self.bus.log(f"umask already set to: {self.umask:#04o}")
        elif self.umask is None:
            self.bus.log("umask not set", level=30)
        else:
            old = os.umask(self.umask)
            self.bus.log(f"umask old: {old:#04o}, new: {self.umask:#04o}")


class Daemonizer(SimplePlugin):
    """Leaves the terminal for good: two forks and a session of its own.

    The caller's process exits with 0 when the bus has started, at the latest after 30 s, and with 1 when it could not.

    Args:
        bus: the bus.
        stdin: file that standard input is read from afterwards.
        stdout: file that standard output is appended to.
        stderr: file that standard error is appended to.
    """

    def __init__(
        self, bus: Bus, stdin: str = "/dev/null", stdout: str = "/dev/null", stderr: str = "/dev/null"
    ) -> None:
        super().__init__(bus)
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.finalized = False

    def start(self) -> None:
        """Daemonize, once.

        Raises:
            RuntimeError: another server owns the process.
        """
        if getattr(self.bus, "embedded", False) is True:
            raise RuntimeError(
                "A worker of another server cannot become a daemon. Leave the Daemonizer out, and use the server's own "
                "option (gunicorn --daemon, uwsgi --daemonize)."
            )
        if self.finalized:
            self.bus.log("Already daemonized.")
            return
        # A fork takes only the calling thread along; the others' locks stay locked in the child for ever.
        if threading.active_count() != 1:
            names = ", ".join(sorted(thread.name for thread in threading.enumerate()))
            self.bus.log(
                f"There are {threading.active_count()} active threads ({names}). Daemonizing now may fail.", 30
            )
        # The process that was started waits, so that its status tells whether the daemon could start.
        Witness(self.bus).fork()
        self.daemonize(self.stdin, self.stdout, self.stderr, self.bus.log)
        self.finalized = True

    start.priority = 65  # type: ignore[attr-defined]  # before anything that starts a thread

    @staticmethod
    def daemonize(
        stdin: str = "/dev/null",
        stdout: str = "/dev/null",
        stderr: str = "/dev/null",
        logger: Callable[[str], Any] = lambda msg: None,
    ) -> None:
        """Fork twice; returns in the grandchild only.

        Raises:
            OSError: a fork, or a file to redirect to, was refused.
        """
        # Whatever stands in the buffers would be written by parent and child.
        sys.stdout.flush()
        sys.stderr.flush()
        _fork_and_leave(logger, "Forking once.")
        os.setsid()
        # The second child leads no session, so it can never get a terminal again.
        _fork_and_leave(logger, "Forking twice.")
        os.umask(0)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        for target, name, flags in ((0, stdin, os.O_RDONLY), (1, stdout, append), (2, stderr, append)):
            descriptor = os.open(name, flags, 0o666)
            os.dup2(descriptor, target)
            os.close(descriptor)
        logger(f"Daemonized to PID: {os.getpid()}")


def _fork_and_leave(logger: Callable[[str], Any], message: str) -> None:
    if os.fork() > 0:
        logger(message)
        os._exit(0)  # no atexit, no buffers: they are the child's now


class PIDFile(SimplePlugin):
    """Keeps the process's id in a file while the bus runs."""

    def __init__(self, bus: Bus, pidfile: str) -> None:
        super().__init__(bus)
        self.pidfile = pidfile
        self.finalized = False

    def start(self) -> None:
        """Write the file, once."""
        pid = os.getpid()
        if self.finalized:
            self.bus.log(f"PID {pid!r} already written to {self.pidfile!r}.")
            return
        with open(self.pidfile, "w", encoding="ascii") as file:
            file.write(f"{pid}\n")
        self.bus.log(f"PID {pid!r} written to {self.pidfile!r}.")
        self.finalized = True

    start.priority = 70  # type: ignore[attr-defined]  # after Daemonizer, whose forks change the id

    def exit(self) -> None:
        """Remove the file, unless it names another process by now (a second instance, a successor)."""
        try:
            with open(self.pidfile, encoding="ascii", errors="replace") as file:
                if file.read().strip() != str(os.getpid()):
                    return
            os.remove(self.pidfile)
        except FileNotFoundError:
            return
        except OSError as error:
            # Dropped privileges may not reach into /run any more. The exit goes on; a start overwrites the file.
            self.bus.log(f"PID file could not be removed: {error}", level=30)
            return
        self.finalized = False
        self.bus.log(f"PID file removed: {self.pidfile!r}.")
