"""The table of the built-in tools: where each hooks in, when, and what it can be told."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import cherrypy
from cherrypy._cptools import (
    CachingTool,
    ErrorTool,
    HandlerTool,
    SessionAuthTool,
    SessionTool,
    Tool,
    Toolbox,
    default_toolbox,
)
from cherrypy.lib import caching, jsontools

NEEDED = inspect.Parameter.empty
DEBUG = {"debug": False}
STATIC = {"match": "", "content_types": None, "debug": False}


class Row(NamedTuple):
    """One tool: its class, and the hooks of a request on which it is on, as (point, priority, failsafe)."""

    name: str
    kind: type
    hooks: list[tuple[str, int, bool]]
    parameters: dict[str, Any]
    settings: dict[str, Any] = {}


def on(point: str, priority: int = 50, failsafe: bool = False) -> list[tuple[str, int, bool]]:
    """One hook."""
    return [(point, priority, failsafe)]


TABLE = [
    Row("accept", Tool, on("on_start_resource"), {"media": None, **DEBUG}),
    Row("allow", Tool, on("on_start_resource"), {"methods": None, **DEBUG}),
    Row(
        "auth_basic", Tool, on("before_handler", 1),
        {"realm": NEEDED, "checkpassword": NEEDED, "debug": False, "accept_charset": "utf-8"},
        {"realm": "r", "checkpassword": lambda *args: True},
    ),
    Row(
        "auth_digest", Tool, on("before_handler", 1),
        {"realm": NEEDED, "get_ha1": NEEDED, "key": NEEDED, "debug": False, "accept_charset": "utf-8"},
        {"realm": "r", "get_ha1": lambda *args: "", "key": "k"},
    ),
    Row("autovary", Tool, [("on_start_resource", 0, False), ("before_finalize", 95, False)], {"ignore": None, **DEBUG}),
    Row(
        "caching", CachingTool, [("before_handler", 90, False)],
        {"invalid_methods": ("POST", "PUT", "DELETE"), **DEBUG},
    ),
    Row("decode", Tool, on("before_request_body"), {"encoding": None, "default_encoding": "utf-8"}),
    Row("encode", Tool, on("before_handler", 70), {}),
    Row("err_redirect", ErrorTool, [], {"url": "", "internal": True, **DEBUG}),
    Row("etags", Tool, on("before_finalize", 75), {"autotags": False, **DEBUG}),
    Row("expires", Tool, on("before_finalize"), {"secs": 0, "force": False, **DEBUG}),
    Row("flatten", Tool, on("before_finalize"), DEBUG),
    Row(
        "gzip", Tool, on("before_finalize", 80),
        {"compress_level": 5, "mime_types": ("text/html", "text/plain"), **DEBUG},
    ),
    Row("ignore_headers", Tool, on("before_request_body"), {"headers": ("Range",), **DEBUG}),
    Row(
        "json_in", Tool, on("before_request_body", 30),
        {
            "content_type": ("application/json", "text/javascript"), "force": True, "debug": False,
            "processor": jsontools.json_processor,
        },
    ),
    Row(
        "json_out", Tool, on("before_handler", 30),
        {"content_type": "application/json", "debug": False, "handler": jsontools.json_handler},
    ),
    Row("log_headers", Tool, on("before_error_response"), DEBUG),
    Row("log_hooks", Tool, on("on_end_request", 100), DEBUG),
    Row("log_tracebacks", Tool, on("before_error_response"), {"severity": logging.ERROR, **DEBUG}),
    Row("params", Tool, on("before_handler", 15), {"exception": ValueError, "error": 400}),
    Row(
        "proxy", Tool, on("before_request_body", 30),
        {
            "base": None, "local": "X-Forwarded-Host", "remote": "X-Forwarded-For", "scheme": "X-Forwarded-Proto",
            "debug": False,
        },
    ),
    Row(
        "redirect", Tool, on("on_start_resource"), {"url": "", "internal": True, **DEBUG},
        {"url": "/x", "internal": False},
    ),
    Row(
        "referer", Tool, on("before_request_body"),
        {
            "pattern": NEEDED, "accept": True, "accept_missing": False, "error": 403,
            "message": "Forbidden Referer header.", "debug": False,
        },
        {"pattern": "", "accept_missing": True},
    ),
    Row("response_headers", Tool, on("on_start_resource", 50, True), {"headers": None, **DEBUG}),
    Row("session_auth", SessionAuthTool, on("before_handler"), {}, {"anonymous": lambda: "user"}),
    Row(
        "sessions", SessionTool,
        [
            ("before_request_body", 50, False), ("before_handler", 50, False), ("before_finalize", 50, True),
            ("on_end_request", 90, True),
        ],
        {},
    ),
    Row(
        "staticdir", HandlerTool, on("before_handler"),
        {
            "section": NEEDED, "dir": NEEDED, "root": "", "match": "", "content_types": None, "index": "",
            "debug": False,
        },
        {"dir": "/none/such"},
    ),
    Row(
        "staticfile", HandlerTool, on("before_handler"), {"filename": NEEDED, "root": None, **STATIC},
        {"filename": "/none/such"},
    ),
    Row(
        "trailing_slash", Tool, on("before_handler", 60), {"missing": True, "extra": False, "status": None, **DEBUG}
    ),
    Row("xmlrpc", ErrorTool, [], {}),
]  # fmt: skip


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caching tool makes one when it is first used."""
    monkeypatch.setattr(caching._Current, "cache", None)


