"""Whether a setting could work, before anything changes: unknown keys are refused, and values that cannot be.

Law: nothing here changes the application. A page's configuration is compiled as the framework would compile it, with
the settings in it, and thrown away.
"""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Iterable, Mapping
from typing import Any

import cherrypy
from cherrypy._cpserver import Server
from cherrypy._cptools import HandlerTool, Tool, Toolbox
from cherrypy.lib.httputil import Host
from kirsch.worker.sections import below, chain

#: Tools whose callables get what is configured, and nothing else.
_PLAIN_TOOLS = (Tool, HandlerTool)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

#: What may be set of the site: nothing that makes objects, mounts applications or ends processes.
NAMESPACES = ("server", "tools", "log", "request", "response", "error_page")
#: Of an application's paths, besides its own toolboxes.
PAGE_NAMESPACES = ("tools", "request", "response", "error_page")
#: Settings of the server that can change while it runs.
SERVER_KEYS = frozenset(
    [
        "accepted_queue_size",
        "accepted_queue_timeout",
        "body_memory",
        "body_memory_size",
        "body_spool_memory",
        "body_spool_size",
        "keep_alive_timeout",
        "max_connections",
        "max_request_body_size",
        "max_request_body_time",
        "max_request_header_size",
        "max_request_headers",
        "max_request_line_size",
        "max_requests_per_connection",
        "min_request_body_rate",
        "min_response_rate",
        "request_body_timeout",
        "request_header_timeout",
        "response_timeout",
        "retry_after",
        "shutdown_timeout",
        "socket_timeout",
        "ssl_handshake_timeout",
        "waiting_threads",
    ]
)
#: Attributes of a request's body that JSON has values for.
BODY_KEYS = frozenset(
    [
        "attempt_charsets",
        "bufsize",
        "default_content_type",
        "max_fields",
        "max_files",
        "max_form_bytes",
        "max_nesting",
        "max_part_head_bytes",
        "max_parts",
        "maxbytes",
        "maxrambytes",
    ]
)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def check_level(name: str, level: Any) -> None:
    """Refuse what is no level.

    Raises:
        ValueError: with those that there are.
    """
    if level not in LEVELS:
        raise ValueError(f"level {level!r} of {name}; allowed: {', '.join(LEVELS)}")


def check_site(values: Mapping[str, Any], *, whole: bool = True) -> None:
    """Refuse what could not be set for the site.

    Args:
        values: by key.
        whole: False where other settings are still to come, so that pages need not work with these alone.

    Raises:
        ValueError, TypeError: with the key, and what is allowed.
    """
    of_pages = {}
    for key, value in values.items():
        namespace, _, name = key.partition(".")
        if namespace not in NAMESPACES or not name:
            raise ValueError(f"{key} cannot be set while workers run; allowed: {', '.join(NAMESPACES)}.*")
        if namespace == "server":
            _refuse_unknown(key, name, SERVER_KEYS, "a setting of the server that can change while it runs")
            setattr(Server(), name, value)
        elif namespace == "log":
            _refuse_unknown(key, name, _names_of(cherrypy.log), "a setting of the log")
        else:
            of_pages[key] = value
    if of_pages:
        for application in cherrypy.tree.apps.values():
            if isinstance(application, cherrypy.Application):
                _check_pages(application, None, of_pages, whole)


def check_app(application: cherrypy.Application, path: str, values: Mapping[str, Any], *, whole: bool = True) -> None:
    """Refuse what could not be set for *path* of an application; arguments and errors are those of ``check_site``."""
    allowed = (*PAGE_NAMESPACES, *application.toolboxes)
    for key in values:
        namespace, _, name = key.partition(".")
        if namespace not in allowed or not name:
            raise ValueError(f"{key} cannot be set for {path}; allowed: {', '.join(dict.fromkeys(allowed))}.*")
    _check_pages(application, path, values, whole)


def _check_pages(application: cherrypy.Application, at: str | None, values: Mapping[str, Any], whole: bool) -> None:
    """Compile the pages that have *values*: those at and below path *at*, all where it is the site's (None)."""
    path = at or "/"
    known = chain(application, path)
    for key, value in values.items():
        _check_name(application, key, value, known)
    for place in below(application, path) if whole else [path]:
        merged = chain(application, place, values, at)
        for namespace, toolbox in application.toolboxes.items():
            if isinstance(toolbox, Toolbox):
                _check_tools(namespace, toolbox, merged, values, whole)
        _compile(application, place, merged)


def _check_name(application: cherrypy.Application, key: str, value: Any, known: Mapping[str, Any]) -> None:
    namespace, _, name = key.partition(".")
    if namespace == "request" and key not in known:
        names = BODY_KEYS if name.startswith("body.") else _names_of(application.request_class)
        _refuse_unknown(key, name.removeprefix("body."), names, "an attribute of requests")
    elif namespace == "response" and not name.startswith("headers.") and key not in known:
        _refuse_unknown(key, name, _names_of(application.response_class), "an attribute of responses")
    elif namespace == "error_page":
        if not (name == "default" or (name.isdecimal() and 400 <= int(name) <= 599)):
            raise ValueError(f"{key}: allowed: error_page.default, or a status from 400 to 599")
        if not isinstance(value, str) or not os.path.isfile(value):
            raise ValueError(f"{key} = {value!r}; allowed: the path of a file that is there")


def _check_tools(
    namespace: str, toolbox: Toolbox, merged: Mapping[str, Any], fresh: Mapping[str, Any], whole: bool
) -> None:
    """Refuse tools that are not there, arguments that they do not take, and those that lack one that they need."""
    for problem in toolbox.problems(fresh):
        raise ValueError(problem)
    prefix = f"{namespace}."
    for name in {key[len(prefix) :].partition(".")[0] for key in fresh if key.startswith(prefix)}:
        tool = getattr(toolbox, name, None)
        if tool is None:
            known = [one for one, found in vars(toolbox).items() if hasattr(found, "_setup")]
            raise ValueError(f"{prefix}{name}: there is no such tool.{_near(name, known)}")
        start = f"{prefix}{name}."
        settings = {key[len(start) :]: value for key, value in merged.items() if key.startswith(start)}
        if whole and settings.get("on") and type(tool) in _PLAIN_TOOLS:
            _refuse_half(start, tool.callable, settings)


def _refuse_half(prefix: str, function: Any, settings: Mapping[str, Any]) -> None:
    """Refuse a tool that would lack an argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return
    needed = [one.name for one in parameters if one.default is one.empty and one.kind in _NAMED]
    missing = [prefix + name for name in needed if name not in settings]
    if missing:
        raise ValueError(f"{' and '.join(missing)}: missing, and the tool cannot do without")


def _compile(application: cherrypy.Application, path: str, merged: dict[str, Any]) -> None:
    """Have the framework compile a page's configuration; it is thrown away."""
    mine = cherrypy.serving.__dict__.copy()
    nobody = Host("127.0.0.1", 0)
    request, response = application.request_class(nobody, nobody), application.response_class()
    request.app, request.path_info = application, path
    cherrypy.serving.load(request, response)
    try:
        application.plans.for_config(merged).compile(request, response)
    except AttributeError as error:
        raise ValueError(str(error)) from error
    finally:
        cherrypy.serving.clear()
        cherrypy.serving.__dict__.update(mine)


def _refuse_unknown(key: str, name: str, known: Iterable[str], what: str) -> None:
    names = sorted(known)
    if name not in names:
        raise ValueError(f"{key} is not {what}.{_near(name, names)}")


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _names_of(target: object) -> list[str]:
    return [name for name in dir(target) if not name.startswith("_")]
