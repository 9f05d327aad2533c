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


def test_the_decorator_is_not_inherited() -> None:
    """A subclass gets a dict of its own, and several decorators add up."""
    config = Config()

    @config(a=1)
    class Base:
        pass

    @config(b=2)
    @config(c=3)
    class Derived(Base):
        pass

    @config(**{"tools.gzip.on": True})
    def handler() -> None:
        pass

    assert Base._cp_config == {"a": 1}
    assert Derived._cp_config == {"b": 2, "c": 3}
    assert handler._cp_config == {"tools.gzip.on": True}


def test_merge_needs_sections() -> None:
    """A flat dict would be lost."""
    with pytest.raises(ValueError, match=r"needs sections, but 'tools.x.on' stands outside"):
        merge({}, {"tools.x.on": True})


def test_static_directories_of_the_site_know_their_section() -> None:
    """What the checker and the tool go by."""
    config = Config()

    config.update({"tools.staticdir.dir": "/srv"})

    assert config["tools.staticdir.section"] == "global"


def test_environments_are_the_documented_ones() -> None:
    """Four of them."""
    assert set(environments) == {"staging", "production", "embedded", "test_suite"}
    assert environments["embedded"]["engine.SIGTERM"] is None
