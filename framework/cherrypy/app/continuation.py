"""Requests of the native server that go on after their page: when its coroutine is through, in whichever thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cherrypy.aio.carry import State, snapshot
from cherrypy.aio.exchange import PageTask
from cherrypy.context import serving
from cherrypy.core.later import Abandoned, Later, resume
from cherrypy.core.logs import log
from cherrypy.httpd.away import Deferred, Handover
from cherrypy.httpd.connection import ClientGone
from cherrypy.httpd.message import Answer, Message

#: What the access log says of a request whose client did not wait; nginx's code for it.
_CLIENT_GONE = b"499 Client Closed Request"


def put_aside(
    later: Later,
    app: Any,
    message: Message,
    answer: Callable[[Any, Any, Any], Answer],
    otherwise: Callable[[BaseException, Any, Message], Answer],
) -> Deferred:
    """Take the current request off this thread; returns what tells the server to go on with others.

    Args:
        later: what the page returned.
        app: the application.
        message: what came in.
        answer: makes an answer of (app, request, response).
        otherwise: answers when the rest of the request comes to an exception.
    """
    state = snapshot()
    serving.clear()

    def go_on(outcome: Callable[[], Any]) -> Answer:
        return _go_on(state, app, message, outcome, answer, otherwise)

    return Deferred(PageTask(later.with_traceback(None), state, go_on))


def _go_on(
    state: State,
    app: Any,
    message: Message,
    outcome: Callable[[], Any],
    answer: Callable[[Any, Any, Any], Answer],
    otherwise: Callable[[BaseException, Any, Message], Answer],
) -> Answer:
    serving.__dict__.update(state)
    request = serving.request
    # what is still to be done, a session to be written for example, may block though the page did not
    message.entering(("after the page", app))
    handed_over: list[Handover] = []

    def result() -> Any:
        body = outcome()
        if isinstance(body, Handover):
            # a 101 has no body, but somebody who goes on with the connection
            handed_over.append(body)
            return []
        return body

    try:
        response = resume(request, result)
        if handed_over and response.output_status[:3] == b"101":
            response._body = handed_over.pop()
        return answer(app, request, response)
    except Abandoned:
        _note_abandoned(app)
        raise ClientGone("the client has gone, or the server's time was over") from None
    except BaseException as error:
        return otherwise(error, app, message)
    finally:
        for body in handed_over:  # a hook made the answer another one
            body.abandon()


def _note_abandoned(app: Any) -> None:
    serving.response.output_status = _CLIENT_GONE
    try:
        app.log.access()
    except Exception:
        log.error(traceback=True)
    app.release_serving()
