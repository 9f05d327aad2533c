"""Pages that are called by XML-RPC."""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import xmlrpcutil


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
