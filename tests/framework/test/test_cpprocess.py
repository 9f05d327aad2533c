"""A site in a process of its own."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from cherrypy.test import helper, webtest
from cherrypy.test.helper import CPProcess


def test_the_certificate_for_tests_loads() -> None:
    """The one that came with CherryPy is too weak for OpenSSL 3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    context.load_cert_chain(CPProcess.serverpem)

    assert helper.serverpem == CPProcess.serverpem


APPLICATION = """
import cherrypy

class Root:
    @cherrypy.expose
    def index(self):
        return cherrypy.request.scheme + str(cherrypy.config.get("mine"))

cherrypy.tree.mount(Root())
"""


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CPProcess]:
    """Make processes of an application, with their files in a folder of the test."""
    (tmp_path / "kirsch_helped.py").write_text(APPLICATION)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("pid_file", "config_file", "error_log", "access_log"):
        monkeypatch.setattr(CPProcess, name, str(tmp_path / name))

    def make(**options: object) -> CPProcess:
        made = CPProcess(socket_host="127.0.0.1", socket_port=helper.free_port(0), **options)
        made.write_conf("mine: 5\nengine.autoreload.on: False")
        return made

    return make


@pytest.mark.parametrize("options", [{}, {"ssl": True}, {"daemonize": True}])
def test_a_process_of_its_own(process: Callable[..., CPProcess], options: dict[str, bool]) -> None:
    """Configured, served, signalled and waited for; as a child, as a daemon, over TLS."""
    child = process(**options)

    child.start("kirsch_helped")
    case = webtest.WebCase()
    case.PORT, case.scheme = child.port, "https" if child.ssl else "http"
    case.ssl_context = ssl._create_unverified_context() if child.ssl else None
    case.HTTP_CONN = webtest.CONNECTIONS[case.scheme]
    case.getPage("/")
    pid = child.get_pid()
    os.kill(pid, signal.SIGTERM)
    child.join()

    case.assertBody(f"{case.scheme}5")
    assert not Path(f"/proc/{pid}").exists() or child._proc.returncode == 0
    assert "ENGINE Bus EXITED" in Path(child.error_log).read_text()


def test_a_process_is_waited_for(process: Callable[..., CPProcess], tmp_path: Path) -> None:
    """With the status it ended with."""
    (tmp_path / "kirsch_failing.py").write_text("import cherrypy; cherrypy.engine.subscribe('start', lambda: 1 / 0)")
    child = process(wait=True)

    child.start(["kirsch_failing"])

    assert child.exit_code == 1


def test_a_process_that_was_not_started_has_no_number(process: Callable[..., CPProcess]) -> None:
    """And is not waited for."""
    with pytest.raises(RuntimeError, match="was not started"):
        process().get_pid()

    assert process().join() is None
