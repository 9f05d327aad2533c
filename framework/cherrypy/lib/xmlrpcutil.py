"""Helpers for pages that are called by XML-RPC."""

from __future__ import annotations

import sys
import xml.parsers.expat
import xmlrpc.client
from typing import Any

from cherrypy.context import serving
from cherrypy.http.text import to_bytes as ntob

__all__ = ["ntob", "on_error", "patched_path", "process_body", "respond"]


def process_body() -> tuple[tuple[Any, ...], str | None]:
    """Read the call in the request's body: (parameters, method name).

    What cannot be read becomes a call of 'ERRORMETHOD', which the controller refuses in XML-RPC's own words.
    """
    # what is wrong with the request itself, its length say, is not XML-RPC's business
    body = serving.request.body.read()
    try:
        return _loads(body)
    except Exception:
        return ("ERROR PARAMS",), "ERRORMETHOD"


def _loads(body: bytes) -> tuple[tuple[Any, ...], str | None]:
    """Like ``xmlrpc.client.loads``, for calls without entities of their own.

    SECURITY: 700 octets of entities that are made of entities took 0.6 s (the billion laughs). XML-RPC knows none.
    """
    target = xmlrpc.client.Unmarshaller()
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.data
    parser.EntityDeclHandler = _refuse_entity
    target.xml(None, None)  # type: ignore[arg-type]  # expat has decoded already
    parser.Parse(body, True)
    return target.close(), target.getmethodname()


def _refuse_entity(*declaration: object) -> None:
    raise ValueError("XML-RPC has no entities of its own")


def patched_path(path: str) -> str:
    """Return *path* with a slash at its end and without /RPC2, the usual address of XML-RPC, at its beginning."""
    if not path.endswith("/"):
        path += "/"
    return path[5:] if path.startswith("/RPC2/") else path


def _set_response(body: str, encoding: str = "utf-8") -> None:
    """Answer 200 with *body*, as XML-RPC wants it for results and faults alike, in the charset that it declares."""
    response = serving.response
    octets = body.encode(encoding, "xmlcharrefreplace")
    response.status = "200 OK"
    response.body = octets
    response.headers["Content-Type"] = "text/xml" if encoding == "utf-8" else f"text/xml;charset={encoding}"
    response.headers["Content-Length"] = str(len(octets))


def respond(body: Any, encoding: str = "utf-8", allow_none: bool | int = 0) -> None:
    """Answer with *body*, a result or a ``Fault``."""
    if not isinstance(body, xmlrpc.client.Fault):
        body = (body,)
    text = xmlrpc.client.dumps(body, methodresponse=True, encoding=encoding, allow_none=bool(allow_none))
    _set_response(text, encoding or "utf-8")


def on_error(*args: Any, **kwargs: Any) -> None:
    """Answer the exception that is being handled with a fault."""
    _set_response(xmlrpc.client.dumps(xmlrpc.client.Fault(1, str(sys.exc_info()[1]))))
