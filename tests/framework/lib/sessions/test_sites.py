"""Applications with sessions beside each other, and beside other software."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import sessions


@pytest.mark.parametrize("neighbour", ["x[1]=2", "a,b=1", 'x={"a": 1}', "=", "novalue", "\xfc=1", '"', "a=\x80"])
@pytest.mark.parametrize("order", ["{bad}; {good}", "{good}; {bad}"])
def test_a_malformed_neighbour_cookie_costs_nothing(
    serve: Callable[..., Any], pages: Any, neighbour: str, order: str
) -> None:
    """Other software on the same host must not log our users out."""
    browser = serve(pages, sessions__on=True, sessions__clean_freq=0)
    browser("/")
    good = f"session_id={browser.cookies['session_id']}"

    assert browser("/", headers={"Cookie": order.format(good=good, bad=neighbour)}).body == b"2"


def test_two_applications_have_a_store_each(serve: Callable[..., Any], tmp_path: Path) -> None:
    """In one process, with two kinds of store, or two places of one kind."""

    def site(**settings: Any) -> Any:
        from types import SimpleNamespace

        @cherrypy.expose
        def index() -> str:
            cherrypy.session["n"] = cherrypy.session.get("n", 0) + 1
            return f"{type(cherrypy.serving.session).__name__} {cherrypy.session['n']}"

        return serve(
            SimpleNamespace(index=index), sessions__on=True, **{f"sessions__{k}": v for k, v in settings.items()}
        )

    ram = site()
    one = site(storage_class=sessions.FileSession, storage_path=str(tmp_path / "one"), lock_timeout=0.5)
    two = site(storage_class="cherrypy.lib.sessions.FileSession", storage_path=str(tmp_path / "two"))

    assert ram("/").body == b"RamSession 1"
    assert [one("/").body, two("/").body, one("/").body] == [b"FileSession 1", b"FileSession 1", b"FileSession 2"]
    assert ram("/").body == b"RamSession 2"
    names = [[path.name for path in (tmp_path / name).iterdir() if path.suffix != ".lock"] for name in ("one", "two")]
    assert names == [[f"session-{one.cookies['session_id']}"], [f"session-{two.cookies['session_id']}"]]
    # what the one was told does not hold for the other
    assert sessions.FileSession.lock_timeout is None


def test_each_store_class_is_set_up_once(serve: Callable[..., Any], pages: Any) -> None:
    """Also the store of a second application, and with its settings."""
    calls = []

    class Store(sessions.RamSession):
        @classmethod
        def setup(cls, **kwargs: Any) -> None:
            calls.append((cls.__name__, kwargs))

    class Other(Store):
        pass

    for store in (Store, Other):
        browser = serve(
            pages, sessions__on=True, sessions__storage_class=store, sessions__extra=1, sessions__clean_freq=0
        )
        browser("/")
        browser("/")

    assert calls == [("Store", {"extra": 1}), ("Other", {"extra": 1})]


def test_settings_become_attributes_of_the_session(serve: Callable[..., Any]) -> None:
    """Those of the tool, and whatever a store of one's own wants to be told."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            session = cherrypy.session
            return f"{session.timeout} {session.clean_freq} {session.debug} {session.extra} {session.lock_timeout}"

    browser = serve(
        Root(), sessions__on=True, sessions__timeout=7, sessions__clean_freq=0, sessions__debug=True,
        sessions__extra="x", sessions__lock_timeout=datetime.timedelta(seconds=2),
    )  # fmt: skip

    assert browser("/").body == b"7 0 True x 0:00:02"


def test_the_session_is_announced_when_the_first_is_there(serve: Callable[..., Any], pages: Any) -> None:
    """``cherrypy.session`` stands for that of the current request."""
    serve(pages, sessions__on=True, sessions__clean_freq=0)("/")

    assert type(cherrypy.session).__name__ == "ThreadLocalProxy"
