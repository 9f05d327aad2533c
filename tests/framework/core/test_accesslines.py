"""Formats taken apart give the lines that ``str.format`` gives, and JSON the same facts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.core import accesslines
from cherrypy.core.accesslines import ATOMS, LineFormat, escaped, format_of, json_line
from cherrypy.core.logs import LogManager
from cherrypy.http.headers import HeaderMap

NASTY = ['"', "\r\nGET / forged", "caf\xe9", "\u20ac", "\udc80", "%s %(x)s {h}", "\\", "", "'", "\x00\x7f\t"]


def facts(text: str) -> tuple[Any, Any, Any]:
    """Make a manager, a request and a response that say *text* wherever a client can."""
    headers = HeaderMap({"Referer": text, "User-Agent": text, "Host": text})
    request = SimpleNamespace(
        remote=SimpleNamespace(name=text, ip="192.0.2.1"), login=text, request_line=text, headers=headers,
        unique_id="id", _headers=headers, _message=None, method="GET", _path=text, query_string=text,
        _req_protocol="HTTP/1.1",
    )  # fmt: skip
    response = SimpleNamespace(
        output_status=b"404 Not Found", _headers=headers, headers=HeaderMap({"Content-Length": "5"})
    )
    manager = SimpleNamespace(time=lambda: "[21/Nov/2026:03:12:07]", utc_time=lambda: "2026-11-21T03:12:07Z")
    return manager, request, response


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have times stand still."""
    monkeypatch.setattr(accesslines, "_utc_time", lambda: "2026-11-21T03:12:07.000000Z")
    monkeypatch.setattr(accesslines, "_zoned_time", lambda: "[zoned]")
    monkeypatch.setattr(accesslines, "_microseconds", lambda response: "1234")


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize(
    "line_format",
    [
        LogManager.access_log_format,
        '{h} {l} {u} {tz} "{r}" {s} {b} "{f}" "{a}" {o} {i} {z} {D}',
        "100% {{literal}} {h}%s",
        "{h:>20}|{s!r}|{D:>{b}}",
        "no atom",
        "",
    ],
)
def test_a_line_is_what_str_format_makes_of_escaped_atoms(line_format: str, text: str) -> None:
    """Whichever way it is made; and never more than one line."""
    manager, request, response = facts(text)
    harmless = ("i", "z", "tz", "D")
    atoms = {
        name: make(manager, request, response, None)
        if name in harmless
        else escaped(make(manager, request, response, None))
        for name, make in ATOMS.items()
    }
    line = LineFormat(line_format).line(manager, request, response)

    assert line == line_format.format(**{**atoms, "z": str(atoms["z"])})
    assert line.isprintable()


def test_an_atom_may_show_what_it_is_made_of() -> None:
    """``{i.uuid4.hex}``."""
    manager, request, response = facts("x")
    request.unique_id = SimpleNamespace(uuid4=SimpleNamespace(hex="abc"))

    assert LineFormat("{i.uuid4.hex}").line(manager, request, response) == "abc"


@pytest.mark.parametrize(("line_format", "error"), [("{q}", KeyError), ("{}", IndexError), ("{0}", IndexError)])
def test_unknown_atoms_are_errors_of_the_line(line_format: str, error: type[Exception]) -> None:
    """The manager says so in the error log."""
    with pytest.raises(error):
        LineFormat(line_format).line(*facts("x"))


def test_braces_that_do_not_fit_are_said_in_the_error_log(site: Any, page: Any, tmp_path: Path) -> None:
    """No request fails for it."""
    app = site.mount(page(lambda: "ok"))
    app.log.access_log_format = "{h"
    app.log.access_file = str(tmp_path / "access.log")
    app.log.error_file = str(tmp_path / "error.log")
    site("/")
    app.log.access_file = app.log.error_file = ""

    assert "ValueError" in (tmp_path / "error.log").read_text()
    assert (tmp_path / "access.log").read_text() == ""


def test_a_format_is_taken_apart_once() -> None:
    """And a few of them are remembered."""
    assert format_of("{h}") is format_of("{h}")


@pytest.mark.parametrize("text", NASTY)
def test_a_json_line_is_one_line_of_json(text: str) -> None:
    """Whatever a client says is a string, of the same characters."""
    line = json_line(*facts(text)[1:])
    known = json.loads(line)

    assert line.isascii()
    assert line.isprintable()
    assert known == {
        "time": "2026-11-21T03:12:07.000000Z", "remote": text or "192.0.2.1", "user": text or None, "method": "GET",
        "path": text or None, "query": text or None, "protocol": "HTTP/1.1", "status": 404, "bytes": 5,
        "referer": text or None, "user_agent": text or None, "host": text or None, "request_id": "id",
        "duration_us": 1234,
    }  # fmt: skip


