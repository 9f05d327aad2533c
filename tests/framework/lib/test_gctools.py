"""The page that finds leaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import gctools


def test_leaks_are_told_with_their_keepers(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Just 'Statistics:' when all is well."""

    class Leak:
        pass

    root = gctools.GCRoot()
    gctools.request_counter.start()
    monkeypatch.setattr(gctools.GCRoot, "classes", [(Leak, 0, 0, "Should be none.")])
    browser = serve(root)

    assert browser("/").body == b"Hello, world!"
    assert browser("/stats").body == b"Statistics:"
    kept = [Leak()]
    told = browser("/stats").body
    assert b"1 instances, 0 to 0 expected. Should be none." in told
    assert b"REFERRERS TO" in told
    assert len(gctools.get_instances(Leak)) == len(kept)
    gctools.request_counter.unsubscribe()


def test_trees_of_keepers_are_short() -> None:
    """Long texts lose their middle."""
    tree = gctools.ReferrerTree(maxdepth=2)
    inside = ["x" * 100]
    outside = {"key": inside}

    assert len(tree.peek("a" * 100)) == 42
    assert any("key" in line for line in tree.format(tree.ascend(inside)))
    assert tree._format(outside["key"]).startswith("list: ")
    assert gctools.get_context(object()) == ""


def test_requests_responses_and_wsgi_s_are_counted() -> None:
    """Two of each of the first, of this thread and of the main one; none of the last on the native server."""
    kinds = {cls.__name__: (fewest, most) for cls, fewest, most, _ in gctools.GCRoot.classes}

    assert kinds == {"Request": (2, 2), "Response": (2, 2), "AppResponse": (0, 1)}


def test_a_site_without_leaks_says_only_statistics(serve: Callable[..., Any]) -> None:
    """From a real request, with all classes."""
    root = gctools.GCRoot()
    gctools.request_counter.start()
    browser = serve(root)
    try:
        body = browser("/stats").body.decode()
    finally:
        gctools.request_counter.unsubscribe()

    assert body.startswith("Statistics:")
    assert "AppResponse" not in body


def test_requests_are_counted_while_they_are_served() -> None:
    """By the bus's events."""
    counter = gctools.RequestCounter(cherrypy.engine)
    counter.start()
    counter.before_request()
    counter.before_request()
    counter.after_request()

    assert counter.count == 1


def test_what_is_told_of_an_object() -> None:
    """Enough to know it among others of its kind."""
    from types import SimpleNamespace

    assert gctools.get_context(cherrypy._cprequest.Request(None, None)) == "path=/;stage=None"
    assert gctools.get_context(cherrypy._cprequest.Response()) == "status=None"
    assert gctools.get_context(SimpleNamespace(environ={"PATH_INFO": "/x"})) == "PATH_INFO=/x"
    assert gctools.get_context(SimpleNamespace(tb_lineno=7)) == "tb_lineno=7"


def test_crowds_of_keepers_are_summed_up() -> None:
    """``maxparents``."""
    thing: list[int] = []
    holders = [[thing] for _ in range(12)]
    tree = gctools.ReferrerTree(maxparents=5)

    assert any("referrers]" in line for line in tree.format(tree.ascend(thing)))
    assert len(holders) == 12


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        ("x", "'x'"),
        (None, "None"),
        ({"a": 1}, "dict: 'a': 1"),
        ([1, "b"], "list: 1, 'b'"),
        ((1,), "tuple: 1"),
    ],
)
def test_objects_are_described(value: Any, text: str) -> None:
    """With what is inside, in short."""
    assert gctools.ReferrerTree()._format(value) == text
