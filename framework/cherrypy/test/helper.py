"""A ``unittest.TestCase`` for applications: mounts them, starts the site in this process, asks it for pages.

from cherrypy.test import helper

class SiteTest(helper.CPWebCase):
    @staticmethod
    def setup_server():
        cherrypy.tree.mount(Root(), "/", {})

    def test_index(self):
        self.getPage("/")
        self.assertStatus("200 OK")
"""

from __future__ import annotations

import datetime
import errno
import logging
import os
import re
import socket
import sys
import unittest
from collections.abc import Callable
from typing import Any, ClassVar

import cherrypy
from cherrypy.app.tree import Tree
from cherrypy.core.errorpage import get_error_page
from cherrypy.http.text import to_bytes as ntob
from cherrypy.lib import gctools, httputil
from cherrypy.process.wspbus import ChannelFailures
from cherrypy.test import webtest
from cherrypy.test.cpprocess import CPProcess, thisdir
from cherrypy.test.supervisors import (
    LocalSupervisor,
    LocalWSGISupervisor,
    NativeServerSupervisor,
    Supervisor,
    gone,
    log_to_stderr,
)

__all__ = [
    "CPProcess",
    "CPWebCase",
    "LocalSupervisor",
    "LocalWSGISupervisor",
    "NativeServerSupervisor",
    "Supervisor",
    "log",
    "log_to_stderr",
    "ntob",
    "serverpem",
    "setup_client",
    "text_or_bytes",
    "thisdir",
]

log = logging.getLogger(__name__)
serverpem = CPProcess.serverpem
text_or_bytes = (str, bytes)
get_cpmodpy_supervisor = gone("get_cpmodpy_supervisor")
get_modpygw_supervisor = gone("get_modpygw_supervisor")
get_modwsgi_supervisor = gone("get_modwsgi_supervisor")
get_modfcgid_supervisor = gone("get_modfcgid_supervisor")
get_modfastcgi_supervisor = gone("get_modfastcgi_supervisor")

# The documented port; it lies in the range that clients' sockets are taken from, so now and then it is taken.
PORT = 54583


def get_wsgi_u_supervisor(**options: Any) -> LocalWSGISupervisor:
    """A supervisor whose applications get environs of text."""
    cherrypy.server.wsgi_version = ("u", 0)
    return LocalWSGISupervisor(**options)


