"""What trusted proxies say of a client holds for everything that the site's server serves."""

from __future__ import annotations

import json
from typing import Any

import pytest

import cherrypy

from ..conftest import Site

SAID = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}


def tell(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """A WSGI application that says who asked it for what."""
    start_response("200 OK", [])
    return [json.dumps([environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]]).encode()]


class Root:
    """A page that says the same."""

    @cherrypy.expose
    @cherrypy.tools.json_out()
    def index(self) -> list[str]:
        """Answer by the request."""
        request = cherrypy.request
        return [request.remote.ip, request.scheme, request.base.partition("://")[2]]

    @cherrypy.expose
    @cherrypy.tools.json_out()
    def environ(self) -> list[str]:
        """Answer by the environ that the request would have had."""
        environ = cherrypy.request.wsgi_environ
        return [environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]]


def ask(site: Site, path: str) -> Any:
    """Return what is told behind a proxy at 192.0.2.1."""
    _, _, body, close = site.respond(site.message(path, "GET", SAID, b"", (1, 1)))
    found = json.loads(b"".join(body))
    if close is not None:
        close()
    return found


@pytest.fixture(params=["/", "/environ", "/graft", "/piped/"])
def place(request: pytest.FixtureRequest, site: Site) -> str:
    """A page, its environ, a WSGI application, a page behind middleware of its own."""
    site.mount(Root(), "")
    site.tree.graft(tell, "/graft")
    piped = site.mount(Root(), "/piped")
    piped.wsgiapp.pipeline = [("nothing", lambda app: app)]
    return str(request.param)


@pytest.mark.parametrize("trusted", [["192.0.2.0/24"], ["192.0.2.1"]])
def test_a_trusted_proxy_speaks_for_its_clients(site: Site, place: str, trusted: list[str]) -> None:
    """Address, scheme and host are the client's."""
    site.server.trusted_proxies = trusted

    assert ask(site, place) == ["203.0.113.7", "https", "shop.example"]


@pytest.mark.parametrize("trusted", [None, [], ["198.51.100.0/24"], ["unix:"]])
def test_nobody_else_does(site: Site, place: str, trusted: Any) -> None:
    """The connection's facts stand."""
    site.server.trusted_proxies = trusted
    remote, scheme, host = ask(site, place)

    assert (remote, scheme) == ("192.0.2.1", "http")
    assert host != "shop.example"


def test_a_setting_that_changes_counts_at_once(site: Site) -> None:
    """For the next request."""
    site.tree.graft(tell, "/graft")
    seen = []
    for trusted in (None, ["192.0.2.1"], ["198.51.100.1"], ["192.0.2.1"]):
        site.server.trusted_proxies = trusted
        seen.append(ask(site, "/graft")[1])

    assert seen == ["http", "https", "http", "https"]
