"""The logs: lines, atoms, escapes, properties, files."""

from __future__ import annotations

import gc
import io
import logging
import re
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.core.logs import LogManager, has_reader, reopen_all_files


@pytest.fixture
def manager(request: pytest.FixtureRequest) -> Iterator[LogManager]:
    """Logs of their own, which propagate to nobody."""
    made = LogManager(request.node.name, "test_logs")
    made.error_log.propagate = made.access_log.propagate = False
    yield made
    made.error_file = made.access_file = ""


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def texts(self) -> list[str]:
        return [record.getMessage() for record in self.records]


def test_the_site_and_an_application_have_two_loggers_each() -> None:
    """By the documented names; an application's propagate to the site's."""
    app = cherrypy.Application(None)

    assert (cherrypy.log.error_log.name, cherrypy.log.access_log.name) == ("cherrypy.error", "cherrypy.access")
    assert app.log.error_log.name == f"cherrypy.error.{id(app)}"
    assert app.log.access_log.name == f"cherrypy.access.{id(app)}"
    assert app.log.error_log.parent is cherrypy.log.error_log
    assert app.log.access_log.parent is cherrypy.log.access_log
    assert app.log.error_log.propagate
    assert (app.log.appid, app.log.logger_root) == (id(app), "cherrypy")


@pytest.mark.parametrize("log", ["error_log", "access_log"])
def test_loggers_are_at_info_and_never_without_a_handler(log: str) -> None:
    """Python would write warnings to stderr by itself otherwise."""
    logger = getattr(LogManager("levels", "test_levels"), log)

    assert logger.getEffectiveLevel() == logging.INFO
    assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]


def test_the_level_of_the_site_is_that_of_its_applications() -> None:
    """Until they get one of their own; it had to be set for each of them."""
    site, app = LogManager(None, "test_inherit"), LogManager("app", "test_inherit")
    site.error_log.setLevel(logging.ERROR)

    assert not app.error_log.isEnabledFor(logging.WARNING)
    assert app.access_log.isEnabledFor(logging.INFO)

    app.error_log.setLevel(logging.DEBUG)

    assert app.error_log.isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize(
    ("arguments", "text", "level"),
    [
        ((), "  ", logging.INFO),
        (("hello",), "  hello", logging.INFO),
        (("hello", "TOOLS.GZIP"), " TOOLS.GZIP hello", logging.INFO),
        (("hello", "HTTP", logging.ERROR), " HTTP hello", logging.ERROR),
    ],
)
def test_an_error_line(manager: LogManager, arguments: tuple[Any, ...], text: str, level: int) -> None:
    """Time, context, message; without a context two blanks."""
    lines = Lines()
    manager.error_log.addHandler(lines)
    manager.error_log.setLevel(logging.DEBUG)

    manager(*arguments)
    manager.error(*arguments)

    for record in lines.records:
        assert re.fullmatch(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\]" + re.escape(text), record.getMessage())
        assert record.levelno == level
    assert len(lines.records) == 2


def test_a_traceback_is_asked_for(manager: LogManager) -> None:
    """It is the record's, so that every handler may format it."""
    lines = Lines()
    manager.error_log.addHandler(lines)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        manager("failed", "HTTP", traceback=True)
        manager("failed", "HTTP")

    assert lines.records[0].exc_info[0] is ZeroDivisionError
    assert lines.records[1].exc_info is None


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


def test_the_screen_is_stderr_for_errors_and_stdout_for_accesses(manager: LogManager) -> None:
    """One handler each, however often it is switched on; none when it is off."""
    manager.screen = True
    manager.screen = True
    streams = [
        [handler.stream for handler in logger.handlers if getattr(handler, "_cpbuiltin", "") == "screen"]
        for logger in (manager.error_log, manager.access_log)
    ]

    assert manager.screen is True
    assert streams == [[sys.stderr], [sys.stdout]]

    manager.screen = False

    assert manager.screen is False
    assert not [handler for handler in manager.error_log.handlers if hasattr(handler, "_cpbuiltin")]


@pytest.mark.parametrize(("name", "log"), [("error_file", "error_log"), ("access_file", "access_log")])
def test_a_file_is_a_property(manager: LogManager, tmp_path: Path, name: str, log: str) -> None:
    """The same path keeps the handler, another one replaces it, and nothing removes it."""
    logger = getattr(manager, log)
    assert getattr(manager, name) == ""

    setattr(manager, name, str(tmp_path / "one.log"))
    (first,) = (handler for handler in logger.handlers if isinstance(handler, logging.FileHandler))
    setattr(manager, name, tmp_path / "one.log")
    assert first in logger.handlers
    assert first._cpbuiltin == "file"
    setattr(manager, name, str(tmp_path / "two.log"))
    assert first not in logger.handlers
    assert getattr(manager, name) == str(tmp_path / "two.log")
    setattr(manager, name, None)

    assert getattr(manager, name) == ""
    assert not [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]


@pytest.mark.parametrize("name", ["error_file", "access_file"])
def test_a_file_that_cannot_be_is_a_clear_error(manager: LogManager, tmp_path: Path, name: str) -> None:
    """With the key, and what may be wrong."""
    with pytest.raises(FileNotFoundError, match=rf"log\.{name} has to name a file in a folder that exists") as caught:
        setattr(manager, name, str(tmp_path / "missing" / "x.log"))
    with pytest.raises(TypeError, match=rf"log\.{name} is 5; it has to be the path of a file"):
        setattr(manager, name, 5)

    assert caught.value.filename == str(tmp_path / "missing" / "x.log")


def test_wsgi_writes_to_the_errors_of_the_request(manager: LogManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a request, and without such a stream, to nobody."""
    errors = io.StringIO()
    manager.wsgi = True
    manager("before")
    environ = {"wsgi.errors": errors}
    monkeypatch.setattr(cherrypy.serving, "request", SimpleNamespace(wsgi_environ=environ), raising=False)

    manager("inside")
    environ.clear()
    manager("without")
    on, manager.wsgi = manager.wsgi, False

    assert (on, manager.wsgi) == (True, False)
    assert errors.getvalue().endswith("]  inside\n")
    assert errors.getvalue().count("\n") == 1


def test_files_are_reopened(tmp_path: Path) -> None:
    """After a rotation the lines go to the new file; those of every manager."""
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


def test_the_logs_of_an_application_go_with_it(tmp_path: Path) -> None:
    """An id is given again: a later application would write to the files of an earlier one."""
    app = cherrypy.Application(None)
    name = app.log.error_log.name
    app.log.error_file = str(tmp_path / "error.log")
    (handler,) = (one for one in app.log.error_log.handlers if isinstance(one, logging.FileHandler))
    gone = weakref.ref(app)
    del app
    gc.collect()

    assert gone() is None
    assert handler.stream is None
    assert name not in logging.root.manager.loggerDict


def test_loggers_that_another_manager_has_stay() -> None:
    """Two managers of one name share them."""
    first, second = LogManager("shared", "test_shared"), LogManager("shared", "test_shared")
    del first
    gc.collect()

    assert logging.getLogger("test_shared.error.shared") is second.error_log
