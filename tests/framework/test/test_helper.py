"""The test case that applications mount their sites in."""

from __future__ import annotations

import datetime
import inspect
import os
import socket
import subprocess
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace
from wsgiref.util import setup_testing_defaults

import pytest

import cherrypy
from cherrypy.core.errorpage import get_error_page
from cherrypy.test import helper, webtest
from cherrypy.test.helper import CPProcess, CPWebCase

CASES = """
import cherrypy
from cherrypy.test import helper

class Root:
    @cherrypy.expose
    def index(self):
        return str(cherrypy.config.get("mine"))

class ATest(helper.CPWebCase):
    calls = []

    @classmethod
    def setup_class(cls):
        cls.calls.append("up")
        super().setup_class()

    @classmethod
    def teardown_class(cls):
        super().teardown_class()
        cls.calls.append("down")

    @classmethod
    def setup_server(cls):
        cherrypy.config.update({"mine": 1})
        cherrypy.tree.mount(Root(), "/")

    def test_page(self):
        self.getPage("/")
        self.assertBody("1")

class BTest(helper.CPWebCase):
    @classmethod
    def setup_server(cls):
        cherrypy.tree.mount(Root(), "/")

    def test_page(self):
        assert ATest.calls == ["up", "down"], ATest.calls
        self.getPage("/")
        self.assertBody("None")
"""


@pytest.mark.parametrize("runner", [["pytest", "-q", "-p", "no:cacheprovider"], ["unittest"]])
def test_classes_are_set_up_once_and_leave_nothing(tmp_path: Path, runner: list[str]) -> None:
    """Whoever runs them; what subclasses do in ``setup_class`` is done once, and configuration stays in its class."""
    (tmp_path / "test_cases.py").write_text(CASES)
    command = [sys.executable, "-m", *runner, "test_cases.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def run(tmp_path: Path, text: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run test cases in a process of their own, by pytest."""
    (tmp_path / "test_cases.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_cases.py"]
    return subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env={**os.environ, **environ}
    )


ONE_CASE = """
import os, signal
import cherrypy
from cherrypy.test import helper, webtest

before = signal.getsignal(signal.SIGTERM)

class Root:
    @cherrypy.expose
    def index(self):
        return f"{cherrypy.server.httpserver.__class__.__name__} {cherrypy.request.base}"

class ATest(helper.CPWebCase):
    BODY

    @classmethod
    def setup_server(cls):
        cherrypy.tree.mount(Root(), cls.script_name)

    def test_page(self):
        self.getPage("/")
        self.assertStatus(200)
        self.assertInBody(f":{self.PORT}")
        assert self.PORT == cherrypy.server.bound_addr[1] == webtest.WebCase.PORT or self.PORT != 8000
        print("served by", self.body.decode(), self.base(), self.supervisor)

def test_afterwards():
    assert signal.getsignal(signal.SIGTERM) == before
    assert cherrypy.server.httpserver is None
    assert cherrypy.engine.state is cherrypy.engine.states.EXITING
"""


@pytest.mark.parametrize(
    ("body", "served"),
    [
        ("pass", "CPWSGIServer"),
        ("default_server = 'native'", "CPHTTPServer"),
        ("default_server = 'wsgi_u'", "CPWSGIServer"),
        ("script_name = '/app'", "CPWSGIServer"),
        ("PORT = 0", "CPWSGIServer"),
    ],
)
def test_a_site_is_served_while_its_class_runs(tmp_path: Path, body: str, served: str) -> None:
    """By the server it names, at its mount point; then the process has its signals back."""
    done = run(tmp_path, ONE_CASE.replace("BODY", body), "-s")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"served by {served} http://127.0.0.1:" in done.stdout
    assert "3 passed" in done.stdout  # test_gc is the third


def test_a_taken_port_does_not_lose_the_tests(tmp_path: Path) -> None:
    """Not even if it was taken after somebody looked."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sly = f"helper.free_port = lambda wanted, free=helper.free_port: {port} if wanted else free(wanted)"
        done = run(tmp_path, ONE_CASE.replace("BODY", "pass").replace("class Root", f"{sly}\nclass Root", 1))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_a_failed_start_is_an_error_of_its_class_alone(tmp_path: Path) -> None:
    """CherryPy ended the whole test run with 70."""
    failing = """
    @classmethod
    def setup_class(cls):
        cherrypy.engine.subscribe("start", cls.fail)
        try:
            super().setup_class()
        finally:
            cherrypy.engine.unsubscribe("start", cls.fail)

    @staticmethod
    def fail():
        raise ValueError("not today")
