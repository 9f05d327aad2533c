"""The checker: each warning, and silence for what is right."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.app.checker import Checker

STATIC = {"tools.staticdir.on": True}


class Root:
    """Nothing to see."""

    @cherrypy.expose
    def index(self) -> str:
        return ""


@pytest.fixture
def checker(site: Any, monkeypatch: pytest.MonkeyPatch) -> Checker:
    """Give a checker of its own over the site's tree."""
    monkeypatch.setattr(Checker, "current_tree", staticmethod(lambda: site.tree))
    return Checker()


@pytest.fixture
def said(site: Any, checker: Checker) -> Any:
    """Give a function that mounts with a configuration and returns what the checker says."""

    def check(config: Any = None, script_name: str = "") -> list[str]:
        if config is not None:
            site.mount(Root(), script_name, config)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            checker()
        return [str(one.message) for one in caught]

    return check


def test_silence(said: Any, tmp_path: Path) -> None:
    """A right configuration has nothing to say for it."""
    config = {
        "/": {"tools.gzip.on": True, "request.show_tracebacks": False, "error_page.404": "x", "log.screen": False},
        "/static": {"tools.staticdir.on": True, "tools.staticdir.dir": str(tmp_path)},
        "/below": {
            "tools.staticdir.on": True,
            "tools.staticdir.root": str(tmp_path.parent),
            "tools.staticdir.dir": tmp_path.name,
        },
        "/wsgi": {"wsgi.pipeline": [], "hooks.before_handler": print, "response.stream": True},
        "Databases": {"driver": "postgres", "whatever.key": 1},
    }

    assert said(config) == []
    assert said({}) == []


@pytest.mark.parametrize(
    ("config", "script_name", "expected"),
    [
        (
            {"/app/x": {}},
            "/app",
            "The application mounted at '/app' has a section [/app/x]: paths of sections begin below the mount point.",
        ),
        (
            {"/": {"server.socket_port": 1, "engine.autoreload.on": False}},
            "",
            "The application mounted at '' has settings of the whole site in its section [/]: engine.autoreload.on, "
            "server.socket_port. Give them to cherrypy.config.update().",
        ),
        (
            {"[/]": {"tools.gzip.on": True}},
            "/a",
            "The application mounted at '/a' has a section named '[/]': section names have brackets in files only.",
        ),
        ({"/": {"tool.gzip.on": True}}, "", "The namespace of 'tool.gzip.on' in section [/] is not known."),
        (
            {"/": {"tools.gzipp.on": True}},
            "",
            "The tool of 'tools.gzipp.on' in section [/] does not exist. Did you mean tools.gzip?",
        ),
        ({"/": {"tools.zzzzz.on": True}}, "", "The tool of 'tools.zzzzz.on' in section [/] does not exist."),
        (
            {"/": {"request.show_tracebacks": "yes"}},
            "",
            "'request.show_tracebacks' is 'yes', of type str; bool is expected.",
        ),
        (
            {"/": STATIC},
            "",
            "tools.staticdir.dir is not set.\nsection: [/]\nroot: ''\ndir: None",
        ),
        (
            {"/": {**STATIC, "tools.staticdir.dir": "x"}},
            "",
            "tools.staticdir.dir is relative, and there is no tools.staticdir.root.\nsection: [/]\nroot: ''\ndir: 'x'",
        ),
        (
            {"/": {**STATIC, "tools.staticdir.dir": "x", "tools.staticdir.root": "y"}},
            "",
            "tools.staticdir.root is not an absolute path.\nsection: [/]\nroot: 'y'\ndir: 'x'",
        ),
        (
            {"/": {**STATIC, "tools.staticdir.dir": "/no/such"}},
            "",
            "The folder '/no/such' does not exist.\nsection: [/]\nroot: ''\ndir: '/no/such'",
        ),
        (
            {"/": {"tools.staticdir.root": "/no"}, "/s": {**STATIC, "tools.staticdir.dir": "such"}},
            "",
            "The folder '/no/such' does not exist.\nsection: [/s]\nroot: '/no'\ndir: 'such'",
        ),
    ],
)
def test_warnings(said: Any, config: Any, script_name: str, expected: str) -> None:
    """One for each mistake, word by word."""
    assert said(config, script_name) == [expected]


OBSOLETE = {
    "server.default_content_type": "tools.response_headers.headers",
    "log_access_file": "log.access_file",
    "log_config_options": None,
    "log_file": "log.error_file",
    "log_file_not_found": None,
    "log_request_headers": "tools.log_headers.on",
    "log_to_screen": "log.screen",
    "show_tracebacks": "request.show_tracebacks",
    "throw_errors": "request.throw_errors",
    "profiler.on": "cherrypy.tree.mount(profiler.make_app(cherrypy.Application(Root())))",
}


@pytest.mark.parametrize("key", OBSOLETE)
def test_obsolete_keys(said: Any, checker: Checker, key: str) -> None:
    """Of the site, and of applications: each with what to use instead, if there is something."""
    instead = f" Use {OBSOLETE[key]!r}." if OBSOLETE[key] else ""
    dict.__setitem__(cherrypy.config, key, True)

    assert f"{key!r} is obsolete.{instead}" in said()
    del cherrypy.config[key]
    assert f"{key!r} in section [/] is obsolete.{instead}" in said({"/": {key: True}})
    assert checker.obsolete == OBSOLETE


