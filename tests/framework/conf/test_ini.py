"""Files, and dicts that tell namespaces."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cherrypy.conf.ini import Config, NamespaceSet, Parser, as_dict

TEXT = """
[DEFAULT]
dir = "/srv"

[global]
server.socket_port: 8080
Mixed.Case = 'kept'
empty =
log.access_file = %(dir)s + "/access.log"

[/static]
tools.staticdir.on = True
tools.staticdir.dir = %(dir)s + "/static"
tools.expires.secs = 60 * 60
"""


def test_a_file_becomes_sections() -> None:
    """Keys keep their case, values are values, defaults are put in before they are evaluated."""
    config = as_dict(io.StringIO(TEXT))

    assert config["global"]["server.socket_port"] == 8080
    assert config["global"]["Mixed.Case"] == "kept"
    assert config["global"]["empty"] == ""
    assert config["global"]["log.access_file"] == "/srv/access.log"
    assert config["/static"]["tools.staticdir.dir"] == "/srv/static"
    assert config["/static"]["tools.expires.secs"] == 3600


def test_a_file_by_name(tmp_path: Path) -> None:
    """As text is read: UTF-8."""
    file = tmp_path / "site.conf"
    file.write_text("[/]\nname = 'Ünï'\n", encoding="utf-8")

    assert Parser.load(str(file)) == {"/": {"name": "Ünï"}}
    assert Parser.load(file) == {"/": {"name": "Ünï"}}


def test_a_missing_file_is_an_error() -> None:
    """Where the standard library's parser says nothing."""
    with pytest.raises(FileNotFoundError):
        Parser.load("/nonexistent/site.conf")


def test_a_bad_value_is_named() -> None:
    """Section, option and value."""
    with pytest.raises(ValueError, match=r"section: 'global', option: 'a.b', value: 'open\('"):
        as_dict(io.StringIO("[global]\na.b = open(\n"))


def test_a_dict_is_copied() -> None:
    """Its sections are not."""
    given = {"/": {"a": 1}}

    loaded = Parser.load(given)

    assert loaded == given
    assert loaded is not given


def test_namespaces_get_their_keys() -> None:
    """Callables, and context managers that are left again; keys without a dot are nobody's."""
    told: list[object] = []

    class Managed:
        def __enter__(self):
            told.append("enter")
            return lambda key, value: told.append((key, value))

        def __exit__(self, *error: object) -> None:
            told.append("exit")

    namespaces = NamespaceSet()
    namespaces["plain"] = lambda key, value: told.append((key, value))
    namespaces["managed"] = Managed()

    namespaces({"plain.a.b": 1, "managed.c": 2, "nobody.d": 3, "alone": 4})

    assert told == [("a.b", 1), "enter", ("c", 2), "exit"]


def test_a_copy_of_namespaces_is_its_own() -> None:
    """Applications add to theirs."""
    namespaces = NamespaceSet(a=print)

    copied = namespaces.copy()
    copied["b"] = print

    assert type(copied) is NamespaceSet
    assert "b" not in namespaces


def test_a_config_applies_an_environment() -> None:
    """For keys that are not given."""

    class Own(Config):
        environments = {"production": {"a": 1, "b": 2}}

    config = Own()
    config.update({"environment": "production", "a": 10})

    assert (config["a"], config["b"]) == (10, 2)
    with pytest.raises(KeyError, match=r"unknown environment 'prod'; known: production"):
        config.update({"environment": "prod"})


def test_a_config_goes_back_to_its_defaults() -> None:
    """Reset forgets."""

    class Own(Config):
        defaults = {"a": 1}

    config = Own(b=2)
    assert config == {"a": 1, "b": 2}

    config.reset()

    assert config == {"a": 1}
