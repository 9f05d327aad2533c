"""The lines of the access log: atoms, escapes, durations."""

from __future__ import annotations

import datetime
import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.core import accesslines, logs
from cherrypy.core.accesslines import escaped
from cherrypy.core.logs import LogManager


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


@pytest.fixture
def accesses(site: Any, page: Any) -> Any:
    """Ask an application whose page returns "ok"; returns its access lines in the format given."""

    def ask(
        access_log_format: str, target: str = "/", headers: dict[str, str] | None = None, **page_of: Any
    ) -> list[str]:
        app = site.mount(page(page_of.get("function", lambda **params: "ok")))
        app.log.access_log_format = access_log_format
        lines = Lines()
        app.log.access_log.addHandler(lines)
        app.log.error_log.addHandler(lines)
        site(target, headers=headers)
        return lines.texts

    return ask


def test_an_access_line(site: Any, page: Any, tmp_path: Path) -> None:
    """Apache's combined format without the zone."""
    app = site.mount(page(lambda **params: "ok"))
    app.log.access_file = str(tmp_path / "access.log")
    site("/?a=b", headers={"Referer": "http://r/", "User-Agent": 'a "b"'})
    app.log.access_file = ""
    line = (tmp_path / "access.log").read_text()

    assert line.startswith("192.0.2.1 - - [")
    assert line.endswith('] "GET /?a=b HTTP/1.1" 200 2 "http://r/" "a \\"b\\""\n')


def test_the_default_format_is_a_class_attribute() -> None:
    """Tests and applications replace it there."""
    assert LogManager.access_log_format == '{h} {l} {u} {t} "{r}" {s} {b} "{f}" "{a}"'


@pytest.mark.parametrize(
    ("atom", "pattern"),
    [
        ("{h}", r"192\.0\.2\.1"),
        ("{l}", "-"),
        ("{u}", "-"),
        ("{t}", r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\]"),
        ("{r}", r"GET /\?q=1 HTTP/1\.1"),
        ("{s}", "200"),
        ("{b}", "2"),
        ("{f}", "http://from/"),
        ("{a}", "client/1"),
        ("{o}", r"site\.test"),
        ("{i}", "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"),
        ("{z}", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
        ("{tz}", r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"),
        ("{D}", r"\d+"),
        ("{D:>12}", r" *\d+"),
    ],
)
def test_every_atom(accesses: Any, atom: str, pattern: str) -> None:
    """What it says of a request."""
    (line,) = accesses(atom, "/?q=1", {"Referer": "http://from/", "User-Agent": "client/1"})

    assert re.fullmatch(pattern, line), line


def test_atoms_of_a_bare_request(accesses: Any) -> None:
    """What is not there is empty, or a hyphen."""
    assert accesses("{f}|{a}|{u}") == ["||-"]


def test_the_user_is_the_one_who_logged_in(accesses: Any) -> None:
    """Authentication tools put the name there."""

    def logged_in() -> str:
        cherrypy.request.login = "anna"
        return "ok"

    assert accesses("{u}", function=logged_in) == ["anna"]


def test_the_name_of_a_client_wins_over_its_address(accesses: Any) -> None:
    """If somebody looked it up."""

    def named() -> str:
        cherrypy.request.remote.name = "client.example"
        return "ok"

    assert accesses("{h}", function=named) == ["client.example"]


def test_the_duration_counts_what_the_page_took(accesses: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In microseconds, as Apache's %D; a clock that is set back makes it none."""

    def slow(seconds: str) -> str:
        cherrypy.response.time = 1000.0
        monkeypatch.setattr(accesslines, "time", lambda: 1000.0 + float(seconds))
        return "ok"

    assert accesses("{D}", "/?seconds=0.25", function=slow) == ["250000"]
    assert accesses("{D}", "/?seconds=-5", function=slow) == ["0"]


def test_a_duration_without_a_beginning_is_a_hyphen() -> None:
    """Of a response that somebody has put in the place of ours."""
    assert accesslines._microseconds(SimpleNamespace(time=None)) == "-"


def test_durations_keep_pages_on_the_short_way(accesses: Any) -> None:
    """Nothing listens to the beginning of requests for them."""
    before = {channel: set(found) for channel, found in cherrypy.engine.listeners.items()}
    accesses("{D}")

    assert dict(cherrypy.engine.listeners) == before


def test_utc_time_is_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream wrote "+00:00Z" in the end, which no parser takes; the clock is looked up when it is asked."""
    now = datetime.datetime(2026, 11, 21, 3, 12, 7, 123456, tzinfo=datetime.UTC)

    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime.datetime:
            return now.astimezone(tz)

    monkeypatch.setattr(logs.datetime, "datetime", Frozen)

    assert str(logs.LazyRfc3339UtcTime()) == "2026-11-21T03:12:07.123456Z"


def test_an_unknown_atom_is_named(accesses: Any) -> None:
    """In the error log, with the key, and with the atoms there are."""
    (line,) = accesses("{h} {q}")

    assert "log.access_log_format is '{h} {q}'; there is no atom 'q'. Atoms are: h l u t r s b f a o i z tz D." in line


def test_lines_cannot_be_forged() -> None:
    """Control characters and quotes are escaped, other text is shown as octets."""
    assert escaped('a"b\r\nc\u20ac') == 'a\\"b\\r\\nc\\xe2\\x82\\xac'
    assert escaped(b"\xe9") == "\\xc3\\xa9"


def test_one_level_of_backslashes_is_left() -> None:
    """As the client wrote them."""
    assert escaped("C:\\path\n") == "C:\\path\\n"
    assert escaped("it's\n") == "it's\\n"


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
