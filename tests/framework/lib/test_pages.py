"""The pages for operators and developers: statistics, profiles, coverage, leaks; XML-RPC."""

from __future__ import annotations

import io
import json
import logging
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import covercp, cpstats, gctools, profiler, xmlrpcutil
from cherrypy.lib.locking import LockChecker, NeverExpires, Timer
from cherrypy.lib.standalone import quickstart


class Root:
    """Pages that are counted."""

    @cherrypy.expose
    def index(self) -> str:
        """Five letters."""
        return "hello"

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


def test_profiles_are_kept_and_shown(serve: Callable[..., Any], tmp_path: Path) -> None:
    """One for each run, or one for all."""
    single, whole = profiler.Profiler(str(tmp_path / "a")), profiler.ProfileAggregator(str(tmp_path / "b"))
    for _ in range(2):
        assert single.run(max, 1, 2) == whole.run(max, 1, 2) == 2
    browser = serve(single)

    assert (len(single.statfiles()), len(whole.statfiles())) == (2, 1)
    assert single.statfiles()[0].encode() in browser("/menu").body
    assert b"built-in method builtins.max" in browser(f"/report?filename={single.statfiles()[0]}").body
    assert b"iframe" in browser("/").body
    assert profiler.new_func_strip_path(("/a/b/__init__.py", 1, "f"))[0] == "b/__init__.py"
    assert profiler.new_func_strip_path(("/a/b.py", 1, "f"))[0] == "b.py"


def test_only_profiles_are_shown(serve: Callable[..., Any], tmp_path: Path) -> None:
    """SECURITY: a file name from the client leads nowhere else."""
    (tmp_path / "secret.prof").write_text("x")

    for name in ("../secret.prof", "secret.prof", "/etc/passwd"):
        assert serve(profiler.Profiler(str(tmp_path)))(f"/report?filename={name}").status == 404


def test_wsgi_applications_are_profiled(tmp_path: Path) -> None:
    """And closed."""
    closed = []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    for aggregate in (False, True):
        app = profiler.make_app(lambda environ, start: Body([b"a"]), str(tmp_path / str(aggregate)), aggregate)
        assert app({}, lambda *args: None) == [b"a"]
        assert len(app.profiler.statfiles()) == 1
    assert len(closed) == 2


class FakeCoverage:
    """Coverage data of one file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def get_data(self) -> Any:
        return self

    def measured_files(self) -> list[str]:
        return [self.path, "/elsewhere/x.py"]

    def analysis2(self, path: str) -> Any:
        return path, [1, 2], [], [2], "2"


def test_coverage_is_shown(serve: Callable[..., Any], tmp_path: Path) -> None:
    """Files with percentages, lines in colours, nothing outside the root."""
    path = tmp_path / "code.py"
    path.write_text("a = 1\nb = '<x>'\n")
    browser = serve(covercp.CoverStats(FakeCoverage(str(path)), str(tmp_path)))

    assert b"iframe" in browser("/").body
    assert b" 50% " in browser("/menu?showpct=1&exclude=nothing").body
    assert browser("/menu?pct=x&exclude=(").status == 200
    report = browser(f"/report?name={path}").body
    assert b"50%" in report
    assert b"&lt;x&gt;" in report
    assert browser("/report?name=/elsewhere/x.py").status == browser("/report?name=/etc/passwd").status == 404
    tree = covercp.get_tree(str(tmp_path), "", FakeCoverage(str(path)))
    assert str(tree).endswith("{'code.py': None}" + "}" * (str(tree).count("{") - 1))


def test_a_page_can_be_served_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through whatever the framework's top has put there."""
    served: list[Any] = []
    monkeypatch.setattr("cherrypy.lib.standalone.quickstart", [lambda *args: served.append(args)])
    profiler.serve(str(tmp_path), 1234)

    assert isinstance(served[0][0], profiler.Profiler)
    assert served[0][2]["global"]["server.socket_port"] == 1234
    monkeypatch.setattr("cherrypy.lib.standalone.quickstart", [])
    with pytest.raises(RuntimeError, match="import cherrypy first"):
        profiler.serve(str(tmp_path), 1234)
    assert isinstance(quickstart, list)


def test_leaks_are_told_with_their_keepers(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Just 'Statistics:' when all is well."""

    class Leak:
        pass

    root = gctools.GCRoot()
    gctools.request_counter.start()
    monkeypatch.setattr(gctools.GCRoot, "classes", [(Leak, 0, 0, "Should be none.")])
    browser = serve(root)

    assert browser("/").body == b"Hello, world!"
    assert browser("/stats").body == b"Statistics:"
    kept = [Leak()]
    told = browser("/stats").body
    assert b"1 instances, 0 to 0 expected. Should be none." in told
    assert b"REFERRERS TO" in told
    assert len(gctools.get_instances(Leak)) == len(kept)
    gctools.request_counter.unsubscribe()


def test_trees_of_keepers_are_short() -> None:
    """Long texts lose their middle."""
    tree = gctools.ReferrerTree(maxdepth=2)
    inside = ["x" * 100]
    outside = {"key": inside}

    assert len(tree.peek("a" * 100)) == 42
    assert any("key" in line for line in tree.format(tree.ascend(inside)))
    assert tree._format(outside["key"]).startswith("list: ")
    assert gctools.get_context(object()) == ""


class Rpc(cherrypy._cptools.XMLRPCController):
    """Procedures."""

    @cherrypy.expose
    def add(self, one: int, other: int) -> int:
        """Add."""
        return one + other

    @cherrypy.expose
    def fail(self) -> None:
        """Break."""
        raise RuntimeError("broken")


def test_procedures_are_called(serve: Callable[..., Any]) -> None:
    """Faults are answers with status 200, as XML-RPC wants."""
    browser = serve(Rpc())

    def call(body: str) -> Any:
        answer = browser("/", "POST", {"Content-Type": "text/xml"}, body.encode())
        assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/xml")
        return xmlrpc.client.loads(answer.body)[0][0]

    assert call(xmlrpc.client.dumps((1, 2), "add")) == 3
    for body, message in ((xmlrpc.client.dumps((), "fail"), "broken"), ("<junk", "not supported")):
        with pytest.raises(xmlrpc.client.Fault, match=message):
            call(body)
    with pytest.raises(xmlrpc.client.Fault, match="not supported"):
        call(xmlrpc.client.dumps((), "_cp_config"))


def test_the_usual_address_of_procedures() -> None:
    """``/RPC2`` falls away."""
    assert [xmlrpcutil.patched_path(path) for path in ("/RPC2", "/RPC2/x", "/x")] == ["/", "/x/", "/x/"]


def test_waiting_has_an_end() -> None:
    """Or none."""
    assert not NeverExpires().expired()
    assert not LockChecker("a", None).expired()
    assert Timer.after(-__import__("datetime").timedelta(1)).expired()