def test_what_is_no_number_is_null() -> None:
    """No length for a stream, no status before there is one."""
    _, request, response = facts("x")
    response.headers.clear()
    response.output_status = None
    known = json.loads(json_line(request, response))

    assert (known["bytes"], known["status"]) == (None, None)


def test_json_is_switched_on_by_configuration(site: Any, page: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """For an application, or for the site and all applications that do not say otherwise."""
    monkeypatch.undo()
    app = site.mount(page(lambda **params: "ok"))
    app.log.access_file = str(tmp_path / "access.log")
    app.log.access_format = "json"
    site("/?a=1", headers={"Referer": "http://r/", "User-Agent": 'a "b"'})
    app.log.access_format = None
    site("/")
    cherrypy.config.update({"log.access_format": "json"})
    site("/")
    app.log.access_format = "text"
    site("/")
    cherrypy.config.update({"log.access_format": None})
    app.log.access_file = ""
    first, second, third, fourth = (tmp_path / "access.log").read_text().splitlines()
    known = json.loads(first)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", known.pop("time"))
    assert re.fullmatch(r"[0-9a-f-]{36}", known.pop("request_id"))
    assert known.pop("duration_us") >= 0
    assert known == {
        "remote": "192.0.2.1", "user": None, "method": "GET", "path": "/", "query": "a=1", "protocol": "HTTP/1.1",
        "status": 200, "bytes": 2, "referer": "http://r/", "user_agent": 'a "b"', "host": "site.test",
    }  # fmt: skip
    assert [line[:1] for line in (second, third, fourth)] == ["1", "{", "1"]


@pytest.mark.parametrize("value", ["xml", "JSON", "", True, 1])
def test_a_wrong_kind_of_line_is_refused(value: Any) -> None:
    """Where it is written, with its key."""
    manager = LogManager("test_wrong", "test_wrong")

    with pytest.raises(ValueError, match=r"log\.access_format is .*; it has to be 'text' or 'json'"):
        manager.access_format = value
    assert manager.access_format is None


@pytest.mark.parametrize("value", [-1, 61, "1", True, float("nan")])
def test_a_wrong_time_to_wait_is_refused(value: Any) -> None:
    """Likewise."""
    manager = LogManager("test_wrong", "test_wrong")

    with pytest.raises(
        ValueError, match=r"log\.access_flush_s is .*; it has to be seconds, 0 \(each line at once\) to 60"
    ):
        manager.access_flush_s = value


def test_the_time_to_wait_is_the_files_whichever_is_set_first(tmp_path: Path) -> None:
    """An application's own, else the site's, else half a second."""
    manager = LogManager("test_wait", "test_wait")
    manager.access_file = str(tmp_path / "access.log")
    (handler,) = (one for one in manager.access_log.handlers if hasattr(one, "flush_s"))
    waits = [handler.flush_s]
    manager.access_flush_s = 0
    waits.append(handler.flush_s)
    manager.access_file = str(tmp_path / "other.log")
    (handler,) = (one for one in manager.access_log.handlers if hasattr(one, "flush_s"))
    waits.append(handler.flush_s)
    manager.access_flush_s = None
    waits.append(handler.flush_s)
    manager.access_file = ""

    assert waits == [0.5, 0, 0, 0.5]


def test_the_local_time_is_written_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """And again with the next one."""
    moments = iter([1_000_000_000.1, 1_000_000_000.9, 1_000_000_001.0])
    asked: list[int] = []
    real = accesslines.localtime
    monkeypatch.setattr(accesslines, "time", lambda: next(moments))
    monkeypatch.setattr(accesslines, "localtime", lambda second: (asked.append(second), real(second))[1])
    first, same, later = (accesslines.local_time() for _ in range(3))

    assert first == same != later
    assert asked == [1_000_000_000, 1_000_000_001]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_230_727.25, "2026-11-21T03:12:07.250000Z"),
        (59.999999, "1970-01-01T00:00:59.99999"),
    ],
)
def test_utc_is_rfc_3339(monkeypatch: pytest.MonkeyPatch, moment: float, expected: str) -> None:
    """With microseconds, and the same second twice."""
    monkeypatch.undo()
    monkeypatch.setattr(accesslines, "time", lambda: moment)

    assert accesslines._utc_time().startswith(expected)
    assert accesslines._utc_time().startswith(expected)
    assert len(accesslines._utc_time()) == 27
