"""Pages that are called by XML-RPC."""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy._cptools import XMLRPCController
from cherrypy.lib import xmlrpcutil

XML = {"Content-Type": "text/xml"}


class Deeper:
    """Methods one level down."""

    @cherrypy.expose
    def hello(self, name: str) -> str:
        """Greet."""
        return f"hello {name}"


class Methods(XMLRPCController):
    """What can be called."""

    deeper = Deeper()

    @cherrypy.expose
    def add(self, one: int, two: int) -> int:
        """Add."""
        return one + two

    @cherrypy.expose
    def nothing(self) -> None:
        """None."""

    @cherrypy.expose
    def price(self) -> str:
        """Text that ISO-8859-1 has, and text that it has not."""
        return "\xfc \u20ac"

    @cherrypy.expose
    def fail(self) -> None:
        """Break."""
        raise ValueError("bad <&>")

    @cherrypy.expose
    def fault(self) -> xmlrpc.client.Fault:
        """A fault as the result."""
        return xmlrpc.client.Fault(3, "three")

    def hidden(self) -> int:
        """Not exposed."""
        return 1


@pytest.fixture
def call(serve: Callable[..., Any]) -> Callable[..., Any]:
    """Call a method, and return what the client gets."""

    def call(name: str, *args: Any, **settings: Any) -> Any:
        tools = {f"xmlrpc__{key}": value for key, value in settings.items()}
        body = xmlrpc.client.dumps(args, name).encode()
        answer = serve(Methods(), **tools)("/", "POST", XML, body)
        assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/xml")
        assert answer.headers["Content-Length"] == str(len(answer.body))
        return xmlrpc.client.loads(answer.body)[0][0]

    return call


def test_methods_are_called_with_their_parameters(call: Callable[..., Any]) -> None:
    """Also those of objects below."""
    assert call("add", 1, 2) == 3
    assert call("deeper.hello", "you") == "hello you"


@pytest.mark.parametrize("name", ["hidden", "none.such", "_cp_config", "__class__", "deeper.__init__", "default"])
def test_only_exposed_methods_can_be_called(call: Callable[..., Any], name: str) -> None:
    """SECURITY: whatever the client names."""
    with pytest.raises(xmlrpc.client.Fault) as caught:
        call(name)

    assert caught.value.faultCode == 1


def test_errors_are_faults(call: Callable[..., Any]) -> None:
    """With the error's text; a fault that is returned keeps its code."""
    with pytest.raises(xmlrpc.client.Fault, match="bad <&>"):
        call("fail")
    with pytest.raises(xmlrpc.client.Fault) as caught:
        call("fault")

    assert (caught.value.faultCode, caught.value.faultString) == (3, "three")


def test_none_needs_permission(call: Callable[..., Any]) -> None:
    """``tools.xmlrpc.allow_none``: an extension of the protocol."""
    with pytest.raises(xmlrpc.client.Fault, match="allow_none"):
        call("nothing")

    assert call("nothing", allow_none=1) is None


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "utf-16", "us-ascii"])
def test_the_answer_is_in_the_charset_that_it_declares(
    call: Callable[..., Any], serve: Callable[..., Any], encoding: str
) -> None:
    """``tools.xmlrpc.encoding``; what the charset lacks is a character reference."""
    answer = serve(Methods(), xmlrpc__encoding=encoding)("/", "POST", XML, xmlrpc.client.dumps((), "price").encode())

    assert call("price", encoding=encoding) == "\xfc \u20ac"
    assert answer.headers["Content-Type"] == f"text/xml;charset={encoding}"


@pytest.mark.parametrize("body", [b"", b"junk", b"<methodCall/>"])
def test_what_is_no_call_is_a_fault(serve: Callable[..., Any], body: bytes) -> None:
    """In XML-RPC's own words."""
    answer = serve(Methods())("/", "POST", XML, body)

    assert answer.status == 200
    with pytest.raises(xmlrpc.client.Fault, match="ERRORMETHOD"):
        xmlrpc.client.loads(answer.body)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_of_its_own_are_no_part_of_a_call(serve: Callable[..., Any], encoding: str) -> None:
    """SECURITY: made of each other, a few of them stand for gigabytes."""
    entities = '<!DOCTYPE a [<!ENTITY b "add">]>'
    body = f"<?xml version='1.0' encoding='{encoding}'?>{entities}<methodCall><methodName>&b;</methodName></methodCall>"
    answer = serve(Methods())("/", "POST", XML, body.encode(encoding))

    with pytest.raises(xmlrpc.client.Fault, match="ERRORMETHOD"):
        xmlrpc.client.loads(answer.body)


def test_a_call_that_is_too_long_is_an_http_error(serve: Callable[..., Any]) -> None:
    """Not a call of an unknown method."""
    body = xmlrpc.client.dumps(("x" * 1000,), "deeper.hello").encode()

    assert serve(Methods(), {"request.body.maxbytes": 100})("/", "POST", XML, body).status == 413


@pytest.mark.parametrize(
    ("path", "patched"),
    [("/RPC2", "/"), ("/RPC2/", "/"), ("/RPC2/x", "/x/"), ("/x", "/x/"), ("/x/", "/x/"), ("/", "/")],
)
def test_the_usual_address_is_taken_off(path: str, patched: str) -> None:
    """And the path ends with a slash."""
    assert xmlrpcutil.patched_path(path) == patched


def test_the_dispatcher_finds_the_usual_address(serve: Callable[..., Any]) -> None:
    """``request.dispatch = XMLRPCDispatcher()``."""
    browser = serve(Methods(), {"request.dispatch": cherrypy.dispatch.XMLRPCDispatcher()})
    body = xmlrpc.client.dumps((1, 2), "add").encode()
    answers = [browser(path, "POST", XML, body).body for path in ("/RPC2", "/RPC2/", "/")]

    assert [xmlrpc.client.loads(answer)[0] for answer in answers] == [(3,)] * 3


def test_other_pages_under_the_dispatcher_have_their_slash(serve: Callable[..., Any]) -> None:
    """Only a call must not be redirected."""
    browser = serve(Methods(), {"request.dispatch": cherrypy.dispatch.XMLRPCDispatcher()})

    assert browser("/RPC2").status == 301
