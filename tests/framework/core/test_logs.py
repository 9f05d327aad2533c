"""The logs: lines, escapes, readers, files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cherrypy
from cherrypy.core.logs import LogManager, _escaped, has_reader, reopen_all_files


def test_an_access_line(site: Any, page: Any, tmp_path: Path) -> None:
    """Apache's combined format without the zone."""
    app = site.mount(page(lambda **params: "ok"))
    app.log.access_file = str(tmp_path / "access.log")
    site("/?a=b", headers={"Referer": "http://r/", "User-Agent": 'a "b"'})
    app.log.access_file = ""
    line = (tmp_path / "access.log").read_text()

    assert line.startswith("192.0.2.1 - - [")
    assert line.endswith('] "GET /?a=b HTTP/1.1" 200 2 "http://r/" "a \\"b\\""\n')


def test_nothing_is_formatted_that_nobody_reads(site: Any, page: Any) -> None:
    """Headers stay unparsed when there is no access log."""
    states: list[Any] = []

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            states.append(cherrypy.serving.request)
            return ""

    app = site.mount(Root())
    app.log.access_log.propagate = False
    site("/")

    assert "headers" not in states[0].__dict__


def test_readers_are_found_along_the_loggers() -> None:
    """A NullHandler does not read; a handler of a parent does, unless the child keeps to itself."""
    manager = LogManager("test_readers", "test_root")
    parent = logging.getLogger("test_root")
    parent.propagate = False
    alone = has_reader(manager.error_log, logging.INFO)
    handler = logging.Handler()
    parent.addHandler(handler)
    heard = has_reader(manager.error_log, logging.INFO)
    manager.error_log.propagate = False

    assert (alone, heard, has_reader(manager.error_log, logging.INFO)) == (False, True, False)
    parent.removeHandler(handler)


def test_lines_cannot_be_forged() -> None:
    """Control characters and quotes are escaped, other text is shown as octets."""
    assert _escaped('a"b\r\nc\u20ac') == 'a\\"b\\r\\nc\\xe2\\x82\\xac'


def test_files_are_reopened(tmp_path: Path) -> None:
    """After a rotation the lines go to the new file."""
    manager = LogManager("test_reopen")
    manager.error_file = str(tmp_path / "error.log")
    manager("first")
    (tmp_path / "error.log").rename(tmp_path / "error.log.1")
    reopen_all_files()
    manager("second")
    manager.error_file = ""

    assert "first" in (tmp_path / "error.log.1").read_text()
    assert "second" in (tmp_path / "error.log").read_text()


def test_the_global_log_is_the_applications_inside_a_request(site: Any, page: Any, tmp_path: Path) -> None:
    """cherrypy.log('x') of a page goes to the logs of its application."""
    app = site.mount(page(lambda: cherrypy.log("from the page", "CONTEXT") or ""))
    app.log.error_file = str(tmp_path / "error.log")
    site("/")
    app.log.error_file = ""

    assert "] CONTEXT from the page" in (tmp_path / "error.log").read_text()
