"""Tools that hook in at more than one point, and the XML-RPC controller."""

from __future__ import annotations

from typing import Any

from cherrypy.context import serving
from cherrypy.core.expose import expose
from cherrypy.core.later import waiting
from cherrypy.lib import caching, sessions, xmlrpcutil
from cherrypy.toolbox.tool import HandlerTool, Tool, passing_arguments_on

# after everything that may refuse the request or choose another handler
_CACHING_PRIORITY = 90


class SessionTool(Tool):
    """Sessions: load before the body is read, lock, save before the response goes, close at the end.

    ``tools.sessions.locking`` says when the session is locked: 'implicit' before the page runs, 'early' before the
    body is read, 'explicit' when the page calls ``cherrypy.session.acquire_lock()``. The lock is given back when the
    session is saved; a streamed answer holds it to its end unless the page saves before.
    """

    def __init__(self) -> None:
        Tool.__init__(self, "before_request_body", sessions.init)

    def _lock_session(self) -> None:
        sessions.lock()

    def _attach(self, target: Any, conf: dict[str, Any]) -> None:
        sessions.check(conf)
        hooks = target.hooks
        locking = conf.get("locking", "implicit")
        hooks.attach(self._point, self.callable, priority=self._pop_priority(conf), **conf)
        if locking == "implicit":
            hooks.attach("before_handler", self._lock_session)
        elif locking == "early":
            # before the body is read, but after the session is there
            hooks.attach("before_request_body", self._lock_session, priority=60)
        hooks.attach("before_finalize", sessions.save)
        hooks.attach("on_end_request", sessions.close)

    def regenerate(self) -> None:
        """Give the current session a new id, and the client the cookie for it."""
        serving.session.regenerate()
        sessions.set_response_cookie(**sessions.cookie_arguments(self._merged_args()))


class SessionAuthTool(HandlerTool):
    """Authentication by a form; every attribute of ``cptools.SessionAuth`` is an argument."""


class CachingTool(Tool):
    """Answer from the cache, or keep the answer for it."""

    @passing_arguments_on
    def _wrapper(self, **kwargs: Any) -> None:
        request = serving.request
        if caching.get(**kwargs):
            request.handler = None
        elif request.cacheable:
            request.hooks.attach("before_finalize", caching.tee_output, priority=100)

    _wrapper.priority = _CACHING_PRIORITY  # type: ignore[attr-defined]

    def _attach(self, target: Any, conf: dict[str, Any]) -> None:
        target.hooks.attach("before_handler", self._wrapper, priority=self._pop_priority(conf), **conf)

    def _pop_priority(self, conf: dict[str, Any]) -> int:
        priority = conf.pop("priority", None)
        return _CACHING_PRIORITY if priority is None else priority


class XMLRPCController:
    """A controller whose exposed methods are called by XML-RPC; mount it, or put it anywhere in a tree."""

    _cp_config = {"tools.xmlrpc.on": True}

    @expose
    def default(self, *vpath: Any, **params: Any) -> Any:
        """Find the method that the request's body names, call it, answer with its result."""
        rpcparams, rpcmethod = xmlrpcutil.process_body()
        page: Any = self
        for name in str(rpcmethod).split("."):
            page = None if name.startswith("_") else getattr(page, name, None)
        if page is None or not getattr(page, "exposed", False):
            # the xmlrpc tool turns it into a fault
            raise Exception(f'method "{rpcmethod}" is not supported')
        body = waiting(page)(*(vpath + tuple(rpcparams)), **params)
        conf = serving.request.toolmaps["tools"].get("xmlrpc", {})
        xmlrpcutil.respond(body, conf.get("encoding", "utf-8"), conf.get("allow_none", 0))
        return serving.response.body
