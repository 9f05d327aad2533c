"""Which server owns the process, and when its workers begin. The servers themselves: tests/integration."""

from __future__ import annotations

import signal
import sys
import threading
from types import ModuleType
from typing import Any

import pytest

from cherrypy.process import owner


def make_uwsgi(monkeypatch: pytest.MonkeyPatch, worker: int) -> Any:
    """UWSGI's module, as worker number *worker* (0: before the fork) sees it; without its decorators."""
    uwsgi: Any = ModuleType("uwsgi")
    uwsgi.worker_id = lambda: worker
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    monkeypatch.setitem(sys.modules, "uwsgidecorators", None)
    return uwsgi


def test_an_ordinary_process_does_not_fork() -> None:
    """It starts at once."""
    assert not owner.forks_later()


@pytest.mark.parametrize(("worker", "forks"), [(0, True), (1, False)])
def test_uwsgi_tells_by_the_workers_number(worker: int, forks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is 0 where the workers come from."""
    make_uwsgi(monkeypatch, worker)

    assert owner.forks_later() is forks


def test_a_module_named_like_uwsgis_is_not_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something of the application's own."""
    monkeypatch.setitem(sys.modules, "uwsgi", ModuleType("uwsgi"))

    assert not owner.forks_later()


@pytest.mark.parametrize(
    ("modules", "forks"),
    [
        (["gunicorn.arbiter", "gunicorn.app.base"], True),
        (["gunicorn.arbiter", "gunicorn.workers.sync", "gunicorn.app.base"], False),
        (["gunicorn.app.base"], False),
    ],
    ids=["preload", "worker", "a check of the configuration"],
)
def test_gunicorn_tells_by_who_loads_the_site(modules: list[str], forks: bool) -> None:
    """The modules whose functions are being called, from the outermost on."""
    call: Any = owner.forks_later
    for name in reversed(modules):
        space: dict[str, Any] = {"__name__": name, "inner": call}
        exec("def outer():\n    return inner()", space)
        call = space["outer"]

    assert call() is forks


def test_hooks_of_uwsgi_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the application had put there is called as before: first at the start, last at the end."""
    uwsgi = make_uwsgi(monkeypatch, 1)
    called: list[str] = []
    uwsgi.post_fork_hook = lambda: called.append("their start")
    uwsgi.atexit = lambda: called.append("their end")

    owner.call_in_workers(lambda: called.append("start"))
    owner.call_at_end(lambda: called.append("end"))
    uwsgi.post_fork_hook()
    uwsgi.atexit()

    assert called == ["their start", "start", "end", "their end"]


def test_mules_start_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of uWSGI's that serve no requests."""
    uwsgi = make_uwsgi(monkeypatch, 0)
    called: list[str] = []

    owner.call_in_workers(lambda: called.append("start"))
    owner.call_at_end(lambda: called.append("end"))
    uwsgi.post_fork_hook()
    uwsgi.atexit()

    assert called == []


def test_a_worker_is_ready_when_it_has_taken_its_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before: it may be root until then."""
    handlers = iter(["the parent's", "the parent's", "the worker's"])
    monkeypatch.setattr(signal, "getsignal", lambda number: next(handlers))
    monkeypatch.setattr(owner, "LOOK_S", 0)

    is_ready = owner.wait_for_worker(threading.Event())

    assert is_ready
    assert next(handlers, "none") == "none"


@pytest.mark.parametrize("patience_s", [0.0, 3600.0], ids=["too long", "a request has come"])
def test_nobody_waits_for_ever(patience_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without signals of its own, and a request that needs the engine now."""
    monkeypatch.setattr(owner, "PATIENCE_S", patience_s)
    is_needed = threading.Event()
    is_needed.set()
    waiting = threading.Thread(target=owner.wait_for_worker, args=(is_needed,), daemon=True)
    waiting.start()
    waiting.join(20)

    assert not waiting.is_alive()
