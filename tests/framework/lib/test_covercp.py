"""The page of test coverage."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cherrypy.lib import covercp


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


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A package ``coverage`` that notes what it is asked for."""
    made: list[Any] = []

    class Coverage(FakeCoverage):
        def __init__(self, data_file: str) -> None:
            super().__init__("/a/b.py")
            self.data_file = data_file
            self.acts: list[str] = []
            made.append(self)

        def start(self) -> None:
            self.acts.append("start")

        def load(self) -> None:
            self.acts.append("load")

    module = ModuleType("coverage")
    module.Coverage = Coverage  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "coverage", module)
    monkeypatch.setattr(covercp, "the_coverage", None)
    return made


def test_collecting_begins_once(package: list[Any]) -> None:
    """As a listener of the engine's start, early among them."""
    covercp.start()
    covercp.start()

    assert [one.acts for one in package] == [["start"]]
    assert covercp.the_coverage is package[0]
    assert package[0].data_file == covercp.localFile
    assert covercp.localFile.endswith("coverage.cache")
    assert covercp.start.priority == 20  # type: ignore[attr-defined]


def test_without_the_package_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The site starts all the same."""
    monkeypatch.setitem(sys.modules, "coverage", None)
    monkeypatch.setattr(covercp, "the_coverage", None)
    covercp.start()

    assert covercp.the_coverage is None
    assert covercp.get_tree("/", None) == {}
    with pytest.raises(ImportError):
        covercp.serve()


def test_the_data_are_served(package: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``serve(path, port, root)``."""
    served: list[Any] = []
    monkeypatch.setattr("cherrypy.lib.standalone.quickstart", [lambda *args: served.append(args)])
    covercp.serve("data", 1234, str(tmp_path))

    assert (package[0].data_file, package[0].acts) == ("data", ["load"])
    assert served[0][0].root == str(tmp_path)
    assert served[0][2]["global"]["server.socket_port"] == 1234
    assert list(inspect.signature(covercp.serve).parameters) == ["path", "port", "root"]


def test_the_tree_is_of_the_files_that_count() -> None:
    """Below the base, without what is excluded."""
    coverage = FakeCoverage("/a/test_b.py")

    assert covercp.get_tree("/", "", coverage) == {"a": {"test_b.py": None}, "elsewhere": {"x.py": None}}
    assert covercp.get_tree("/", "test", coverage) == {"elsewhere": {"x.py": None}}
    assert covercp.get_tree("/a", None, coverage) == {"a": {"test_b.py": None}}


def test_lines_are_coloured(tmp_path: Path) -> None:
    """Run, not run, excluded, neither; source is escaped."""
    file = tmp_path / "a.py"
    file.write_text("one\ntwo\nthree <b>\n\n")
    page = covercp.CoverStats(None, str(tmp_path)).annotated_file(str(file), [1, 2], [3], [2])

    assert [part.partition('"')[0] for part in page.split("background: ")[1:]] == ["#dfd", "#fdd", "#eee", "none"]
    assert "three &lt;b&gt;" in page


def test_the_menu_tells_what_is_below_the_mark(serve: Callable[..., Any], tmp_path: Path) -> None:
    """In bold; percentages only when asked for."""
    path = tmp_path / "code.py"
    path.write_text("a\nb\n")
    browser = serve(covercp.CoverStats(FakeCoverage(str(path)), str(tmp_path)))

    assert b"<b>" in browser("/menu?pct=60&showpct=1&exclude=nothing").body
    assert b"<b>" not in browser("/menu?pct=50&showpct=1&exclude=nothing").body
    assert b"%" not in browser("/menu?exclude=nothing").body.replace(b"%2F", b"")
    assert b"code.py" not in browser("/menu?exclude=code").body


def test_a_sibling_whose_name_begins_alike_is_not_shown(serve: Callable[..., Any], tmp_path: Path) -> None:
    """SECURITY: the root is a folder, not a prefix."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site-secret").mkdir()
    path = tmp_path / "site-secret" / "code.py"
    path.write_text("a\n")
    browser = serve(covercp.CoverStats(FakeCoverage(str(path)), str(tmp_path / "site")))

    assert browser(f"/report?name={path}").status == 404
    assert b"code.py" not in browser(f"/menu?base={tmp_path}/site-secret&exclude=nothing").body
    assert covercp.CoverStats(FakeCoverage(str(path)), "/")._files("/", "") == [str(path), "/elsewhere/x.py"]
