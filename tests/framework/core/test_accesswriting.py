"""Who gets the line of an access: our files without a record, everybody else a record as ever."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.core import accesswriting
from cherrypy.core.logs import LogManager, logfmt


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def managers(tmp_path: Path) -> Iterator[tuple[LogManager, LogManager]]:
    """A site and an application that log into one file, and end there."""
    site, app = LogManager(None, "test_writing"), LogManager("app", "test_writing")
    site.access_log.propagate = False
    site.access_file = str(tmp_path / "site.log")
    yield site, app
    site.access_file = app.access_file = ""


@pytest.fixture
def made_records(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that records were made of."""
    made: list[str] = []
    factory = logging.getLogRecordFactory()

    def note(*arguments: Any, **keywords: Any) -> logging.LogRecord:
        record = factory(*arguments, **keywords)
        made.append(record.getMessage())
        return record

    monkeypatch.setattr(logging, "_logRecordFactory", note)
    return made


def test_our_file_needs_no_record(
    managers: tuple[LogManager, LogManager],
    made_records: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line is all that it writes."""
    logger = managers[0].access_log
    # pytest adds its own, also to loggers that do not propagate
    monkeypatch.setattr(logger, "handlers", [one for one in logger.handlers if "pytest" not in type(one).__module__])
    accesswriting.write_access(managers[1].access_log, "line")

    assert (tmp_path / "site.log").read_text() == "line\n"
    assert made_records == []


def test_files_of_site_and_application_both_have_it(managers: tuple[LogManager, LogManager], tmp_path: Path) -> None:
    """Once each; once if they are the same."""
    _, app = managers
    app.access_file = str(tmp_path / "app.log")
    accesswriting.write_access(app.access_log, "first")
    app.access_file = str(tmp_path / "site.log")
    accesswriting.write_access(app.access_log, "second")

    assert (tmp_path / "app.log").read_text() == "first\n"
    assert (tmp_path / "site.log").read_text() == "first\nsecond\n"


def test_an_application_that_keeps_to_itself(managers: tuple[LogManager, LogManager], tmp_path: Path) -> None:
    """``propagate = False``."""
    _, app = managers
    app.access_file = str(tmp_path / "app.log")
    app.access_log.propagate = False
    accesswriting.write_access(app.access_log, "line")
    app.access_log.propagate = True

    assert (tmp_path / "site.log").read_text() == ""


def test_another_handler_gets_a_record_at_once(managers: tuple[LogManager, LogManager], tmp_path: Path) -> None:
    """With all that a record has; and the file its line."""
    site, app = managers
    lines = Lines()
    site.access_log.addHandler(lines)
    accesswriting.write_access(app.access_log, "100% %s line")
    site.access_log.removeHandler(lines)
    (record,) = lines.records

    assert record.getMessage() == "100% %s line"
    assert (record.name, record.levelno, record.funcName) == (app.access_log.name, logging.INFO, "access")
    assert record.pathname == accesswriting.__file__
    assert (tmp_path / "site.log").read_text() == "100% %s line\n"


@pytest.mark.parametrize("change", ["formatter", "level", "filter", "class", "logger filter", "disabled", "log"])
def test_what_an_application_changes_counts(
    managers: tuple[LogManager, LogManager], tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of our handler, or of the logger."""
    site, _ = managers
    logger = site.access_log
    handler = site._get_builtin_handler(logger, "file")
    called: list[str] = []
    match change:
        case "formatter":
            handler.setFormatter(logging.Formatter("own: %(message)s"))
        case "level":
            handler.setLevel(logging.WARNING)
        case "filter":
            handler.addFilter(lambda record: "secret" not in record.getMessage())
        case "class":
            monkeypatch.setattr(handler, "__class__", type("Own", (type(handler),), {"emit": lambda *_: None}))
        case "logger filter":
            monkeypatch.setattr(logger, "filters", [lambda record: False])
        case "disabled":
            monkeypatch.setattr(logger, "disabled", True)
        case "log":
            monkeypatch.setattr(logger, "log", lambda level, message: called.append(message))

    accesswriting.write_access(logger, "secret")

    assert (tmp_path / "site.log").read_text() == ("own: secret\n" if change == "formatter" else "")
    assert called == (["secret"] if change == "log" else [])


def test_loggers_of_another_class_log_by_themselves(managers: tuple[LogManager, LogManager]) -> None:
    """An adapter in the place of a logger, say."""
    calls: list[tuple[int, str]] = []

    class Own(logging.Logger):
        def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
            calls.append((level, str(msg)))

    accesswriting.write_access(Own("own"), "line")

    assert calls == [(logging.INFO, "line")]


def test_the_format_of_a_built_in_handler_is_the_documented_one() -> None:
    """``cherrypy._cplogging.logfmt``."""
    assert cherrypy._cplogging.logfmt is logfmt
    assert logfmt._fmt == "%(message)s"
