"""Hooks: in which order they run, and what a failing one does to the others."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import cherrypy
from cherrypy.core.hooks import Hook, HookMap, hookpoints

POINT = "before_handler"


class Told(Exception):
    """What a failing hook raises."""


def failing(error: type[Exception] | Exception = Told) -> Any:
    """Return a callback that raises."""

    def fail() -> None:
        raise error

    return fail


def named(seen: list[str], name: str, **attributes: Any) -> Any:
    """Return a callback that notes its name, with *attributes*."""

    def note() -> None:
        seen.append(name)

    for attribute, value in attributes.items():
        setattr(note, attribute, value)
    return note


def test_there_are_eight_points_in_the_documented_order() -> None:
    """The last two belong to unexpected errors."""
    assert hookpoints == [
        "on_start_resource",
        "before_request_body",
        "before_handler",
        "before_finalize",
        "on_end_resource",
        "on_end_request",
        "before_error_response",
        "after_error_response",
    ]
    assert list(cherrypy._cprequest.Request.hooks) == hookpoints


def test_a_hook_has_the_documented_defaults() -> None:
    """Not failsafe, priority 50; whatever else is given goes to the callback."""
    hook = Hook(named([], "x"), a=1)

    assert (hook.failsafe, hook.priority, hook.kwargs) == (False, 50, {"a": 1})


def test_a_hook_takes_over_what_its_callback_says() -> None:
    """Its attributes are the defaults; arguments go first."""
    callback = named([], "x", failsafe=True, priority=10)

    assert (Hook(callback).failsafe, Hook(callback).priority) == (True, 10)
    assert (Hook(callback, False, 90).failsafe, Hook(callback, False, 90).priority) == (False, 90)
    assert Hook(callback, priority=0).priority == 0


def test_a_hook_calls_its_callback() -> None:
    """With its keyword arguments, and returns what it returns."""
    assert Hook(dict, a=1)() == {"a": 1}


def test_hooks_without_callbacks_can_be_sorted() -> None:
    """By their priorities only."""
    late, early = Hook(None, priority=60), Hook(None, priority=40)

    assert sorted([late, early]) == [early, late]
    assert early < late <= late
    assert early != Hook(None, priority=40)


def test_hooks_run_by_priority_and_then_as_attached() -> None:
    """Sorting is stable."""
    seen: list[str] = []
    hooks = HookMap(hookpoints)
    for name, priority in (("c", 50), ("d", 50), ("b", 10), ("a", 0), ("e", 80)):
        hooks.attach(POINT, named(seen, name), priority=priority)
    hooks.run(POINT)

    assert seen == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    "error",
    [Told(), cherrypy.HTTPError(400), cherrypy.HTTPError(500)],
    ids=["unexpected", "HTTPError 400", "HTTPError 500"],
)
def test_after_a_failure_only_failsafe_hooks_run(error: Exception) -> None:
    """And the failure goes on."""
    seen: list[str] = []
    hooks = HookMap(hookpoints)
    hooks.attach(POINT, named(seen, "before"), priority=10)
    hooks.attach(POINT, failing(error), priority=20)
    hooks.attach(POINT, named(seen, "skipped"), priority=30)
    hooks.attach(POINT, named(seen, "safe"), priority=40, failsafe=True)

    with pytest.raises(type(error)) as caught:
        hooks.run(POINT)
    assert caught.value is error
    assert seen == ["before", "safe"]


def test_a_failsafe_hook_may_fail_as_well() -> None:
    """The others run all the same; the last failure goes on."""
    seen: list[str] = []
    hooks = HookMap(hookpoints)
    hooks.attach(POINT, failing(ValueError), priority=1)
    hooks.attach(POINT, failing(KeyError), failsafe=True, priority=2)
    hooks.attach(POINT, named(seen, "last"), failsafe=True, priority=3)

    with pytest.raises(KeyError):
        hooks.run(POINT)
    assert seen == ["last"]


@pytest.mark.parametrize(
    ("error", "is_logged"),
    [
        (Told(), True),
        (cherrypy.HTTPError(404), False),
        (cherrypy.HTTPRedirect("http://x/"), False),
        (cherrypy.InternalRedirect("/x"), False),
    ],
    ids=["unexpected", "HTTPError", "HTTPRedirect", "InternalRedirect"],
)
def test_only_unexpected_failures_are_logged(error: Exception, is_logged: bool, caplog: Any) -> None:
    """Errors and redirects are answers."""
    hooks = HookMap(hookpoints)
    hooks.attach(POINT, failing(error))
    with pytest.raises(type(error)):
        hooks.run(POINT)

    assert bool(caplog.records) is is_logged


def test_a_copy_has_lists_of_its_own() -> None:
    """By either spelling; what is attached to it stays there."""
    hooks = HookMap(hookpoints)
    hooks.attach(POINT, failing())
    for other in (hooks.copy(), copy.copy(hooks)):
        other.attach(POINT, failing())

        assert (len(hooks[POINT]), len(other[POINT]), type(other)) == (1, 2, HookMap)


def test_a_map_without_points_is_empty() -> None:
    """There is no point to attach to."""
    with pytest.raises(KeyError):
        HookMap().attach(POINT, failing())


def test_they_show_what_they_are() -> None:
    """For logs and debuggers."""
    assert "priority=7" in repr(Hook(None, priority=7, a=1))
    assert "a=1" in repr(Hook(None, priority=7, a=1))
    assert "before_handler" in repr(HookMap(hookpoints))


class Page:
    """One page."""

    @cherrypy.expose
    def index(self) -> str:
        return "fine"


@pytest.mark.parametrize("point", ["on_start_resource", "before_request_body", "before_handler", "before_finalize"])
def test_a_hook_that_fails_before_the_answer_makes_it_an_error(site: Any, point: str) -> None:
    """on_end_resource and on_end_request are reached all the same."""
    seen: list[str] = []
    config = {f"hooks.{point}": failing(), "hooks.on_end_resource": named(seen, "resource")}
    site.mount(Page(), config={"/": {**config, "hooks.on_end_request": named(seen, "request")}})

    reply = site("/")

    assert reply.status == 500
    assert b"Told" in reply.body
    assert seen == ["resource", "request"]


@pytest.mark.parametrize("point", ["on_start_resource", "before_request_body", "before_handler"])
def test_a_hook_may_answer_with_an_error_or_redirect(site: Any, point: str) -> None:
    """In place of the page."""
    site.mount(Page(), "/a", config={"/": {f"hooks.{point}": failing(cherrypy.HTTPError(402))}})
    site.mount(Page(), "/b", config={"/": {f"hooks.{point}": lambda: failing(cherrypy.HTTPRedirect("/c"))()}})

    assert (site("/a/").status, site("/b/").status) == (402, 303)


def test_hooks_before_finalize_see_their_own_answer(site: Any) -> None:
    """An error raised there passes the point once more, so whoever always raises ends in a 500."""
    seen: list[Any] = []

    def refuse(always: bool) -> None:
        seen.append(cherrypy.response.status)
        if always or len(seen) == 1:
            raise cherrypy.HTTPError(402)

    site.mount(Page(), "/once", config={"/": {"hooks.before_finalize": Hook(refuse, always=False)}})
    site.mount(Page(), "/always", config={"/": {"hooks.before_finalize": Hook(refuse, always=True)}})

    assert (site("/once/").status, seen) == (402, [None, 402])
    assert site("/always/").status == 500


def test_a_hook_that_fails_at_the_end_of_the_resource_is_an_error(site: Any) -> None:
    """The finished page is thrown away: nothing of it has been sent."""
    site.mount(Page(), config={"/": {"hooks.on_end_resource": failing()}})

    assert site("/").status == 500


def test_a_hook_that_fails_at_the_end_of_the_request_is_logged(site: Any, caplog: Any) -> None:
    """The answer is out, so nobody else can be told."""
    site.mount(Page(), config={"/": {"hooks.on_end_request": failing()}})

    assert site("/").status == 200
    assert any(record.exc_info and record.exc_info[0] is Told for record in caplog.records)


def test_several_hooks_of_one_point_in_configuration(site: Any) -> None:
    """``hooks.POINT`` and ``hooks.POINT.anything``, callables or Hooks."""
    site.mount(
        Page(),
        config={
            "/": {
                "hooks.before_handler": cherrypy.HTTPError(410),
                "hooks.before_handler.second": Hook(failing(cherrypy.HTTPError(402)), priority=10),
            }
        },
    )

    assert site("/").status == 402


def test_a_dotted_name_is_looked_up(site: Any) -> None:
    """Where the configuration is a file."""
    site.mount(Page(), config={"/": {"hooks.before_handler": "cherrypy.lib.cptools.validate_since"}})

    assert site("/").body == b"fine"