def test_deprecated_keys_are_the_applications_to_name(said: Any, checker: Checker) -> None:
    """There are none of our own."""
    assert checker.deprecated == {}

    checker.deprecated["my.old"] = "my.new"
    checker.extra_config_namespaces.append("my")

    assert said({"/": {"my.old": 1}}) == ["'my.old' in section [/] is deprecated. Use 'my.new'."]


def test_an_unknown_tool_of_the_whole_site_is_named(said: Any) -> None:
    """It would make every request fail."""
    dict.__setitem__(cherrypy.config, "tools.encod.on", True)

    assert said() == ["The tool of 'tools.encod.on' in section [global] does not exist. Did you mean tools.encode?"]


def test_namespaces_of_the_application_s_own_are_known(site: Any, said: Any, checker: Checker) -> None:
    """Its toolboxes, its namespaces, those of its request class, and ``extra_config_namespaces``."""
    app = site.mount(Root(), "", {"/": {"a.x.y": 1, "b.x": 1, "c.x": 1, "d.x": 1}})
    app.toolboxes = {**app.toolboxes, "a": object()}
    app.namespaces["b"] = print
    app.request_class = type("Own", (app.request_class,), {"namespaces": {**app.request_class.namespaces, "c": print}})
    checker.extra_config_namespaces.append("d")

    assert said() == []


def test_paths_given_to_the_site_are_named_for_applications_without_configuration(
    said: Any, checker: Checker, site: Any
) -> None:
    """Where they were meant to be, probably; only then is an empty configuration worth a word."""
    site.mount(Root(), "/empty")
    site.mount(Root(), "/full", {"/": {"tools.gzip.on": True}})
    assert said() == []

    checker.global_config_contained_paths = True

    assert said() == [
        "The application mounted at '/empty' has an empty configuration. The configuration given to "
        "cherrypy.config.update() has sections with paths: they belong to tree.mount(..., config=...)."
    ]


def test_localhost_is_no_address(said: Any) -> None:
    """It is one of IPv4 or of IPv6, or both, depending on the system."""
    dict.__setitem__(cherrypy.config, "server.socket_host", "localhost")

    assert said() == [
        "'localhost' as socket host can lead to connection problems: clients may try ::1 first, or only. "
        "Use '127.0.0.1' or '::1'."
    ]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("server.thread_pool", "10", "int"),
        ("server.nodelay", "yes", "bool"),
        ("server.socket_timeout", 2.5, None),
        ("server.thread_pool", None, None),
        ("server.trusted_proxies", ["10.0.0.0/8"], None),
        ("server.socket_host", "::1", None),
    ],
)
def test_types_are_those_of_the_defaults(said: Any, key: str, value: Any, expected: str | None) -> None:
    """Numbers are interchangeable, None is always right."""
    dict.__setitem__(cherrypy.config, key, value)

    found = said()

    kind = type(value).__name__
    assert found == ([f"{key!r} is {value!r}, of type {kind}; {expected} is expected."] if expected else [])


CHECKS = [name for name in dir(Checker) if name.startswith("check_")]


def test_all_documented_checks_are_there() -> None:
    """The nine of old, and one for the arguments of tools."""
    assert CHECKS == [
        "check_app_config_brackets",
        "check_app_config_entries_dont_start_with_script_name",
        "check_compatibility",
        "check_config_namespaces",
        "check_config_types",
        "check_localhost",
        "check_site_config_entries_in_app_config",
        "check_skipped_app_config",
        "check_static_paths",
        "check_tool_arguments",
    ]


WRONG = {
    "check_app_config_brackets": ({"[/]": {}}, {}),
    "check_app_config_entries_dont_start_with_script_name": ({"/app": {}}, {}),
    "check_compatibility": ({"/": {"log_file": "x"}}, {}),
    "check_config_namespaces": ({"/": {"nothing.on": True}}, {}),
    "check_config_types": ({"/": {"request.show_tracebacks": 5.5}}, {}),
    "check_localhost": ({"/": {"a": 1}}, {"server.socket_host": "localhost"}),
    "check_site_config_entries_in_app_config": ({"/": {"server.thread_pool": 5}}, {}),
    "check_static_paths": ({"/": STATIC}, {}),
    "check_tool_arguments": ({"/": {"tools.gzip.level": 9}}, {}),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_check_can_be_turned_off(said: Any, checker: Checker, name: str) -> None:
    """``checker.check_NAME = False``; and all of them by ``checker.on = False``."""
    config, whole = WRONG[name]
    dict.update(cherrypy.config, whole)
    assert len(said(config, "/app")) == 1

    checker.on = False
    assert said() == []
    checker.on = True
    setattr(checker, name, False)

    assert said() == []


def test_warnings_are_shown_without_their_place(checker: Checker) -> None:
    """Which is always in the checker."""
    before = warnings.formatwarning

    assert checker.formatwarning("Text", UserWarning, "file.py", 5) == "CherryPy Checker:\nText\n\n"
    checker()
    assert warnings.formatwarning is before


def test_an_application_mounted_by_the_environ_is_checked(said: Any, site: Any) -> None:
    """It has no script_name outside of requests."""
    site.tree.graft(cherrypy.Application(Root(), None, {"/": {"server.thread_pool": 5}}), "/late")

    assert said()[0].startswith("The application mounted at '/late' has settings of the whole site")


def test_it_runs_when_the_engine_starts() -> None:
    """As a listener of the bus."""
    assert cherrypy.checker in cherrypy.engine.listeners["start"]
