"""Every key of ``tools.sessions``: its default, what it does to the cookie, and what is said of a wrong value."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import sessions
from cherrypy.lib.sessions.settings import RULES


def test_the_documented_defaults() -> None:
    """Names, order and values of ``init``; what is ours comes behind."""
    parameters = list(inspect.signature(sessions.init).parameters.values())

    assert [(one.name, one.default) for one in parameters[:-1]] == [
        ("storage_type", None), ("path", None), ("path_header", None), ("name", "session_id"), ("timeout", 60),
        ("domain", None), ("secure", False), ("clean_freq", 5), ("persistent", True), ("httponly", False),
        ("debug", False), ("samesite", None),
    ]  # fmt: skip
    assert parameters[-1].kind is inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize(
    ("store", "defaults"),
    [
        (sessions.Session, {"timeout": 60, "clean_freq": 5, "lock_timeout": None, "serializer": "pickle"}),
        (sessions.FileSession, {"SESSION_PREFIX": "session-", "LOCK_SUFFIX": ".lock"}),
        (sessions.MemcachedSession, {"servers": ["localhost:11211"], "lock_lifetime_s": 60, "store_timeout_s": 3.0}),
        (
            sessions.RedisSession,
            {
                "url": "redis://localhost:6379/0",
                "key_prefix": "session:",
                "lock_lifetime_s": 60,
                "store_timeout_s": 5.0,
            },
        ),
    ],
)
def test_the_defaults_of_the_stores(store: Any, defaults: dict[str, Any]) -> None:
    """As the manual lists them."""
    assert {name: getattr(store, name) for name in defaults} == defaults


@pytest.mark.parametrize(
    ("settings", "wanted", "unwanted"),
    [
        ({}, ["session_id=", "path=/", "max-age=3600", "expires="], ["httponly", "secure", "samesite", "domain"]),
        ({"persistent": False}, ["path=/"], ["max-age", "expires"]),
        ({"httponly": True, "secure": True, "samesite": "strict"}, ["httponly", "secure", "samesite=strict"], []),
        ({"httponly": 1, "samesite": "Lax"}, ["httponly", "samesite=lax"], ["secure"]),
        ({"samesite": "None", "secure": True}, ["samesite=none", "secure"], []),
        ({"samesite": None, "secure": 0}, [], ["samesite", "secure"]),
        ({"path": "/x", "domain": "example.com", "timeout": 2}, ["path=/x", "domain=example.com", "max-age=120"], []),
        ({"path_header": "Host", "name": "sid"}, ["path=localhost", "sid="], ["session_id"]),
        ({"path_header": "X-None"}, ["path=/"], []),
        ({"path_header": "Host", "path": "/y"}, ["path=/y"], ["localhost"]),
    ],
)
@pytest.mark.parametrize("page", ["/", "/regenerate", "/regenerate_by_tool"])
def test_the_cookie_is_as_configured(
    serve: Callable[..., Any], pages: Any, settings: dict[str, Any], wanted: list[str], unwanted: list[str], page: str
) -> None:
    """Every attribute has its setting, and a regenerated id has them all."""
    tools = {f"sessions__{name}": value for name, value in settings.items()}
    cookie = serve(pages, sessions__on=True, sessions__clean_freq=0, **tools)(page).cookies[0].lower()

    assert [one for one in wanted if one not in cookie] == []
    assert [one for one in unwanted if one in cookie] == []


def test_a_header_cannot_add_attributes_to_the_cookie(serve: Callable[..., Any], pages: Any) -> None:
    """SECURITY: ``path_header`` is filled by whoever sends the request."""
    browser = serve(pages, sessions__on=True, sessions__clean_freq=0, sessions__path_header="X-Path")

    assert "evil" not in browser("/", headers={"X-Path": "/; domain=evil.example"}).cookies[0]


def test_expire_makes_the_client_forget(serve: Callable[..., Any], pages: Any) -> None:
    """The cookie's end lies in the past."""
    cookie = serve(pages, sessions__on=True, sessions__clean_freq=0)("/expire").cookies[0].lower()

    assert "expires=" in cookie
    assert "max-age" not in cookie


def test_expire_without_the_tool_names_the_same_cookie(serve: Callable[..., Any], pages: Any) -> None:
    """A page for logging out may have sessions off."""
    browser = serve(pages, sessions__on=False, sessions__name="sid", sessions__path="/p", sessions__domain="d.example")
    cookie = browser("/expire").cookies[0]

    assert cookie.startswith("sid=")
    assert "Path=/p" in cookie
    assert "Domain=d.example" in cookie