"""
    done = run(tmp_path, ONE_CASE.replace("    BODY", failing))

    assert done.returncode == 1
    assert "1 passed" in done.stdout
    assert "ValueError('not today')" in done.stdout


@pytest.mark.parametrize(
    ("own", "environ", "wanted"),
    [
        ({}, {}, 54583),
        ({"PORT": 8123}, {}, 8123),
        ({"PORT": 0}, {}, 0),
        ({}, {"PYTEST_XDIST_WORKER": "gw1"}, 0),
        ({"PORT": 8123}, {"PYTEST_XDIST_WORKER": "gw1"}, 8123),
    ],
)
def test_the_port_that_is_wanted(
    monkeypatch: pytest.MonkeyPatch, own: dict[str, int], environ: dict[str, str], wanted: int
) -> None:
    """The documented one, unless the class or the way tests are run says otherwise; subclasses have it, too."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    parent = type("Parent", (CPWebCase,), own)

    assert type("Child", (parent,), {})._wanted_port() == wanted


def test_a_port_that_is_taken_is_replaced() -> None:
    """By a free one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert helper.free_port(port) not in (0, port)
    assert helper.free_port(port) == port


NAMES: dict[object, dict[str, str]] = {
    CPWebCase: {
        "test_gc": "self",
        "prefix": "self",
        "base": "self",
        "exit": "self",
        "getPage": "self url *args **kwargs",
        "skip": "self msg",
        "assertErrorPage": "self status message pattern",
        "assertEqualDates": "self dt1 dt2 seconds",
    },
    CPProcess: {
        "__init__": "self wait daemonize ssl socket_host socket_port",
        "write_conf": "self extra",
        "start": "self imports",
        "get_pid": "self",
        "join": "self",
    },
    helper: {"setup_client": "", "log_to_stderr": "msg level"},
    webtest.WebCase: {
        "set_persistent": "self on auto_open",
        "get_conn": "self auto_open",
        "interface": "self",
        "getPage": "self url headers method body protocol raise_subcls",
        "assertStatus": "self status msg",
        "assertHeader": "self key value msg",
        "assertHeaderIn": "self key values msg",
        "assertHeaderItemValue": "self key value msg",
        "assertNoHeader": "self key msg",
        "assertNoHeaderItemValue": "self key value msg",
        "assertBody": "self value msg",
        "assertInBody": "self value msg",
        "assertNotInBody": "self value msg",
        "assertMatchesBody": "self pattern msg flags",
    },
    webtest: {
        "cleanHeaders": "headers method body host port",
        "openURL": "*args raise_subcls **kwargs",
        "shb": "response",
        "interface": "host",
        "server_error": "exc",
        "strip_netloc": "url",
    },
}


@pytest.mark.parametrize(
    ("owner", "name", "parameters"), [(owner, name, of) for owner, names in NAMES.items() for name, of in names.items()]
)
def test_documented_functions(owner: object, name: str, parameters: str) -> None:
    """With the documented names of their parameters."""
    found = inspect.signature(getattr(owner, name)).parameters.values()
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}

    assert " ".join(stars.get(one.kind, "") + one.name for one in found) == parameters


def test_documented_attributes() -> None:
    """With their documented values."""
    assert (CPWebCase.script_name, CPWebCase.scheme, CPWebCase.date_tolerance) == ("", "http", 2)
    assert (CPWebCase.default_server, sorted(CPWebCase.available_servers)) == ("wsgi", ["native", "wsgi", "wsgi_u"])
    assert issubclass(CPWebCase, webtest.WebCase)
    assert issubclass(CPWebCase, unittest.TestCase)
    assert (webtest.WebCase.HOST, webtest.WebCase.PORT, webtest.WebCase.PROTOCOL) == ("127.0.0.1", 8000, "HTTP/1.1")
    assert (webtest.WebCase.encoding, webtest.WebCase.console_height) == ("utf-8", 30)
    assert (webtest.methods_with_bodies, webtest.ignored_exceptions, webtest.ignore_all) == (
        ("POST", "PUT", "PATCH"),
        [],
        False,
    )
    for name in ("Supervisor", "LocalSupervisor", "LocalWSGISupervisor", "NativeServerSupervisor"):
        assert issubclass(getattr(helper, name), helper.Supervisor)


@pytest.fixture
def case() -> CPWebCase:
    """One without a site."""
    return CPWebCase("test_gc")


@pytest.mark.parametrize(
    ("scheme", "port", "script_name", "base"),
    [
        ("http", 80, "", "http://127.0.0.1"),
        ("https", 443, "", "https://127.0.0.1"),
        ("http", 8080, "/app/", "http://127.0.0.1:8080/app"),
    ],
)
def test_the_base_is_what_the_site_writes(case: CPWebCase, scheme: str, port: int, script_name: str, base: str) -> None:
    """Default ports are left out."""
    case.scheme, case.HOST, case.PORT, case.script_name = scheme, "127.0.0.1", port, script_name

    assert case.base() == base
    assert case.prefix() == script_name.rstrip("/")


def test_a_test_may_be_skipped_or_end_the_run(case: CPWebCase) -> None:
    """By unittest's own means."""
    with pytest.raises(unittest.SkipTest, match="no such thing here"):
        case.skip("no such thing here")
    with pytest.raises(SystemExit):
        case.exit()


