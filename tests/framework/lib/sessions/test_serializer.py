"""How sessions become octets."""

from __future__ import annotations

import datetime
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cherrypy
from cherrypy.lib import sessions
from cherrypy.lib.sessions.serializer import serializer_for

SOON = datetime.datetime(2026, 11, 21, 12, 0, 0, 5)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_json_gives_back_what_it_was_given(data: dict[str, Any]) -> None:
    """Every value that it takes, and the moment, with or without zone."""
    serializer = serializer_for("json", 2)

    for moment in (SOON, SOON.replace(tzinfo=datetime.UTC)):
        assert serializer.unpack(serializer.pack(data, moment)) == (data, moment)


class Thing:
    """No value of JSON."""


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"when": datetime.date(2026, 1, 1)}, r"session\['when'\] is of the type datetime\.date"),
        ({"user": {"tags": ["a", {"x"}]}}, r"session\['user'\]\['tags'\]\[1\] is of the type set"),
        ({"user": {"thing": Thing()}}, r"session\['user'\]\['thing'\] is of the type .*Thing"),
        ({"place": (1, 2)}, r"session\['place'\] is of the type tuple"),
        ({"n": float("nan")}, r"session\['n'\] is nan \(float\)"),
        ({"ids": {1: "a"}}, r"The key 1 of session\['ids'\] is 1 \(int\)"),
        ({5: "a"}, "The key 5 of session is 5"),
        ({"raw": b"x"}, r"session\['raw'\] is of the type bytes"),
    ],
)
def test_what_json_cannot_hold_is_named_with_its_key(data: Any, named: str) -> None:
    """And told what can be done."""
    with pytest.raises(TypeError, match=named) as caught:
        serializer_for("json", 2).pack(data, SOON)

    assert "which JSON does not hold" in str(caught.value)
    assert "tools.sessions.serializer = 'pickle'" in str(caught.value)


def test_what_is_within_itself_is_named_too() -> None:
    """Neither a hang nor the end of the stack."""
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    for value in (endless, deep):
        with pytest.raises(TypeError, match=r"session\['a'\]"):
            serializer_for("json", 2).pack({"a": value}, SOON)


def test_pickles_have_the_protocol_that_was_asked_for() -> None:
    """``pickle_protocol``: the pair that CherryPy writes."""
    packed = serializer_for("pickle", 2).pack({"a": Thing}, SOON)

    assert packed[:2] == b"\x80\x02"
    assert pickle.loads(packed) == ({"a": Thing}, SOON)


def test_what_pickle_cannot_hold_is_named_with_its_key() -> None:
    """The error stays what it was."""
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)) as caught:
        serializer_for("pickle", 2).pack({"good": 1, "bad": lambda: 1}, SOON)

    assert caught.value.__notes__ == ["session['bad'] is of the type function"]


def test_json_never_reads_a_pickle() -> None:
    """SECURITY: a pickle runs code."""
    with pytest.raises(ValueError, match=r".+"):
        serializer_for("json", 2).unpack(pickle.dumps(({"a": 1}, SOON)))


@pytest.mark.parametrize("library", [json, pickle])
def test_any_library_with_dumps_and_loads_will_do(library: Any) -> None:
    """Whether it makes text or octets."""
    serializer = serializer_for(library, 2)

    assert serializer.unpack(serializer.pack({"a": [1]}, SOON)) == ({"a": [1]}, SOON)


@pytest.mark.parametrize("wrong", ["yaml", None, 5, object()])
def test_other_serializers_are_refused(wrong: Any) -> None:
    """With the key."""
    with pytest.raises(ValueError, match=r"tools\.sessions\.serializer must be 'json', 'pickle' or an object"):
        serializer_for(wrong, 2)


def test_the_setting_reaches_the_store(serve: Callable[..., Any], pages: Any, tmp_path: Path) -> None:
    """``tools.sessions.serializer = 'json'`` writes text that a person can read."""
    browser = serve(
        pages, sessions__on=True, sessions__storage_class=sessions.FileSession, sessions__storage_path=str(tmp_path),
        sessions__serializer="json",
    )  # fmt: skip
    assert [browser("/").body for _ in range(2)] == [b"1", b"2"]
    (file,) = tmp_path.glob("session-*[0-9a-f]")
    moment, data = file.read_text().split("\n")

    assert json.loads(data) == {"n": 2}
    assert datetime.datetime.fromisoformat(moment) > datetime.datetime.now()


def test_a_value_that_cannot_be_saved_fails_the_page_and_frees_the_lock(
    serve: Callable[..., Any], pages: Any, tmp_path: Path
) -> None:
    """The session stays as it was."""

    @cherrypy.expose
    def bad() -> str:
        cherrypy.session["user"] = {"since": datetime.date(2026, 1, 1)}
        return ""

    pages.bad = bad
    browser = serve(
        pages, sessions__on=True, sessions__storage_class=sessions.FileSession, sessions__storage_path=str(tmp_path),
        sessions__serializer="json",
    )  # fmt: skip
    browser("/")
    answer = browser("/bad")

    assert answer.status == 500
    assert b"session['user']['since'] is of the type datetime.date" in answer.body
    assert browser("/").body == b"2"
