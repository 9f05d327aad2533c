"""The server that owns the process: whether it loads the site here only to fork its workers later.

Threads, connections and clocks of a site belong into the processes that serve it. What was started in a process that
forks afterwards is missing in its workers (threads), or shared by all of them (connections, locks in use).
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

# A worker that sets no signal handler of its own is taken for ready after so long.
PATIENCE_S = 5.0
LOOK_S = 0.02


def forks_later() -> bool:
    """True in a process that only loads the site for its workers: ``gunicorn --preload``, uWSGI without lazy-apps."""
    uwsgi = _uwsgi()
    if uwsgi is not None:
        return bool(uwsgi.worker_id() == 0)
    return _is_loaded_by_an_arbiter()


def call_at_end(leave: Callable[[], object]) -> None:
    """Let uWSGI call *leave* when a worker ends: with threads it may be told to leave Python's own end out."""
    uwsgi = _uwsgi()
    if uwsgi is None:
        return
    before = getattr(uwsgi, "atexit", None)

    def both() -> None:
        if uwsgi.worker_id():
            leave()
        if before is not None:
            before()

    uwsgi.atexit = both


def call_in_workers(start: Callable[[], object]) -> None:
    """Let uWSGI call *start* in each worker, after the fork; other servers are found out by the fork itself."""
    uwsgi = _uwsgi()
    if uwsgi is None:
        return

    def in_worker() -> None:
        if uwsgi.worker_id():  # 0 in mules and spoolers, which serve nothing
            start()

    decorators = _decorators()
    if decorators is not None:  # it owns the hook, and would replace ours when it is imported later
        decorators.postfork_chain.append(in_worker)
        return
    before = getattr(uwsgi, "post_fork_hook", None)

    def both() -> None:
        if before is not None:
            before()
        in_worker()

    uwsgi.post_fork_hook = both


def wait_for_worker(is_needed: threading.Event) -> bool:
    """In a process just forked: wait until the server has made it a worker; False if it *is_needed* before that.

    A worker takes its signals for itself after it has given up what it must not keep (root, others' sockets); to start
    before that would open the site's files as root.
    """
    inherited = signal.getsignal(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and signal.getsignal(signal.SIGTERM) == inherited:
        if is_needed.wait(LOOK_S):
            return False
    return not is_needed.is_set()


def _uwsgi() -> Any:
    """Return uWSGI's own module; it exists in its processes only."""
    try:
        import uwsgi  # noqa: PLC0415
    except ImportError:
        return None
    return uwsgi if hasattr(uwsgi, "worker_id") else None


def _decorators() -> Any:
    try:
        import uwsgidecorators  # noqa: PLC0415
    except Exception:  # not installed; or it refuses to be used without a master
        return None
    return uwsgidecorators


def _is_loaded_by_an_arbiter() -> bool:
    """True when gunicorn's parent process imports the site, and not one of its workers."""
    frame: Any = sys._getframe()
    by_arbiter = False
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        if name.startswith("gunicorn.workers."):
            return False
        by_arbiter = by_arbiter or name == "gunicorn.arbiter"
        frame = frame.f_back
    return by_arbiter
