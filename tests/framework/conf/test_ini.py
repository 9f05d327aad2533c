"""Files, and dicts that tell namespaces."""

from __future__ import annotations

import configparser
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


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.b = 1 - 2", "does not recognize 'Sub'"),
        ("a.b = localhost", "neither a module nor a builtin"),
        ("a.b = '%(absent)s'", "absent"),
        ("a.b = '100%'", "must be followed by"),
        ("a.b = int('x')", "invalid literal"),
        ("a.b = os.nothing", "nothing"),
    ],
)
def test_each_refusal_says_where_and_why(line: str, reason: str) -> None:
    """A file of a hundred lines is searched for one otherwise."""
    value = line.partition(" = ")[2]

    with pytest.raises(ValueError, match="Config error") as caught:
        as_dict(io.StringIO(f"[/path]\n{line}\n"))

    assert f"section: '/path', option: 'a.b', value: {value!r}" in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[s]\na = 1", {"a": 1}),
        ("[s]\na: 1", {"a": 1}),
        ("[s]\na = 'x:y=z'", {"a": "x:y=z"}),
        ("[s]\n# comment\n; comment\na = 1 # why", {"a": 1}),
        ("[s]\na = [1,\n  2,\n  # between\n  3]", {"a": [1, 2, 3]}),
        ("[s]\nA = 1\na = 2", {"A": 1, "a": 2}),
        ("[s]\na =", {"a": ""}),
        ("[s]\na = '100%%'", {"a": "100%"}),
        ("[s]\nx = 5\na = %(x)s * 2", {"x": 5, "a": 10}),
        ("[DEFAULT]\nx = 'd'\n[s]\na = %(x)s + 'e'", {"a": "de", "x": "d"}),
        ("[DEFAULT]\nx = 'd'\n[s]\nx = 'own'", {"x": "own"}),
        ("[s]", {}),
    ],
)
def test_rules_of_the_files(text: str, expected: dict[str, object]) -> None:
    """Case, separators, comments, several lines, interpolation, nothing at all."""
    assert as_dict(io.StringIO(text)) == {"s": expected}


@pytest.mark.parametrize("text", ["a = 1", "[s]\na", "[s]\na = 1\na = 2", "[s]\na = 1\n[s]\nb = 2", "[s]\na = [1,\n2]"])
def test_what_is_no_ini_file(text: str) -> None:
    """No section, no value, a section or an option twice, a second line that is not indented."""
    with pytest.raises(configparser.Error):
        as_dict(io.StringIO(text))


def test_defaults_are_in_every_section() -> None:
    """Also in those that say nothing."""
    assert as_dict(io.StringIO("[DEFAULT]\nx = 1\n[a]\n[b]\n")) == {"a": {"x": 1}, "b": {"x": 1}}


def test_all_names_of_files_are_read(tmp_path: Path) -> None:
    """Text, bytes, path objects, open files, and several at once."""
    file = tmp_path / "a.conf"
    file.write_text("[/]\na = 1\n")
    other = tmp_path / "b.conf"
    other.write_text("[/]\nb = 2\n")
    parser = Parser()

    names = parser.read([str(file), other])

    assert names == [str(file), str(other)]
    assert parser.as_dict() == {"/": {"a": 1, "b": 2}}
    with file.open() as opened:
        assert Parser.load(opened) == {"/": {"a": 1}}
    assert Parser.load(str(file).encode()) == Parser.load(file) == Parser().dict_from_file(str(file)) == {"/": {"a": 1}}


def test_raw_values_are_not_interpolated() -> None:
    """And further variables may be given."""
    parser = Parser()
    parser.read_string("[s]\na = '%(x)s'\n")

    assert parser.as_dict(raw=True) == {"s": {"a": "%(x)s"}}
    assert parser.as_dict(vars={"x": "5"}) == {"s": {"a": "5"}}


@pytest.mark.parametrize("source", [None, 5])
def test_other_sources_are_refused(source: object) -> None:
    """Before anything is taken in."""
    with pytest.raises(TypeError):
        Parser.load(source)


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


def test_a_handler_that_fails_leaves_its_context() -> None:
    """The manager is told of the failure, which goes on."""
    left: list[object] = []

    class Managed:
        def __enter__(self):
            def fail(key: str, value: object) -> None:
                raise KeyError(key)

            return fail

        def __exit__(self, kind: object, *error: object) -> None:
            left.append(kind)

    with pytest.raises(KeyError, match="c"):
        NamespaceSet(managed=Managed())({"managed.c": 1})

    assert left == [KeyError]


def test_a_context_is_entered_without_keys_too() -> None:
    """Toolboxes make their map there."""
    entered: list[int] = []

    class Managed:
        def __enter__(self):
            entered.append(1)
            return print

        def __exit__(self, *error: object) -> None:
            pass

    NamespaceSet(managed=Managed())({})

    assert entered == [1]


def test_a_config_tells_its_namespaces_of_items() -> None:
    """One by one, and of what an update brings."""
    told: list[tuple[str, object]] = []

    class Own(Config):
        namespaces = NamespaceSet(ns=lambda key, value: told.append((key, value)))

    config = Own({"ns.a": 1})
    config["ns.b"] = 2
    config.update(other=3, **{"ns.c": 4})

    assert told == [("a", 1), ("b", 2), ("c", 4)]


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


def test_a_handler_may_say_that_it_is_no_context_manager() -> None:
    """As one with attributes for everything has to: ``__exit__ = None``."""

    class Settings:
        __exit__ = None

        def __init__(self) -> None:
            self.told: dict[str, object] = {}

        def __call__(self, key: str, value: object) -> None:
            self.told[key] = value

        def __getattr__(self, name: str) -> object:
            return self.__dict__["told"][name]

    settings = Settings()
    NamespaceSet(shop=settings)({"shop.name": "Kirsch"})

    assert settings.name == "Kirsch"
