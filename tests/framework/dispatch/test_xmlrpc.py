"""XML-RPC under the addresses that its clients use."""

from __future__ import annotations

import xmlrpc.client
from typing import Any

import pytest

import cherrypy
from cherrypy.dispatch import MethodDispatcher, XMLRPCDispatcher

XMLRPCController: Any = cherrypy._cptools.XMLRPCController  # type: ignore[attr-defined]


class Service(XMLRPCController):  # type: ignore[misc]
    """Adds."""

    @cherrypy.expose
    def add(self, a: int, b: int) -> int:
        return a + b

    @cherrypy.expose
    def fail(self) -> None:
        raise ValueError("broken")


def call(site: Any, path: str, method: str, *args: Any) -> Any:
    """Return what the client's library makes of the answer."""
    body = xmlrpc.client.dumps(args, method).encode()
    reply = site(path, "POST", {"Content-Type": "text/xml"}, body)
    assert reply.status == 200
    return xmlrpc.client.loads(reply.body)[0][0]


@pytest.fixture
def service(site: Any) -> Any:
    """Give a site with the service at its root."""
    config = {"request.dispatch": XMLRPCDispatcher(), "tools.xmlrpc.on": True, "tools.trailing_slash.on": False}
    site.mount(Service(), config={"/": config})
    return site


@pytest.mark.parametrize("path", ["/", "/RPC2", "/RPC2/"])
def test_rpc2_is_the_root(service: Any, path: str) -> None:
    """Which clients ask for when they are given a host alone."""
    assert call(service, path, "add", 2, 3) == 5


@pytest.mark.parametrize(("method", "fault"), [("fail", "broken"), ("absent", 'method "absent" is not supported')])
def test_failures_are_faults(service: Any, method: str, fault: str) -> None:
    """Not error pages."""
    with pytest.raises(xmlrpc.client.Fault, match=fault):
        call(service, "/RPC2", method)


def test_any_dispatcher_may_be_behind(site: Any) -> None:
    """It gets the path without /RPC2."""

    class Resource:
        exposed = True

        def GET(self, *args: str) -> str:
            return f"{args}"

    site.mount(Resource(), config={"/": {"request.dispatch": XMLRPCDispatcher(MethodDispatcher())}})

    assert site("/RPC2/a").body == b"('a',)"
    assert site("/a/RPC2").body == b"('a', 'RPC2')"