WRONG: list[tuple[str, Any]] = [
    ("storage_type", "floppy"), ("storage_type", ["ram"]), ("storage_class", "no.such.Class"), ("storage_class", "ram"),
    ("storage_class", "cherrypy.lib.sessions.NoSession"), ("storage_class", 5), ("locking", "later"), ("path", "/;a"),
    ("path", 5), ("path_header", 5), ("name", "a b"), ("name", ""), ("name", None), ("timeout", "60"),
    ("timeout", None), ("domain", 5), ("domain", "a;b"), ("secure", "no"), ("secure", "False"), ("clean_freq", "5"),
    ("clean_freq", -1), ("persistent", "off"), ("httponly", "0"), ("debug", "false"), ("samesite", "Laxx"),
    ("samesite", True), ("samesite", "None"), ("serializer", "yaml"), ("serializer", object()), ("serializer", None),
    ("lock_timeout", "5"), ("lock_timeout", -1), ("lock_timeout", True),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_wrong_value_is_named_with_its_key(serve: Callable[..., Any], pages: Any, key: str, value: Any) -> None:
    """A typo in a setting must not pass for none: the key, what was given, what is allowed."""
    with pytest.raises(ValueError, match=rf"tools\.sessions\.{key} ") as caught:
        sessions.check({key: value})

    assert repr(value).strip("'") in str(caught.value) or key == "samesite"
    assert serve(pages, **{"sessions__on": True, f"sessions__{key}": value})("/").status == 500


STORE_WRONG: list[tuple[type[sessions.Session], str, Any]] = [
    (sessions.FileSession, "storage_path", None), (sessions.FileSession, "storage_path", 5),
    (sessions.FileSession, "storage_path", ""),
    (sessions.MemcachedSession, "servers", "localhost:11211"), (sessions.MemcachedSession, "servers", []),
    (sessions.MemcachedSession, "servers", [5]), (sessions.MemcachedSession, "lock_lifetime_s", -1),
    (sessions.MemcachedSession, "store_timeout_s", 0),
    (sessions.RedisSession, "url", "localhost:6379"), (sessions.RedisSession, "url", None),
    (sessions.RedisSession, "key_prefix", 1), (sessions.RedisSession, "lock_lifetime_s", 0.5),
    (sessions.RedisSession, "store_timeout_s", None),
]  # fmt: skip


@pytest.mark.parametrize(("store", "key", "value"), STORE_WRONG)
def test_a_wrong_value_for_a_store_is_named_with_its_key(store: Any, key: str, value: Any) -> None:
    """Each store knows its own."""
    with pytest.raises(ValueError, match=rf"tools\.sessions\.{key} must be .*, not ") as caught:
        sessions.check({"storage_class": store, key: value})

    assert repr(value) in str(caught.value)


def test_every_rule_has_a_value_that_breaks_it() -> None:
    """The tables above are complete."""
    assert {key for key, _ in WRONG} >= set(RULES)
    for store in (sessions.FileSession, sessions.MemcachedSession, sessions.RedisSession):
        assert {key for kind, key, _ in STORE_WRONG if kind is store} == set(store.rules)


def test_good_values_pass(tmp_path: Path) -> None:
    """Also those that were always taken."""
    sessions.check({})
    sessions.check({"secure": "yes", "httponly": 1, "persistent": None, "locking": False, "timeout": 0.5})
    sessions.check({"lock_timeout": datetime.timedelta(seconds=1), "samesite": "", "storage_class": lambda id, **kw: 1})
    sessions.check({"storage_class": sessions.FileSession, "storage_path": tmp_path})
    sessions.check({"storage_class": sessions.RedisSession, "url": "rediss://:secret@host/1", "key_prefix": ""})
    sessions.check({"storage_class": sessions.MemcachedSession, "servers": ["unix:/run/m", ("host:1", 2)]})


def test_a_file_store_without_a_directory_is_told(serve: Callable[..., Any], pages: Any) -> None:
    """``storage_path`` has no default."""
    cherrypy.config.update({"request.show_tracebacks": True})
    answer = serve(pages, sessions__on=True, sessions__storage_class=sessions.FileSession)("/")

    assert answer.status == 500
    assert b"file sessions need tools.sessions.storage_path" in answer.body


def test_samesite_none_needs_secure(serve: Callable[..., Any], pages: Any) -> None:
    """Browsers throw such a cookie away, and users would wonder why they cannot log in."""
    with pytest.raises(ValueError, match=r"samesite = 'None' needs tools\.sessions\.secure = True"):
        sessions.check({"samesite": "None"})
    sessions.check({"samesite": "None", "secure": True})


@pytest.mark.parametrize("name", ["ram", "RAM", "file", "memcached", "redis"])
def test_old_names_of_stores_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``storage_type``, with one notice in the log, not one a request."""
    told: list[str] = []
    monkeypatch.setattr("cherrypy.lib.sessions.log", lambda message, *args, **kwargs: told.append(message))
    sessions._tell_once.cache_clear()
    for _ in range(3):
        sessions.check({"storage_type": name, "storage_path": "/x"})

    assert told == [told[0]]
    assert "storage_type is deprecated. Set tools.sessions.storage_class to" in told[0]


def test_a_library_may_bring_a_store_of_its_own(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It puts NAMESession into the module, as they always have, also in the place of ours."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            return type(cherrypy.serving.session).__name__

    class Foreign(sessions.RamSession):
        pass

    for name in ("Mongo", "Redis"):
        monkeypatch.setattr(sessions, f"{name}Session", Foreign, raising=False)
        browser = serve(Root(), sessions__on=True, sessions__storage_type=name.lower(), sessions__clean_freq=0)
        assert browser("/").body == b"Foreign"


def test_the_notice_of_a_wrong_store_lists_those_that_are_there() -> None:
    """By the names for ``storage_type``."""
    with pytest.raises(ValueError, match="must be one of file, memcached, ram, redis, not 'floppy'"):
        sessions.check({"storage_type": "floppy"})
