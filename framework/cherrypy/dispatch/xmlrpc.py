"""XML-RPC under the addresses that its clients expect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cherrypy.context import serving
from cherrypy.dispatch.objects import Dispatcher
from cherrypy.lib import xmlrpcutil


def XMLRPCDispatcher(next_dispatcher: Any = Dispatcher()) -> Callable[[str], Any]:  # noqa: B008
    """Return a dispatcher that takes a leading /RPC2 off the path."""

    def dispatch(path_info: str) -> Any:
        found = next_dispatcher(xmlrpcutil.patched_path(path_info))
        request = serving.request
        if path_info == "/RPC2" and request.method == "POST":
            # the address that clients have by default: a redirect to the one with a slash would lose the call
            request.is_index = None
        return found

    return dispatch
