"""Malformed header fields that pages ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import httputil

BAD = {"Accept": "text/html;q=x, text/plain", "Accept-Encoding": "gzip;q=x", "Accept-Charset": "utf-8;q=x"}


@pytest.mark.parametrize("value", ["text/html;q=x, text/plain", "text/html;q=x"])
def test_a_malformed_accept_read_by_a_page_is_a_bad_request(site: Any, page: Callable[..., Any], value: str) -> None:
    """Not an internal error, in whichever way the page looks at it."""

    def index() -> str:
        return str([element.qvalue for element in cherrypy.request.headers.elements("Accept")])  # type: ignore[attr-defined]

    site.mount(page(index))

    assert site("/", headers={"Accept": value}).status == 400


def test_a_page_can_catch_a_malformed_header(site: Any, page: Callable[..., Any]) -> None:
    """As HTTPError, like every other refusal."""

    def index() -> str:
        try:
            cherrypy.request.headers.elements("Accept")
        except cherrypy.HTTPError as error:
            return f"caught {error.code}"
        return "nothing wrong"

    site.mount(page(index))

    assert site("/", headers={"Accept": BAD["Accept"]}).body == b"caught 400"


@pytest.mark.parametrize("tool", ["gzip", "encode", "accept"])
def test_a_malformed_quality_is_a_bad_request_for_every_tool(site: Any, page: Callable[..., Any], tool: str) -> None:
    """Also for those that run once more for the error page."""
    config = {f"tools.{tool}.on": True}
    if tool == "accept":
        config["tools.accept.media"] = ["text/html"]  # type: ignore[assignment]
    site.mount(page(lambda: "text"), config={"/": config})

    assert site("/", headers=BAD).status == 400


def test_an_error_page_is_sent_to_whoever_sends_malformed_headers(site: Any, page: Callable[..., Any]) -> None:
    """404 stays 404."""
    site.mount(page(lambda: "text"), config={"/": {"tools.gzip.on": True}})

    assert site("/absent", headers={"Accept-Encoding": "gzip;q=x"}).status == 404


def test_the_helpers_raise_answers_too() -> None:
    """``httputil`` is what applications import."""
    with pytest.raises(cherrypy.HTTPError):
        httputil.header_elements("Accept", "a;q=x, b")
    with pytest.raises(cherrypy.HTTPError):
        _ = httputil.AcceptElement.from_str("a;q=x").qvalue

    assert [str(one) for one in httputil.header_elements("Accept", "a;q=0.1, b")] == ["b", "a;q=0.1"]
    assert isinstance(httputil.header_elements("Accept", "a")[0], httputil.AcceptElement)
