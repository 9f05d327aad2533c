"""Loaded applications on the tree, with their configurations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from kirsch.errors import SuperviseError
from kirsch.spec import App
from kirsch.worker.isolation import BrokenMount
from kirsch.worker.load import Kind, Loaded
from kirsch.worker.mount import mount_all, read_config
from kirsch.worker.records import NamedRequests
from kirsch.worker.voice import Voice


class Root:
    @cherrypy.expose
    def index(self) -> str:
        return "x"


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return []


@pytest.fixture(autouse=True)
def _clean_tree() -> Iterator[None]:
    apps = dict(cherrypy.tree.apps)
    cherrypy.tree.apps.clear()
    yield
    cherrypy.tree.apps.clear()
    cherrypy.tree.apps.update(apps)


def loaded(name: str, kind: Kind, target: Any, mount: str = "/", config: Any = None) -> Loaded:
    return Loaded(App(name=name, entry="a:b", mount=mount, config=config), kind, target)


def test_roots_and_foreign_applications_stand_beside_each_other(voice: Voice) -> None:
    """Mount "/" is the empty script name."""
    mount_all([loaded("a", "root", Root()), loaded("b", "wsgi", wsgi, "/legacy")], voice)

    assert set(cherrypy.tree.apps) == {"", "/legacy"}
    assert cherrypy.tree.apps["/legacy"].target is wsgi


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["root_path"].encode()})


def test_an_asgi_application_is_grafted(voice: Voice) -> None:
    """By the framework, which knows how to run it, with its request's id in what it logs."""
    mount_all([loaded("a", "asgi", asgi, "/modern")], voice)
    graft = cherrypy.tree.apps["/modern"].app

    assert isinstance(graft, NamedRequests)
    assert graft.app is asgi


def test_an_asgi_application_needs_our_own_server(make_voice: Callable[..., Voice]) -> None:
    """WSGI servers would answer 501 to each request; the boot says so once."""
    with pytest.raises(SuperviseError, match=r"app a is an ASGI application.*engine = \"native\""):
        mount_all([loaded("a", "asgi", asgi)], make_voice(engine="gunicorn"))


def test_an_isolated_app_fails_alone(voice: Voice, capfd: pytest.CaptureFixture[str]) -> None:
    """At its mount too: its configuration cannot be read, the neighbour is mounted."""
    broken = Loaded(App(name="a", entry="a:b", mount="/a", config="none.conf", isolate=True), "root", Root())
    mount_all([broken, loaded("b", "wsgi", wsgi)], voice)

    assert isinstance(cherrypy.tree.apps["/a"], BrokenMount)
    assert "" in cherrypy.tree.apps
    assert voice.broken["a"].startswith("FileNotFoundError")
    assert "Traceback" in capfd.readouterr().err


def test_an_application_moves_to_where_the_stack_wants_it(voice: Voice) -> None:
    """Also when its module had mounted it elsewhere."""
    application = cherrypy.tree.mount(Root(), "/old")
    mount_all([loaded("a", "application", application, "/new", {"/": {"tools.gzip.on": True}})], voice)

    assert set(cherrypy.tree.apps) == {"/new"}
    assert application.script_name == "/new"
    assert application.config["/"]["tools.gzip.on"] is True


def test_one_mount_twice_is_refused(voice: Voice) -> None:
    """Both apps are named, and the way out."""
    with pytest.raises(SuperviseError, match=r"app b: / is taken by app a .* a pool of its own"):
        mount_all([loaded("a", "root", Root()), loaded("b", "wsgi", wsgi)], voice)


def test_a_configuration_file_is_read_from_the_release(tmp_path: Path, voice: Voice) -> None:
    """Its [global] section goes to the site."""
    (tmp_path / "shop.conf").write_text("[global]\nshop.answer = 42\n[/]\ntools.gzip.on = True\n")
    mount_all([loaded("a", "root", Root(), config="shop.conf")], voice)

    assert cherrypy.config["shop.answer"] == 42
    assert cherrypy.tree.apps[""].config["/"]["tools.gzip.on"] is True
    assert "global" not in cherrypy.tree.apps[""].config


def test_keys_without_a_section_belong_to_the_root(tmp_path: Path) -> None:
    """An inline table may be flat."""
    config = {"tools.gzip.on": True, "/static": {"tools.staticdir.on": False}}

    assert read_config(App(name="a", entry="a:b", config=config), str(tmp_path)) == {
        "/": {"tools.gzip.on": True},
        "/static": {"tools.staticdir.on": False},
    }


def test_a_missing_configuration_is_an_error(tmp_path: Path) -> None:
    """It names the file."""
    with pytest.raises(OSError, match=r"none\.conf"):
        read_config(App(name="a", entry="a:b", config="none.conf"), str(tmp_path))
