"""Sessions that somebody else ends: in every store one, those that hold a value, all; and they stay away."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import sessions
from cherrypy.lib.sessions import storelist


@pytest.fixture(params=["ram", "file", "redis", "memcached"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """Makes sessions of a store that nobody else uses."""
    kinds: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
        "ram": lambda: (sessions.RamSession, {}),
        "file": lambda: (sessions.FileSession, {"storage_path": str(tmp_path)}),
        "redis": lambda: (
            sessions.RedisSession,
            {"url": request.getfixturevalue("redis_url"), "key_prefix": f"{tmp_path.name}[*]:"},
        ),
        "memcached": lambda: (sessions.MemcachedSession, {"servers": request.getfixturevalue("memcached_servers")}),
    }
    store, settings = kinds[request.param]()

    def make(session_id: str | None = None) -> Any:
        return store(session_id, clean_freq=0, lock_timeout=5, **settings)

    make().purge()
    return make


def save(make: Callable[..., Any], **data: Any) -> str:
    """Keep a session with *data*; return its id."""
    session = make()
    session.acquire_lock()
    session.update(data)
    session.save()
    return str(session.id)


def test_one_by_its_id(make: Callable[..., Any]) -> None:
    """The others stay; what is not there is not counted, nor what no id can be."""
    first, second = save(make, n=1), save(make, n=2)
    counts = [make().purge(one) for one in (first, first, "0" * 40, "../" + second, "*" * 20)]

    assert counts == [1, 0, 0, 0, 0]
    assert make(first).missing
    assert not make(second).missing


def test_those_that_hold_a_value(make: Callable[..., Any]) -> None:
    """All sessions of a user; every value that is given has to be there."""
    alice = [save(make, username="alice", role=role) for role in ("admin", "guest")]
    bob = save(make, username="bob", role="admin")
    nobody = save(make, n=1)
    count = make().purge(where={"username": "alice", "role": "admin"})
    none = make().purge(where={"username": None})

    assert (count, none) == (1, 0)
    assert [make(one).missing for one in (*alice, bob, nobody)] == [True, False, False, False]


def test_all(make: Callable[..., Any]) -> None:
    """However many there are."""
    ids = [save(make, n=number) for number in range(5)]

    assert make().purge() == 5
    assert all(make(one).missing for one in ids)
    assert make().purge() == 0


def test_a_page_that_works_on_one_does_not_bring_it_back(make: Callable[..., Any]) -> None:
    """It has its lock, and saves at its end; what it made anew after a deletion is kept."""
    session_id = save(make, n=1)
    page = make(session_id)
    page.acquire_lock()
    page["n"] = page["n"] + 1
    count = make().purge(session_id)
    page.save()
    gone = make(session_id).missing
    other = make(save(make, n=1))
    other.acquire_lock()
    other.delete()
    other["n"] = 5
    other.save()

    assert count == 1
    assert gone
    assert not make(other.id).missing


def test_memcached_of_several_is_not_emptied(memcached_servers: list[str]) -> None:
    """Only what is a session goes: its keys have no prefix, and others may keep theirs there."""
    handle = sessions.MemcachedSession(None, servers=memcached_servers, clean_freq=0)
    handle.purge()
    foreign = "a" * 40
    handle.cache.set(foreign, b"no session")
    handle.cache.set("b" * 40, {"a": 1})
    handle["n"] = 1
    handle.save()

    assert sessions.MemcachedSession(None, servers=memcached_servers, clean_freq=0).purge() == 1
    assert handle.cache.get(foreign) == b"no session"
    handle.cache.flush_all()


def test_what_does_not_fit_into_memcached_is_still_said(memcached_servers: list[str]) -> None:
    """Also the second time, when it could be taken for a session that was purged."""
    session = sessions.MemcachedSession(None, servers=memcached_servers, clean_freq=0)
    session["n"] = 1
    session.save()
    again = sessions.MemcachedSession(session.id, servers=memcached_servers, clean_freq=0)
    again["n"] = again["n"]
    again["large"] = os.urandom(2**21)

    with pytest.raises(ValueError, match="memcached refused"):
        again.save()


def test_files_go_with_their_locks(tmp_path: Path) -> None:
    """A page that is done leaves nothing behind either."""
    page = sessions.FileSession(None, storage_path=str(tmp_path), clean_freq=0)
    page.acquire_lock()
    page["n"] = 1
    page.save()
    page.acquire_lock()
    page["n"] = 2
    sessions.FileSession(None, storage_path=str(tmp_path), clean_freq=0).purge()
    page.save()

    assert os.listdir(tmp_path) == []


def test_stores_are_known_from_the_configuration_of_pages(
    serve: Callable[..., Any], pages: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a name, once, whatever else their pages configure; others may be left to somebody else."""
    monkeypatch.setattr(storelist, "_known", {})
    browser = serve(
        pages, sessions__on=True, sessions__storage_class=sessions.FileSession, sessions__storage_path=str(tmp_path)
    )
    browser("/")
    sessions.check({"storage_class": sessions.FileSession, "storage_path": str(tmp_path), "timeout": 5, "on": True})
    sessions.check({"on": True})
    name = f"files in {tmp_path}"
    shared = {one: store.is_shared for one, store in sessions.stores().items()}
    skipped = sessions.purge(skip=[name])
    counts = sessions.purge()

    ram = "cherrypy.lib.sessions.ram.RamSession"
    assert shared == {name: True, ram: False}
    assert skipped == {ram: 0}
    assert counts == {name: 1, ram: 0}


class OfOthers(sessions.RamSession):
    """A store that has only what the manual asks for."""

    cache: dict[str, Any] = {}
    _ids = sessions.Session._ids
    _remove = sessions.Session._remove


def test_a_store_of_others_is_purged_by_ids() -> None:
    """With its lock; it says so where it cannot do more."""
    session = OfOthers(None, clean_freq=0)
    session["n"] = 1
    session.save()

    assert OfOthers(None, clean_freq=0).purge(session.id) == 1
    with pytest.raises(NotImplementedError, match="purge them by their ids"):
        OfOthers(None, clean_freq=0).purge()


def test_purging_is_part_of_the_library() -> None:
    """For applications, too: log somebody out everywhere."""
    assert cherrypy.lib.sessions.purge is sessions.purge
