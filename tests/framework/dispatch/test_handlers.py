"""Page handlers: the page, its arguments, and when those are looked at."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy
from cherrypy.dispatch import LateParamPageHandler, PageHandler


def ask(site: Any, make: Any, target: str = "/?q=1", config: Any = None) -> Any:
    """Return the answer of a site whose dispatcher sets the handler that *make* returns."""

    def dispatch(path_info: str) -> None:
        request = cherrypy.serving.request
        request.config = {**cherrypy.config, **request.app.config["/"]}
        request.handler = make()

    site.mount(None, config={"/": {"request.dispatch": dispatch, "request.show_tracebacks": False, **(config or {})}})
    return site(target)


def page(*args: str, **kwargs: str) -> str:
    """Show the arguments."""
    return f"{args} {sorted(kwargs.items())}"


def test_a_page_handler_has_the_arguments_it_was_made_with(site: Any) -> None:
    """Not the request's parameters."""
    assert ask(site, lambda: PageHandler(page, "a", b="2")).body == b"('a',) [('b', '2')]"


def test_a_late_handler_has_the_parameters_of_the_call(site: Any) -> None:
    """Those of the query and of hooks besides its own, which win."""

    def add() -> None:
        cherrypy.request.params["hook"] = "h"
        cherrypy.request.params["own"] = "lost"

    reply = ask(site, lambda: LateParamPageHandler(page, "a", own="o"), config={"hooks.before_handler": add})

    assert reply.body == b"('a',) [('hook', 'h'), ('own', 'o'), ('q', '1')]"


def test_arguments_live_on_the_request(site: Any) -> None:
    """As ``request.args`` and ``request.kwargs``; hooks may change them there or on the handler."""
    seen: list[Any] = []

    def change() -> None:
        request = cherrypy.serving.request
        handler = request.handler
        while not isinstance(handler, PageHandler):
            handler = handler.oldhandler
        seen.append((request.args, request.kwargs, handler.args, handler.callable))
        handler.args = (*handler.args, "more")
        handler.kwargs = {"new": "n"}

    reply = ask(site, lambda: PageHandler(page, "a", b="2"), config={"hooks.before_handler": change})

    assert seen == [(("a",), {"b": "2"}, ("a",), page)]
    assert reply.body == b"('a', 'more') [('new', 'n')]"


def test_a_mismatch_is_the_answer_and_keeps_its_cause() -> None:
    """404, from the TypeError of the call."""
    handler = PageHandler(lambda a: a)
    try:
        with pytest.raises(cherrypy.HTTPError) as caught:
            handler()
    finally:
        cherrypy.serving.clear()

    assert caught.value.code == 404
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_type_error_of_the_page_itself_is_its_own() -> None:
    """The arguments fit: the program is wrong, not the client."""
    handler = PageHandler(lambda: len(5))  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="has no len"):
        handler()


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda: cherrypy.NotFound(), 404),
        (lambda: cherrypy.HTTPError(410, "gone"), 410),
        (lambda: cherrypy.HTTPRedirect("/there"), 303),
        (lambda: None, 200),
    ],
)
def test_an_error_instance_is_a_handler(site: Any, make: Any, status: int) -> None:
    """Called, it raises itself; no handler at all is an empty page."""
    assert ask(site, make).status == status


def test_any_callable_is_a_handler(site: Any) -> None:
    """Called without arguments."""
    assert ask(site, lambda: lambda: "plain").body == b"plain"
