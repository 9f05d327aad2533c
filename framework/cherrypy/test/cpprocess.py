"""A site in a process of its own, run by ``cherryd``: for tests of signals, daemons and restarts."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cherrypy
from cherrypy.process.ports import wait_for_free_port, wait_for_occupied_port

# Made when it is needed; a package's own folder may not be writable, and two runs may go on side by side.
thisdir = os.path.join(tempfile.gettempdir(), f"cherrypy-test-{os.getpid()}")
PID_S = 20
STARTED_S = 2


class CPProcess:
    """One process; its files lie in a folder of this test run unless the attributes say otherwise.

    Args:
        wait: ``start`` returns when the process has ended, with ``exit_code`` set.
        daemonize: run it as a daemon.
        ssl: serve TLS with the file ``serverpem``.
        socket_host: where to listen; that of ``cherrypy.server`` by default.
        socket_port: the same.
    """

    pid_file = os.path.join(thisdir, "test.pid")
    config_file = os.path.join(thisdir, "test.conf")
    error_log = os.path.join(thisdir, "test.error.log")
    access_log = os.path.join(thisdir, "test.access.log")
    serverpem = os.path.join(os.path.dirname(__file__), "test.pem")  # for localhost, signed by itself
    config_template = """[global]
server.socket_host: '%(host)s'
server.socket_port: %(port)s
checker.on: False
log.screen: False
log.error_file: r'%(error_log)s'
log.access_file: r'%(access_log)s'
%(ssl)s
%(extra)s
"""

    def __init__(
        self,
        wait: bool = False,
        daemonize: bool = False,
        ssl: bool = False,
        socket_host: str | None = None,
        socket_port: int | None = None,
    ) -> None:
        self.wait = wait
        self.daemonize = daemonize
        self.ssl = ssl
        self.host: Any = socket_host or cherrypy.server.socket_host
        self.port: Any = socket_port or cherrypy.server.socket_port
        self.exit_code: int | None = None
        self._proc: subprocess.Popen[bytes] | None = None

    def write_conf(self, extra: str = "") -> None:
        """Write the configuration file, with the lines *extra* in its global section."""
        pem = self.serverpem
        text = self.config_template % {
            "host": self.host,
            "port": self.port,
            "error_log": self.error_log,
            "access_log": self.access_log,
            "ssl": f"server.ssl_certificate: r'{pem}'\nserver.ssl_private_key: r'{pem}'" if self.ssl else "",
            "extra": extra,
        }
        if not os.path.isdir(thisdir):
            os.makedirs(thisdir, mode=0o700)
            atexit.register(shutil.rmtree, thisdir, ignore_errors=True)
        Path(self.config_file).write_text(text, encoding="utf-8")

    def start(self, imports: str | list[str] | None = None) -> None:
        """Start it with the modules *imports*, and return when it serves (or has ended, if ``wait``)."""
        if not self.daemonize and not self.wait:
            wait_for_free_port(self.host, self.port, timeout=5)
        Path(self.pid_file).unlink(missing_ok=True)
        modules = [imports] if isinstance(imports, str) else imports or []
        command = [sys.executable, "-m", "cherrypy", "-c", self.config_file, "-p", self.pid_file]
        command += [word for module in modules for word in ("-i", module)]
        if self.daemonize:
            command.append("-d")
        starts = self._count_starts()
        environ = dict(os.environ)
        # The process finds the same modules as this one.
        environ["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._proc = subprocess.Popen(command, env=environ)
        if self.wait:
            self.exit_code = self._proc.wait()
            return
        if self.daemonize:
            self.exit_code = self._proc.wait()
        wait_for_occupied_port(self.host, self.port, timeout=PID_S)
        # The server is not the last to start: what listens behind it is waited for by the log, if there is one.
        deadline = time.monotonic() + STARTED_S
        while self._count_starts() == starts and time.monotonic() < deadline:
            time.sleep(0.02)

    def _count_starts(self) -> int:
        log = Path(self.error_log)
        return log.read_text(errors="replace").count("ENGINE Bus STARTED") if log.exists() else 0

    def get_pid(self) -> int:
        """The process's number; a daemon's stands in its file."""
        if not self.daemonize:
            if self._proc is None:
                raise RuntimeError("The process was not started.")
            return self._proc.pid
        deadline = time.monotonic() + PID_S
        while time.monotonic() < deadline:
            file = Path(self.pid_file)
            if file.exists() and (text := file.read_text().strip()):
                return int(text)
            time.sleep(0.05)
        raise RuntimeError(f"No process id came into {self.pid_file}.")

    def join(self) -> None:
        """Wait for its end."""
        if self.daemonize:
            self._join_daemon()
        elif self._proc is not None:
            self._proc.wait()

    def _join_daemon(self) -> None:
        pid = self.get_pid() if Path(self.pid_file).exists() else 0
        while pid and Path(f"/proc/{pid}").exists():
            time.sleep(0.05)
