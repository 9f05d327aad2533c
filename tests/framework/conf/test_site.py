"""The site's configuration and the applications', and their version numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cherrypy.conf.site import AppConfig, Config, environments, merge


@pytest.mark.parametrize(
    "mutate",
    [
        lambda c: c.__setitem__("a", 1),
        lambda c: c.update({"a": 1}),
        lambda c: c.update({"environment": "staging"}),
        lambda c: c.pop("present"),
        lambda c: c.popitem(),
        lambda c: c.__delitem__("present"),
        lambda c: c.clear(),
        lambda c: c.reset(),
        lambda c: c.setdefault("new", 1),
        lambda c: c.__ior__({"a": 1}),
    ],
)
def test_every_mutation_raises_the_version(mutate: Callable[[Config], Any]) -> None:
    """Compiled plans look at it."""
    config = Config(present=1)
    before = config.version

    mutate(config)

    assert config.version > before


@pytest.mark.parametrize(
    "mutate",
    [
        lambda c: c.__setitem__("/new", {"a": 1}),
        lambda c: c["/"].__setitem__("a", 1),
        lambda c: c["/"].update(a=1),
        lambda c: c["/"].pop("present"),
        lambda c: c["/"].__delitem__("present"),
        lambda c: c["/"].setdefault("new", 1),
        lambda c: c["/"].clear(),
        lambda c: c.setdefault("/new", {}).update({"a": 1}),
        lambda c: c.update({"/": {}}),
        lambda c: c.clear(),
        lambda c: merge(c, {"/": {"a": 1}}),
    ],
)
def test_an_application_counts_at_both_levels(mutate: Callable[[AppConfig], Any]) -> None:
    """Sections given later, too."""
    config = AppConfig({"/": {"present": 1}})
    before = config.version

    mutate(config)

    assert config.version > before
    for path in config:
        at = config.version
        config[path]["again"] = 1
        assert config.version > at


def test_global_section_is_unwrapped() -> None:
    """Other sections beside it are told to whoever checks."""
    config = Config()
    paths: list[int] = []
    config.path_listeners.append(lambda: paths.append(1))

    config.update({"global": {"a.b": 1}})
    assert paths == []
    config.update({"global": {"a.b": 2}, "/": {"c.d": 3}})

    assert config == {"a.b": 2}
    assert paths == [1]


def test_namespaces_are_told_of_updates_and_items() -> None:
    """Of environments as well."""
    config = Config()
    told: list[tuple[str, object]] = []
    config.namespaces["engine"] = lambda key, value: told.append((key, value))

    config.update({"environment": "staging"})
    config["engine.x"] = 1

    assert told == [("autoreload.on", False), ("x", 1)]


def test_files_are_told(tmp_path: Path) -> None:
    """For the autoreloader."""
    file = tmp_path / "a.conf"
    file.write_text("[global]\na.b = 1\n")
    config = Config()
    told: list[str] = []
    config.file_listeners.append(told.append)

    config.update(str(file))
    config.update({"c.d": 1})

    assert told == [str(file)]


def test_the_decorator_adds_to_what_a_base_class_has() -> None:
    """Several decorators add up; the base does not hear of its subclasses, and plain subclasses inherit."""
    config = Config()

    @config(a=1, x="base")
    class Base:
        pass

    @config(b=2)
    @config(c=3, x="derived")
    class Derived(Base):
        pass

    class Plain(Base):
        pass

    @config(**{"tools.gzip.on": True})
    def handler() -> None:
        pass

    instance = config(z=26)(Base())

    assert Base._cp_config == Plain._cp_config == {"a": 1, "x": "base"}
    assert Derived._cp_config == {"a": 1, "b": 2, "c": 3, "x": "derived"}
    assert handler._cp_config == {"tools.gzip.on": True}
    assert instance._cp_config == {"a": 1, "x": "base", "z": 26}


def test_merge_needs_sections() -> None:
    """A flat dict would be lost."""
    with pytest.raises(ValueError, match=r"needs sections, but 'tools.x.on' stands outside"):
        merge({}, {"tools.x.on": True})


def test_static_directories_of_the_site_know_their_section() -> None:
    """What the checker and the tool go by."""
    config = Config()

    config.update({"tools.staticdir.dir": "/srv"})

    assert config["tools.staticdir.section"] == "global"


STAGING = {
    "engine.autoreload.on": False,
    "checker.on": False,
    "tools.log_headers.on": False,
    "request.show_tracebacks": False,
    "request.show_mismatched_params": False,
}
DOCUMENTED = {
    "staging": STAGING,
    "production": {**STAGING, "log.screen": False},
    "embedded": {**STAGING, "log.screen": False, "engine.SIGHUP": None, "engine.SIGTERM": None},
    "test_suite": {
        **STAGING,
        "request.show_tracebacks": True,
        "request.show_mismatched_params": True,
        "log.screen": False,
    },
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_environments_are_the_documented_ones(name: str) -> None:
    """Each of the four, key by key; a key that is given wins, whatever the order."""
    config = Config()
    own = Config()

    config.update({"environment": name})
    own.update({"request.show_tracebacks": "mine", "environment": name})

    assert config == {**DOCUMENTED[name], "environment": name}
    assert own["request.show_tracebacks"] == "mine"
    assert set(environments) == set(DOCUMENTED)


def test_an_unknown_environment_changes_nothing() -> None:
    """And names those that there are."""
    config = Config(present=1)

    with pytest.raises(KeyError, match=r"unknown environment 'prod'; known: embedded, production, staging, test_suite"):
        config.update({"environment": "prod", "a.b": 1})

    assert config == {"present": 1}


def test_later_updates_win() -> None:
    """Key by key; what they do not name stays."""
    config = Config({"a.x": 1, "a.y": 1})

    config.update({"a.y": 2})
    config.update({"a.z": 3})

    assert config == {"a.x": 1, "a.y": 2, "a.z": 3}


def test_namespaces_are_told_in_their_own_order() -> None:
    """Not in that of the keys: a server is configured before the tree, however the file is sorted."""
    config = Config()
    told: list[str] = []
    for name in ("server", "engine"):
        config.namespaces[name] = lambda key, value, name=name: told.append(f"{name}.{key}")

    config.update({"engine.a": 1, "server.b": 2, "engine.c": 3})

    assert told == ["server.b", "engine.a", "engine.c"]


def test_reset_goes_back_to_the_defaults() -> None:
    """Namespaces are not told: what a key has set stays set."""
    config = Config()
    config.defaults = {"kept": 1}
    told: list[str] = []
    config.namespaces["ns"] = lambda key, value: told.append(key)
    config.update({"ns.a": 1, "kept": 2})

    config.reset()

    assert config == {"kept": 1}
    assert told == ["a"]


def test_a_section_that_is_no_dict_is_a_plain_key() -> None:
    """Only a [global] with keys stands for the whole."""
    config = Config()

    config.update({"global": 5})

    assert config == {"global": 5}


@pytest.mark.parametrize("wrong", [{"a": 1}, {"/": {"a": 1}, "b": 2}, {"/": None}])
def test_merge_refuses_what_is_in_no_section(wrong: Any) -> None:
    """With the name of what stands outside."""
    with pytest.raises(ValueError, match=r"needs sections, but '[ab/]' stands outside of any"):
        merge(AppConfig(), wrong)


def test_merge_adds_to_sections(tmp_path: Path) -> None:
    """From dicts, file names and open files; later ones win."""
    file = tmp_path / "app.conf"
    file.write_text("[/]\nb = 2\n[/deep]\nc = 3\n")
    config = AppConfig({"/": {"a": 1, "b": 1}})

    merge(config, str(file))
    with file.open() as opened:
        merge(config, opened)
    merge(config, {"/deep": {"d": 4}, "Free": {"e": 5}})

    assert config == {"/": {"a": 1, "b": 2}, "/deep": {"c": 3, "d": 4}, "Free": {"e": 5}}


def test_a_copy_is_its_own() -> None:
    """Sections and all."""
    config = AppConfig({"/": {"a": 1}})

    copied = config.copy()
    copied["/"]["a"] = 2

    assert config == {"/": {"a": 1}}
    assert type(copied) is AppConfig
