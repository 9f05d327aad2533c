"""The page of statistics, and the tool that collects them."""

from __future__ import annotations

import inspect
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import cpstats


class Root:
    """Pages that are counted."""

    @cherrypy.expose
    def index(self) -> str:
        """Five letters."""
        return "hello"

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def stream(self) -> Iterator[bytes]:
        """A body of unknown length."""
        yield b"a"

    @cherrypy.expose
    def read(self) -> bytes:
        """The body back."""
        return bytes(cherrypy.request.body.read())


@pytest.fixture
def counted(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A site whose requests are counted."""
    monkeypatch.setattr(cherrypy.tools, "cpstats", cpstats.StatsTool(), raising=False)
    root = Root()
    root.stats = cpstats.StatsPage()  # type: ignore[attr-defined]
    for name in ("Total Requests", "Total Bytes Read", "Total Bytes Written", "Current Requests"):
        cpstats.appstats[name] = 0
    cpstats.appstats["Requests"].clear()
    for name in ("Slow Queries", "URI Set Tracking"):
        cpstats.appstats.pop(name, None)
    return serve(
        root, cpstats__on=True, cpstats__uriset="all", cpstats__slow_queries=1e-9, cpstats__slow_queries_count=2
    )


def test_requests_are_counted(counted: Any) -> None:
    """Octets in and out, times, slow ones, sets of pages."""
    for _ in range(3):
        counted("/")
    counted("/read", "POST", {"Content-Type": "x/y"}, b"12345")
    stats = cpstats.extrapolate_statistics(cpstats.appstats)

    assert stats["Total Requests"] == 4
    assert stats["Current Requests"] == 0
    assert stats["Total Bytes Read"] == 5
    assert stats["Total Bytes Written"] == 20
    assert stats["Bytes Written/Request"] == 5
    assert stats["URI Set Tracking"]["all"]["Count"] == 4
    assert 0 < stats["URI Set Tracking"]["all"]["Avg"] <= stats["URI Set Tracking"]["all"]["Max"]
    assert len(stats["Slow Queries"]) == 2
    (record,) = stats["Requests"].values()
    assert record["Request-Line"] == "POST /read HTTP/1.1"
    assert record["Response Status"].startswith("200")


def test_the_statistics_are_shown(counted: Any) -> None:
    """As a page and as JSON; what clients sent is escaped."""
    logging.statistics["<Mine>"] = {"Enabled": True, "<x>": "<y>", "Never": None, "List": [{"a": 1}]}  # type: ignore[attr-defined]
    counted("/")
    page = counted("/stats/").body.decode()
    data = json.loads(counted("/stats/data").body)
    del logging.statistics["<Mine>"]  # type: ignore[attr-defined]

    assert "<h1>CherryPy Applications</h1>" in page
    assert "&lt;Mine&gt;" in page
    assert "<x>" not in page
    assert data["CherryPy Applications"]["Total Requests"] >= 1


def test_statistics_are_paused_by_a_form_alone(counted: Any) -> None:
    """SECURITY: a link or image on another page must not do it."""
    assert counted("/stats/pause?namespace=CherryPy+Applications").status == 405
    assert counted("/stats/pause", "POST", body=b"namespace=nothing").status == 404
    assert counted("/stats/pause", "POST", body=b"namespace=CherryPy+Applications").status == 303
    before = cpstats.appstats["Total Requests"]
    counted("/")
    assert cpstats.appstats["Total Requests"] == before
    counted("/stats/resume", "POST", body=b"namespace=CherryPy+Applications")
    counted("/")
    assert cpstats.appstats["Total Requests"] > before


def test_the_body_counter_reads_in_every_way() -> None:
    """And passes other attributes on."""
    counter = cpstats.ByteCountWrapper(io.BytesIO(b"a\nb\nc\nd"))

    assert (counter.read(2), counter.readline(), counter.readlines(1), list(counter)) == (
        b"a\n", b"b\n", [b"c\n"], [b"d"],
    )  # fmt: skip
    assert counter.bytes_read == 7
    assert counter.tell() == 7
    counter.close()


def test_times_and_the_decorator(serve: Callable[..., Any]) -> None:
    """Small helpers of the page."""
    assert cpstats.iso_format(0) == "1970-01-01 00:00:00"
    assert "1970" in cpstats.locale_date(0)
    assert "Resume" in cpstats.pause_resume("x")(False)
    assert cpstats.average_uriset_time({"Count": 0, "Sum": 0}) == 0

    @cpstats.StatsTool()(uriset="a")
    def page() -> None: ...

    assert page._cp_config == {"tools.cpstats.on": True, "tools.cpstats.uriset": "a"}  # type: ignore[attr-defined]


def test_everything_that_is_shared_under_the_documented_names(counted: Any) -> None:
    """``logging.statistics``: libraries that know nothing of us read and write it."""
    counted("/")
    stats = cpstats.extrapolate_statistics(logging.statistics)["CherryPy Applications"]  # type: ignore[attr-defined]

    assert set(stats) == {
        "Enabled", "Bytes Read/Request", "Bytes Read/Second", "Bytes Written/Request", "Bytes Written/Second",
        "Current Time", "Current Requests", "Requests/Second", "Server Version", "Start Time", "Total Bytes Read",
        "Total Bytes Written", "Total Requests", "Total Time", "Uptime", "Requests", "URI Set Tracking",
        "Slow Queries",
    }  # fmt: skip
    record_names = {
        "Bytes Read", "Bytes Written", "Client", "End Time", "Processing Time", "Request-Line", "Response Status",
        "Start Time",
    }  # fmt: skip
    assert set(stats["Requests"][threading.get_ident()]) == set(stats["Slow Queries"][0]) == record_names
    assert set(stats["URI Set Tracking"]["all"]) == {"Min", "Max", "Count", "Sum", "Avg"}
    assert stats["Server Version"] == cherrypy.__version__


def test_extrapolation_calls_functions_wherever_they_are() -> None:
    """With the dict that they stand in; the original is left alone."""
    scope = {"a": lambda s: s["b"] + 1, "b": 1, "c": {"d": len}, "e": [{"f": lambda s: "g"}, 5], "h": ("i",)}

    assert cpstats.extrapolate_statistics(scope) == {
        "a": 2, "b": 1, "c": {"d": 1}, "e": [{"f": "g"}, 5], "h": ["i"],
    }  # fmt: skip
    assert callable(scope["a"])


def test_the_tool_s_documented_parameters() -> None:
    """And their defaults."""
    parameters = list(inspect.signature(cpstats.StatsTool.record_stop).parameters.values())[1:-1]

    assert [(one.name, one.default) for one in parameters] == [
        ("uriset", None), ("slow_queries", 1.0), ("slow_queries_count", 100), ("debug", False),
    ]  # fmt: skip


def test_the_tool_appears_once_the_module_is_imported(serve: Callable[..., Any]) -> None:
    """``tools.cpstats.on`` in a configuration is all that is needed then."""
    tool = cherrypy.tools.cpstats
    before = cpstats.appstats["Total Requests"]

    assert (tool._name, tool._point, tool._priority, tool.namespace) == ("cpstats", "on_end_request", 50, "tools")
    assert tool.callable == tool.record_stop
    assert serve(Root(), cpstats__on=True)("/").status == 200
    assert cpstats.appstats["Total Requests"] == before + 1


def test_without_a_set_and_below_the_limit_only_totals_are_kept(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defaults of ``uriset`` and ``slow_queries``."""
    for name in ("Slow Queries", "URI Set Tracking"):
        cpstats.appstats.pop(name, None)
    serve(Root(), cpstats__on=True)("/")

    assert "Slow Queries" not in cpstats.appstats
    assert "URI Set Tracking" not in cpstats.appstats


def test_a_stream_ended_by_another_thread_is_counted(counted: Any) -> None:
    """Its record belongs to the request, not to whichever thread is there at the end."""
    request = SimpleNamespace(rfile=None, remote=SimpleNamespace(ip="a", port=1), request_line="GET / HTTP/1.1")
    response = SimpleNamespace(headers={}, stream=True, output_status=b"200 OK", status=None)
    seen: list[int] = []

    def run(act: Callable[[], None]) -> None:
        cherrypy.serving.load(request, response)
        act()
        seen.append(cpstats.appstats["Current Requests"])

    tool = cpstats.StatsTool()
    for act in (tool.record_start, tool.record_stop):
        thread = threading.Thread(target=run, args=[act])
        thread.start()
        thread.join()

    assert seen == [1, 0]
    (record,) = cpstats.appstats["Requests"].values()
    assert (record["Bytes Written"], record["Response Status"]) == ("chunked", "200 OK")


def test_a_failing_page_is_counted(serve: Callable[..., Any], counted: Any) -> None:
    """With its status."""

    class Broken:
        @cherrypy.expose
        def index(self) -> str:
            raise RuntimeError

    serve(Broken(), cpstats__on=True)("/")

    assert cpstats.appstats["Current Requests"] == 0
    assert cpstats.appstats["Requests"][threading.get_ident()]["Response Status"].startswith("500")


def test_values_can_be_picked_out_of_the_page(counted: Any) -> None:
    """By 'namespace-name', as scripts do."""
    assert b'<td id="CherryPy Applications-Total Requests">1</td>' in counted("/stats/").body


def test_formats_belong_to_the_page(counted: Any) -> None:
    """An application may add its own, or leave rows out with None."""
    formatting = cpstats.StatsPage.formatting

    assert set(formatting) == {"CherryPy Applications", "CherryPy WSGIServer"}
    assert formatting["CherryPy Applications"]["Uptime"] == "%.3f"
    columns, rows = cpstats.StatsPage().get_list_collection([{"a": 1.0, "b": 2}], {"a": "%.1f", "b": None})
    assert (columns, rows) == (["a"], [["1.0"]])
    columns, rows = cpstats.StatsPage().get_dict_collection({"x": {"a": 1}, "y": 5}, {"a": lambda value: f"<{value}>"})
    assert (columns, rows) == (["ID", "a"], [["x", "<1>"]])


def test_a_pause_is_refused_without_its_namespace(counted: Any) -> None:
    """404, as for any page that lacks a parameter."""
    assert counted("/stats/pause", "POST", body=b"").status == 404
    assert counted("/stats/resume?namespace=CherryPy+Applications").status == 405
    assert counted("/stats/resume?namespace=CherryPy+Applications").headers["Allow"] == "POST"
