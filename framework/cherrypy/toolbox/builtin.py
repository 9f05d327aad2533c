"""The default toolbox: one line for each built-in tool."""

from __future__ import annotations

import sys

from cherrypy.aio import sse, upgrade
from cherrypy.lib import auth_basic, auth_digest, caching, cptools, encoding, jsontools, sessions, static, xmlrpcutil
from cherrypy.toolbox.special import CachingTool, SessionAuthTool, SessionTool, XMLRPCController
from cherrypy.toolbox.tool import ErrorTool, HandlerTool, HandlerWrapperTool, Tool, Toolbox

__all__ = [
    "CachingTool",
    "ErrorTool",
    "HandlerTool",
    "HandlerWrapperTool",
    "SessionAuthTool",
    "SessionTool",
    "Tool",
    "Toolbox",
    "XMLRPCController",
    "default_toolbox",
    "sessions",
    "tools",
]


# {tool: (module, class)}: tools that exist once their module has been imported, by whoever wants them.
_LATE = {"cpstats": ("cherrypy.lib.cpstats", "StatsTool")}


class DefaultToolbox(Toolbox):
    """The toolbox of the built-in tools."""

    accept: Tool
    allow: Tool
    auth_basic: Tool
    auth_digest: Tool
    autovary: Tool
    caching: CachingTool
    cpstats: Tool
    decode: Tool
    encode: Tool
    err_redirect: ErrorTool
    etags: Tool
    expires: Tool
    flatten: Tool
    gzip: Tool
    ignore_headers: Tool
    json_in: Tool
    json_out: Tool
    log_headers: Tool
    log_hooks: Tool
    log_tracebacks: Tool
    params: Tool
    proxy: Tool
    redirect: Tool
    referer: Tool
    response_headers: Tool
    session_auth: SessionAuthTool
    sessions: SessionTool
    sse: Tool
    staticdir: HandlerTool
    staticfile: HandlerTool
    trailing_slash: Tool
    websocket: Tool
    xmlrpc: ErrorTool

    def __getattr__(self, name: str) -> Tool:
        module_name, class_name = _LATE.get(name, ("", ""))
        module = sys.modules.get(module_name)
        if module is None:
            return super().__getattr__(name)
        tool: Tool = getattr(module, class_name)()
        setattr(self, name, tool)
        return tool


def build_toolbox() -> DefaultToolbox:
    """Return a new toolbox with all built-in tools."""
    box = DefaultToolbox("tools")
    built_in: dict[str, Tool] = {
        "session_auth": SessionAuthTool(cptools.session_auth),
        "allow": Tool("on_start_resource", cptools.allow),
        "proxy": Tool("before_request_body", cptools.proxy, priority=30),
        "response_headers": Tool("on_start_resource", cptools.response_headers),
        "log_tracebacks": Tool("before_error_response", cptools.log_traceback, "log_tracebacks"),
        "log_headers": Tool("before_error_response", cptools.log_request_headers, "log_headers"),
        "log_hooks": Tool("on_end_request", cptools.log_hooks, priority=100),
        "err_redirect": ErrorTool(cptools.redirect),
        "etags": Tool("before_finalize", cptools.validate_etags, priority=75),
        "decode": Tool("before_request_body", encoding.decode),
        "encode": Tool("before_handler", encoding.ResponseEncoder, priority=70),
        "gzip": Tool("before_finalize", encoding.gzip, priority=80),
        "staticdir": HandlerTool(static.staticdir),
        "staticfile": HandlerTool(static.staticfile),
        "sessions": SessionTool(),
        "xmlrpc": ErrorTool(xmlrpcutil.on_error),
        "caching": CachingTool("before_handler", caching.get, "caching"),
        "expires": Tool("before_finalize", caching.expires),
        "ignore_headers": Tool("before_request_body", cptools.ignore_headers),
        "referer": Tool("before_request_body", cptools.referer),
        "trailing_slash": Tool("before_handler", cptools.trailing_slash, priority=60),
        "flatten": Tool("before_finalize", cptools.flatten),
        "accept": Tool("on_start_resource", cptools.accept),
        "redirect": Tool("on_start_resource", cptools.redirect),
        "autovary": Tool("on_start_resource", cptools.autovary, priority=0),
        "json_in": Tool("before_request_body", jsontools.json_in, priority=30),
        "json_out": Tool("before_handler", jsontools.json_out, priority=30),
        "auth_basic": Tool("before_handler", auth_basic.basic_auth, priority=1),
        "auth_digest": Tool("before_handler", auth_digest.digest_auth, priority=1),
        "params": Tool("before_handler", cptools.convert_params, priority=15),
        "sse": Tool("before_handler", sse.sse, priority=20),
        "websocket": Tool("before_handler", upgrade.websocket),
    }
    for name, tool in built_in.items():
        setattr(box, name, tool)
    return box


tools = default_toolbox = build_toolbox()
