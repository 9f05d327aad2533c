"""XML-RPC under the addresses that its clients expect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cherrypy.dispatch.objects import Dispatcher
from cherrypy.lib import xmlrpcutil


def XMLRPCDispatcher(next_dispatcher: Any = Dispatcher()) -> Callable[[str], Any]:  # noqa: B008
    """Return a dispatcher that takes a leading /RPC2 off the path."""

    def dispatch(path_info: str) -> Any:
        return next_dispatcher(xmlrpcutil.patched_path(path_info))

    return dispatch
