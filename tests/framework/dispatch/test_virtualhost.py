"""Another part of the tree for each host name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.dispatch import MethodDispatcher, VirtualHost


class Part:
    """Says which part it is, and what the client's path was."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cherrypy.expose
    def index(self) -> str:
        return f"{self.name} {cherrypy.request.path_info} {cherrypy.url('x')}"

    @cherrypy.expose
    def default(self, *args: str) -> str:
        return f"{self.name} {args} {cherrypy.request.path_info}"


def mounted(site: Any, *args: Any, config: Any = None, **domains: Any) -> Any:
    """Return *site* with three parts behind a dispatcher made with the arguments."""
    root: Any = Part("root")
    root.one, root.two = Part("one"), Part("two")
    site.mount(root, config={"/": {"request.dispatch": VirtualHost(*args, **domains)}, **(config or {})})
    return site


HOSTS = {"one.test": "/one", "two.test:8080": "/two", "bare.test": "two", "slash.test": "/two/"}


@pytest.mark.parametrize(
    ("host", "path", "body"),
    [
        ("site.test", "/", "root / http://site.test/x"),
        ("one.test", "/", "one / http://one.test/x"),
        ("one.test", "/a/b", "one ('a', 'b') /a/b"),
        ("two.test:8080", "/a", "two ('a',) /a"),
        ("two.test", "/a", "root ('a',) /a"),
        ("ONE.Test", "/a", "one ('a',) /a"),
        ("one.test:9000", "/a", "one ('a',) /a"),
        ("one.test.", "/a", "one ('a',) /a"),
        ("one.test:x", "/a", "root ('a',) /a"),
        ("bare.test", "/a", "two ('a',) /a"),
        ("slash.test", "/a", "two ('a',) /a"),
    ],
)
def test_the_host_chooses_a_prefix(site: Any, host: str, path: str, body: str) -> None:
    """A name without a port stands for all ports; the client's path and URLs do not show the prefix."""
    assert mounted(site, **HOSTS)(path, headers={"Host": host}).body.decode() == body


def test_the_forwarded_host_goes_before(site: Any) -> None:
    """Unless ``use_x_forwarded_host`` is off."""
    said = {"X-Forwarded-Host": "one.test"}

    assert mounted(site, **HOSTS)("/a", headers=said).body.startswith(b"one")
    assert mounted(site, use_x_forwarded_host=False, **HOSTS)("/a", headers=said).body.startswith(b"root")


def test_any_dispatcher_may_be_behind(site: Any) -> None:
    """It gets the path with its prefix."""

    class Resource:
        exposed = True

        def GET(self) -> str:
            return "by method"

    root = type("Root", (), {"api": Resource()})()
    dispatcher = VirtualHost(MethodDispatcher(), **{"api.test": "/api"})
    site.mount(root, config={"/": {"request.dispatch": dispatcher}})

    assert site("/", headers={"Host": "api.test"}).body == b"by method"


def test_static_folders_are_found_below_a_prefix(site: Any, tmp_path: Path) -> None:
    """Staticdir cuts its section off the path that the client sees, which lacks the prefix."""
    (tmp_path / "page.txt").write_text("static text")
    config = {"/one/static": {"tools.staticdir.on": True, "tools.staticdir.dir": str(tmp_path)}}

    served = mounted(site, config=config, **HOSTS)

    assert served("/static/page.txt", headers={"Host": "one.test"}).body == b"static text"
    assert served("/one/static/page.txt").body == b"static text"


def test_configuration_is_that_of_the_prefixed_path(site: Any) -> None:
    """Sections name the tree's own paths."""
    config = {"/one": {"response.headers.X-Part": "one"}}

    served = mounted(site, config=config, **HOSTS)

    assert served("/", headers={"Host": "one.test"}).headers["X-Part"] == "one"
    assert "X-Part" not in served("/").headers