def free_port(wanted: int = PORT) -> int:
    """*wanted* if nobody has it, else any other; 0 wants any."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("there is no free port")


def runs_in_pytest() -> bool:
    """True where pytest calls ``setup_class``: a second call, ours, would run what subclasses add to it twice."""
    return "PYTEST_CURRENT_TEST" in os.environ and "_pytest" in sys.modules


class CPWebCase(webtest.WebCase):
    """A test case with a site: ``setup_server`` mounts it, once for the class.

    Attributes:
        script_name: put in front of every address that is asked for.
        available_servers: {name: what makes a supervisor}.
        default_server: name of the one that is used.
        supervisor: the one at work.
        PORT: where the site is served, known once it is. A subclass may set it to the port it wants, 0 for any one.
            Without, it is 54583, or any one where that is taken or pytest-xdist runs several processes side by side.
        do_gc_test: ``test_gc`` looks for requests that were not let go.
        date_tolerance: seconds that ``assertEqualDates`` forgives.
    """

    script_name = ""
    scheme = "http"
    available_servers: ClassVar[dict[str, Callable[..., Any]]] = {
        "wsgi": LocalWSGISupervisor,
        "wsgi_u": get_wsgi_u_supervisor,
        "native": NativeServerSupervisor,
    }
    default_server = "wsgi"
    supervisor: Any = None
    do_gc_test = False
    date_tolerance = 2
    setup_server: Any
    _is_set_up = False

    @classmethod
    def _setup_server(cls, supervisor: Any, conf: dict[str, Any]) -> Any:
        """Configure the site for tests; returns the supervisor."""
        # On this class, so that what a subclass says of itself stands.
        CPWebCase.PROTOCOL, CPWebCase.scheme = conf["protocol"], conf["scheme"]
        CPWebCase.HOST, CPWebCase.PORT = conf["host"], conf["port"]
        cherrypy.server.socket_file = None
        cherrypy.config.reset()  # what other classes configured is theirs
        settings = {
            **conf,
            "server.socket_host": conf["host"],
            "server.socket_port": conf["port"],
            "server.protocol_version": conf["protocol"],
            "environment": "test_suite",
        }
        cherrypy.config.update(settings)
        cherrypy.server.using_apache = supervisor.using_apache
        cherrypy.server.using_wsgi = supervisor.using_wsgi
        return supervisor

    @classmethod
    def setUpClass(cls) -> None:
        """Start the site (unittest's name)."""
        super().setUpClass()
        if not runs_in_pytest():
            cls.setup_class()

    @classmethod
    def tearDownClass(cls) -> None:
        """Stop the site (unittest's name)."""
        if not runs_in_pytest():
            cls.teardown_class()
        super().tearDownClass()

    @classmethod
    def setup_class(cls) -> None:
        """Start the site. pytest calls this name itself."""
        if cls.__dict__.get("_is_set_up"):
            return
        cls._is_set_up = True
        try:
            cls._set_up()
        except BaseException:
            # Nobody tears down what was not set up.
            cls._is_set_up = False
            cherrypy.server.httpserver = None
            cherrypy.engine.signals.unsubscribe()
            raise

    @classmethod
    def _set_up(cls) -> None:
        port = free_port(cls._wanted_port())
        conf = {"scheme": "http", "protocol": "HTTP/1.1", "host": "127.0.0.1", "port": port, "validate": False}
        factory = cls.available_servers[cls.default_server]
        # Every class has a site of its own.
        cherrypy.tree = Tree()
        supervisor = factory(**conf)
        cls.supervisor = cls._setup_server(supervisor, conf)
        if not hasattr(cls, "setup_server"):
            return
        if port != cls.PORT:
            cls.PORT = port
        cls.setup_server()
        cherrypy.tree.mount(gctools.GCRoot(), "/gc")
        cls.do_gc_test = True
        try:
            supervisor.start(cls.__module__)
        except ChannelFailures as failures:
            if not any(getattr(error, "errno", 0) == errno.EADDRINUSE for error in failures.get_instances()):
                raise
            # Somebody took the port since we looked.
            cherrypy.server.socket_port = supervisor.port = cls.PORT = free_port(0)
            cherrypy.server.httpserver = supervisor.httpserver_class
            supervisor.start(cls.__module__)

    @classmethod
    def _wanted_port(cls) -> int:
        for parent in cls.__mro__[: cls.__mro__.index(CPWebCase)]:
            if "PORT" in vars(parent):
                return int(vars(parent)["PORT"])
        return 0 if "PYTEST_XDIST_WORKER" in os.environ else PORT

    @classmethod
    def teardown_class(cls) -> None:
        """Stop the site."""
        if not cls.__dict__.get("_is_set_up"):
            return
        cls._is_set_up = False
        if hasattr(cls, "setup_server"):
            cls.supervisor.stop()
        # The next class makes a server object of its own.
        cherrypy.server.httpserver = None

    def test_gc(self) -> None:
        """No request is still held by anything once it has been answered."""
        if not self.do_gc_test:
            return
        super().getPage("/gc/stats")  # it is mounted beside the site, not below it
        self.assertBody("Statistics:")

    def prefix(self) -> str:
        """The mount point without its last slash."""
        return self.script_name.rstrip("/")

    def base(self) -> str:
        """Scheme, host, port and mount point, as the site writes them."""
        is_default = (self.scheme, self.PORT) in (("http", 80), ("https", 443))
        port = "" if is_default else f":{self.PORT}"
        return f"{self.scheme}://{self.HOST}{port}{self.prefix()}"

    def getPage(self, url: Any, *args: Any, **kwargs: Any) -> webtest.Answer:
        """Ask for *url* below the mount point; see ``WebCase.getPage``."""
        if self.script_name:
            url = httputil.urljoin(self.script_name, url)
        return super().getPage(url, *args, **kwargs)

    def skip(self, msg: str = "skipped ") -> None:
        """Leave this test out, because of *msg*."""
        raise unittest.SkipTest(msg)

    def assertErrorPage(self, status: Any, message: str | None = None, pattern: str | None = "") -> None:
        """Fail unless the body is the page of the error *status* with *message*.

        Args:
            status: as for ``HTTPError``.
            message: the error's own without one.
            pattern: text that its traceback has to contain; None: there must be no traceback.
        """
        page = get_error_page(status, message=message)
        page = page if isinstance(page, bytes) else page.encode("utf-8")
        start, end = b'<pre id="traceback">', b"</pre>"
        # Any traceback will do for now.
        expected = re.escape(page).replace(re.escape(start + end), re.escape(start) + b"(.*)" + re.escape(end))
        found = re.match(expected, self.body, re.DOTALL)
        if not found:
            self._handlewebError(f"Error page does not match; expected:\n{page.decode('utf-8', 'replace')}")
            return
        shown = found.group(1) if found.groups() else b""
        if pattern is None:
            if shown:
                self._handlewebError("Error page contains traceback")
        elif self._bytes(pattern) not in shown:
            self._handlewebError(f"Error page does not contain {pattern!r} in traceback")

    def assertEqualDates(self, dt1: datetime.datetime, dt2: datetime.datetime, seconds: float | None = None) -> None:
        """Fail unless the two are at most *seconds* (``date_tolerance``) apart."""
        allowed = self.date_tolerance if seconds is None else seconds
        if abs(dt1 - dt2) >= datetime.timedelta(seconds=allowed):
            raise AssertionError(f"{dt1!r} and {dt2!r} are not within {allowed!r} seconds.")


def setup_client() -> None:
    """Point ``WebCase`` at ``cherrypy.server``, and let errors of the site reach the tests."""
    host, port = cherrypy.server.bound_addr
    webtest.WebCase.PORT = port
    webtest.WebCase.HOST = host or webtest.WebCase.HOST
    if cherrypy.server.ssl_certificate:
        webtest.WebCase.scheme = "https"
