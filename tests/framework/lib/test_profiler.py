"""Profiles of pages."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import profiler


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


def test_the_documented_names() -> None:
    """Parameters and defaults."""
    parameters = {
        profiler.Profiler: "(path: 'str | None' = None)",
        profiler.ProfileAggregator: "(path: 'str | None' = None)",
        profiler.serve: "(path: 'str | None' = None, port: 'int' = 8080)",
    }
    for function, signature in parameters.items():
        assert str(inspect.signature(function)).startswith(signature)

    assert list(inspect.signature(profiler.make_app).parameters) == ["nextapp", "path", "aggregate"]
    assert issubclass(profiler.ProfileAggregator, profiler.Profiler)


def test_profiles_are_kept_below_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, in a directory that is made."""
    monkeypatch.chdir(tmp_path)
    profile = profiler.Profiler()

    assert profile.path == str(tmp_path / "profile")
    assert os.path.isdir(profile.path)
    assert profile.menu() == "<h2>Profiles</h2>\n<p>No profiles yet.</p>"


def test_a_failing_page_is_profiled_too(tmp_path: Path) -> None:
    """And its error goes on."""
    profile, whole = profiler.Profiler(str(tmp_path / "a")), profiler.ProfileAggregator(str(tmp_path / "b"))
    for one in (profile, whole):
        with pytest.raises(ZeroDivisionError):
            one.run(lambda number: 1 / number, 0)
        assert len(one.statfiles()) == 1


def test_the_aggregate_grows(tmp_path: Path) -> None:
    """All calls in one table, sorted as asked."""
    whole = profiler.ProfileAggregator(str(tmp_path))
    for _ in range(3):
        whole.run(max, 1, 2)

    assert "3    0.000    0.000" in whole.stats(whole.statfiles()[0], sortby="calls")


def test_it_stands_in_an_application_s_pipeline(serve: Callable[..., Any], tmp_path: Path) -> None:
    """``wsgi.pipeline``, with its path configured."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            return "hello"

    config = {"wsgi.pipeline": [("profiler", profiler.make_app)], "wsgi.profiler.path": str(tmp_path)}
    browser = serve(Root(), config)

    assert browser("/").body == b"hello"
    assert len(profiler.Profiler(str(tmp_path)).statfiles()) == 1
