"""That no line is written twice, and that ``logging.config`` has its way."""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
import pty
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from cherrypy.core.loghandlers import NotTwice, _writes_alike
from cherrypy.core.logs import LogManager


@pytest.fixture
def managers() -> Iterator[tuple[LogManager, LogManager]]:
    """The logs of a site and of its application, which end there."""
    site, app = LogManager(None, "test_twice"), LogManager("app", "test_twice")
    for logger in (site.error_log, site.access_log):
        logger.propagate = False
    yield site, app
    for manager in (app, site):
        manager.screen = False
        manager.error_file = manager.access_file = ""


def test_site_and_application_on_one_screen(
    managers: tuple[LogManager, LogManager], capsys: pytest.CaptureFixture[str]
) -> None:
    """The line comes once."""
    for manager in managers:
        manager.screen = True

    managers[1]("hello")

    assert capsys.readouterr().err.count("hello") == 1


def test_site_and_application_in_one_file(managers: tuple[LogManager, LogManager], tmp_path: Path) -> None:
    """Likewise."""
    for manager in managers:
        manager.error_file = str(tmp_path / "error.log")

    managers[1]("hello")

    assert (tmp_path / "error.log").read_text().count("hello") == 1


def test_a_handler_of_the_applications_own_takes_over(
    managers: tuple[LogManager, LogManager], capsys: pytest.CaptureFixture[str]
) -> None:
    """It was added for its format; the built-in one need not be switched off for it."""
    site, _ = managers
    own = logging.StreamHandler(sys.stderr)
    own.setFormatter(logging.Formatter("own: %(message)s"))
    site.screen = True
    site.error_log.addHandler(own)

    site("hello")
    site.error_log.removeHandler(own)
    site("again")

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("own: [")
    assert second.startswith("[")


def test_different_files_both_have_it(managers: tuple[LogManager, LogManager], tmp_path: Path) -> None:
    """The application's own, and the site's."""
    for number, manager in enumerate(managers):
        manager.error_file = str(tmp_path / f"{number}.log")

    managers[1]("hello")

    assert all((tmp_path / f"{number}.log").read_text().count("hello") == 1 for number in (0, 1))


@pytest.mark.parametrize("reason", ["level", "filter", "propagation"])
def test_a_handler_that_may_not_write_it_does_not_count(
    managers: tuple[LogManager, LogManager], capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    """Better twice than never."""
    site, app = managers
    app.screen = True
    above = logging.StreamHandler(sys.stderr)
    above.addFilter(lambda record: reason != "filter")
    above.setLevel(logging.CRITICAL if reason == "level" else logging.NOTSET)
    site.error_log.addHandler(above)
    app.error_log.propagate = reason != "propagation"

    app("hello")
    site.error_log.removeHandler(above)
    app.error_log.propagate = True

    assert capsys.readouterr().err.count("hello") == 1


def test_two_streams_of_one_terminal_are_one_place() -> None:
    """Standard output and error of somebody who sits there."""
    primary, secondary = pty.openpty()
    with os.fdopen(secondary, "w") as out, os.fdopen(os.dup(secondary), "w") as err, io.StringIO() as text:
        handlers = [logging.StreamHandler(stream) for stream in (out, err, text)]

        assert _writes_alike(handlers[0], handlers[1])
        assert not _writes_alike(handlers[0], handlers[2])
    os.close(primary)


@pytest.mark.parametrize(
    "other",
    [logging.NullHandler(), logging.StreamHandler(io.StringIO()), logging.handlers.MemoryHandler(1)],
)
def test_other_handlers_are_other_places(other: logging.Handler) -> None:
    """Whoever collects lines gets them, and the screen has them, too."""
    assert not _writes_alike(logging.StreamHandler(sys.stderr), other)


def test_built_in_handlers_have_the_filter(managers: tuple[LogManager, LogManager], tmp_path: Path) -> None:
    """Others are the application's own business."""
    site, _ = managers
    site.screen = site.wsgi = True
    site.error_file = str(tmp_path / "error.log")
    built_in = [handler for handler in site.error_log.handlers if hasattr(handler, "_cpbuiltin")]

    assert sorted(handler._cpbuiltin for handler in built_in) == ["file", "screen", "wsgi"]
    assert all(isinstance(handler.filters[0], NotTwice) for handler in built_in)
    site.wsgi = False


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A program that uses the logs of the site."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_root_logger_does_not_double_the_screen(when: str) -> None:
    """``logging.basicConfig`` writes to stderr as well."""
    basic = "logging.basicConfig(level='INFO')"
    done = run(f"""
        import logging
        {basic if when == "before" else ""}
        import cherrypy
        {basic if when == "after" else ""}
        cherrypy.log("hello")
        """)

    assert done.stderr.count("hello") == 1


def test_what_dict_config_said_before_the_import_stands() -> None:
    """Levels and handlers of the loggers' names."""
    done = run("""
        import logging.config
        logging.config.dictConfig({
            "version": 1,
            "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}},
            "loggers": {"cherrypy.error": {"level": "WARNING", "handlers": ["out"]}},
        })
        import cherrypy
        cherrypy.log.screen = False
        cherrypy.log("quiet")
        cherrypy.log("loud", severity=40)
        """)

    assert "quiet" not in done.stdout
    assert done.stdout.endswith("]  loud\n")


def test_dict_config_after_the_import_takes_over(tmp_path: Path) -> None:
    """One entry for ``cherrypy`` gets both logs of the site and of all applications, rotated as it likes."""
    done = run(f"""
        import logging.config
        import cherrypy
        app = cherrypy.Application(None)
        logging.config.dictConfig({{
            "version": 1,
            "handlers": {{"file": {{"class": "logging.handlers.RotatingFileHandler",
                                    "filename": {str(tmp_path / "all")!r}, "maxBytes": 60, "backupCount": 3}}}},
            "loggers": {{"cherrypy": {{"level": "INFO", "handlers": ["file"]}}}},
        }})
        assert not cherrypy.log.screen
        for number in range(3):
            app.log("line of the application", str(number))
            cherrypy.log("line of the site", str(number))
        """)

    assert done.stderr == ""
    assert len(list(tmp_path.iterdir())) == 4
    assert (tmp_path / "all").read_text().endswith("] 2 line of the site\n")