def hooks_of(site: Any, page: Callable[..., Any], settings: dict[str, Any]) -> list[tuple[str, int, bool]]:
    """The hooks that a page with these settings sees, other than those of the default tools."""
    seen: list[tuple[str, int, bool]] = []

    def attached() -> list[tuple[str, int, bool]]:
        hooks = cherrypy.request.hooks
        return [(point, one.priority, one.failsafe) for point in hooks for one in hooks[point]]

    off = dict.fromkeys((f"tools.{name}.on" for name in DEFAULTS), False)
    mark = cherrypy.Tool("on_start_resource", lambda: seen.extend(attached()), priority=1)
    site.mount(page(lambda: "")).toolboxes["mark"] = box = Toolbox("mark")
    box.mark = mark
    site.tree.apps[""].merge({"/": {**off, "mark.mark.on": True, **settings}})
    site("/")
    seen.remove(("on_start_resource", 1, False))
    return seen


DEFAULTS = ("encode", "log_headers", "log_tracebacks", "trailing_slash")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_tool_hooks_in_where_and_when_it_is_documented(site: Any, page: Callable[..., Any], row: Row) -> None:
    """Points, priorities, and whether it runs after a failure."""
    settings = {f"tools.{row.name}.{name}": value for name, value in row.settings.items()}
    seen = hooks_of(site, page, {**settings, f"tools.{row.name}.on": True})

    assert type(getattr(cherrypy.tools, row.name)) is row.kind
    assert seen == row.hooks


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_tool_takes_what_is_documented(row: Row) -> None:
    """Names, order and defaults, each also an attribute of the tool."""
    tool = getattr(cherrypy.tools, row.name)
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(tool.callable).parameters
    parameters = {name: one.default for name, one in found.items() if one.kind not in kinds}
    documented = list(row.parameters.items())

    assert list(parameters.items())[: len(documented)] == documented
    assert NEEDED not in list(parameters.values())[len(documented) :]
    assert all(getattr(tool, name) is None for name in parameters)


def test_the_table_has_every_tool() -> None:
    """A new tool needs a row; these have tests of their own."""
    own = {"cpstats", "sse", "websocket"}
    tools = {name for name, one in vars(default_toolbox).items() if hasattr(one, "_setup")} - own

    assert tools == {row.name for row in TABLE}
    assert default_toolbox is cherrypy.tools


@pytest.mark.parametrize("name", [row.name for row in TABLE if row.hooks])
def test_the_configuration_s_priority_wins(site: Any, page: Callable[..., Any], name: str) -> None:
    """``tools.NAME.priority``."""
    row = next(row for row in TABLE if row.name == name)
    settings = {f"tools.{name}.{key}": value for key, value in row.settings.items()}
    seen = hooks_of(site, page, {**settings, f"tools.{name}.on": True, f"tools.{name}.priority": 37})

    assert seen[0][:2] == (row.hooks[0][0], 37)


def test_four_tools_are_on_by_default(site: Any, page: Callable[..., Any]) -> None:
    """The site's configuration says so."""
    assert sorted(key for key in cherrypy.config if key.startswith("tools.") and cherrypy.config[key] is True) == [
        f"tools.{name}.on" for name in DEFAULTS
    ]