def test_nothing_is_collected_without_a_site(case: CPWebCase) -> None:
    """There is no /gc to ask."""
    case.getPage = lambda url: pytest.fail("asked")

    assert case.test_gc() is None


@pytest.mark.parametrize(
    ("traceback", "pattern", "failure"),
    [
        ("", "", None),
        ("", None, None),
        ("ValueError: x", "", None),
        ("ValueError: x", "ValueError", None),
        ("ValueError: x", None, "Error page contains traceback"),
        ("", "ValueError", "Error page does not contain 'ValueError' in traceback"),
    ],
)
def test_an_error_page_is_recognized(case: CPWebCase, traceback: str, pattern: str | None, failure: str | None) -> None:
    """With any traceback, a certain one, or none."""
    case.body = get_error_page("404 Not Found", message="gone", traceback=traceback)

    if failure is None:
        case.assertErrorPage(404, "gone", pattern)
        return
    with pytest.raises(AssertionError, match=failure):
        case.assertErrorPage(404, "gone", pattern)


def test_another_error_page_fails(case: CPWebCase) -> None:
    """By status and by message."""
    case.body = get_error_page("404 Not Found", message="gone")

    for status, message in ((403, "gone"), (404, "lost")):
        with pytest.raises(AssertionError, match="Error page does not match"):
            case.assertErrorPage(status, message)


def test_dates_are_compared_with_tolerance(case: CPWebCase) -> None:
    """Two seconds, or what is asked for."""
    now = datetime.datetime(2026, 11, 21)

    case.assertEqualDates(now, now + datetime.timedelta(seconds=1.9))
    case.assertEqualDates(now, now - datetime.timedelta(seconds=9), seconds=10)
    for seconds, allowed in ((2, None), (1, 0.5)):
        with pytest.raises(AssertionError, match=f"are not within {allowed or 2}"):
            case.assertEqualDates(now, now + datetime.timedelta(seconds=seconds), allowed)


def test_the_client_is_pointed_at_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the port it really has."""
    server = SimpleNamespace(bound_addr=("0.0.0.0", 8123), ssl_certificate="a.pem")
    monkeypatch.setattr(cherrypy, "server", server)
    for name in ("HOST", "PORT", "scheme"):
        monkeypatch.setattr(webtest.WebCase, name, getattr(webtest.WebCase, name))

    helper.setup_client()

    assert (webtest.WebCase.HOST, webtest.WebCase.PORT, webtest.WebCase.scheme) == ("0.0.0.0", 8123, "https")


def test_the_bus_may_be_watched(capsys: pytest.CaptureFixture[str]) -> None:
    """Line by line."""
    helper.log_to_stderr("Bus STARTED", 20)

    assert capsys.readouterr().err == "Bus STARTED\n"


@pytest.mark.parametrize("validate", [False, True])
def test_the_site_may_stand_behind_a_validator(validate: bool) -> None:
    """Of the standard library, which finds what breaks the rules of WSGI."""
    supervisor = helper.LocalWSGISupervisor.__new__(helper.LocalWSGISupervisor)
    supervisor.validate = validate
    app = supervisor.get_app(lambda environ, start_response: None)

    environ: dict[str, object] = {"QUERY_STRING": ""}
    setup_testing_defaults(environ)

    assert (app.__name__ == "<lambda>") != validate
    if validate:
        with pytest.raises(AssertionError):
            app(environ, lambda status, headers, exc_info=None: None)
