"""The life of a worker process: booting, ready, draining, stopped; or failed, with the whole traceback."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from types import FrameType

import cherrypy
from kirsch.link.order import LAST_WORDS_S, SHED_SIGNAL, WHOLE_TRACEBACK, Order, load_order
from kirsch.worker.blame import format_blame
from kirsch.worker.engines import ENGINES, Engine
from kirsch.worker.load import load_app
from kirsch.worker.mount import mount_all
from kirsch.worker.voice import Voice

log = logging.getLogger(__name__)

BEAT_S = 1.0
FAILED_STATUS = 3


class Bell:
    """Signals that ring in the main thread: a pipe, since a lock taken in a handler can deadlock."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def listen(self, number: signal.Signals) -> None:
        """Ring at this signal."""
        signal.signal(number, self._ring)

    def wait(self, timeout_s: float) -> signal.Signals | None:
        """Return the next signal; None when none came in time."""
        readable, _, _ = select.select([self._read], [], [], timeout_s)
        return signal.Signals(os.read(self._read, 1)[0]) if readable else None

    def _ring(self, number: int, frame: FrameType | None) -> None:
        os.write(self._write, bytes([number]))


def live(order_path: str) -> int:
    """Run a worker to its end; return the exit status of the process."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    faulthandler.enable()
    order = load_order(order_path)
    voice = Voice(order)
    engine = ENGINES[order.engine](order, voice) if order.engine in ENGINES else None
    if engine is None:
        voice.step = "engine"
        voice.fail(f"engine {order.engine!r} is not there; allowed: {', '.join(ENGINES)}", None)
        return FAILED_STATUS
    bell = Bell()
    try:
        _boot(order, voice, engine, bell)
    except BaseException as error:  # the wall of the boot: also SystemExit and KeyboardInterrupt out of an import
        sys.stderr.write(WHOLE_TRACEBACK + traceback.format_exc())
        sys.stderr.flush()
        voice.fail(f"{type(error).__name__}: {error}".partition("\n")[0], format_blame(error))
        _leave_soon(FAILED_STATUS)
        return FAILED_STATUS
    return _serve(order, voice, engine, bell)


def _boot(order: Order, voice: Voice, engine: Engine, bell: Bell) -> None:
    voice.at_step("prepare")
    engine.prepare()
    loaded = []
    for app in order.apps:
        voice.at_step(f"import {app.entry}")
        loaded.append(load_app(app, order.release_dir))
    voice.at_step("mount")
    mount_all(loaded, order.release_dir)
    if order.apps:
        os.chdir(os.path.join(order.release_dir, order.apps[0].directory or "."))
    # what is there now is there for good: the collector need not walk it again and again
    gc.collect()
    gc.freeze()
    voice.at_step("listen")
    # after the imports: an application's own handlers would cut the drain short
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP, SHED_SIGNAL):
        bell.listen(number)
    faulthandler.register(signal.SIGUSR1, all_threads=True, chain=False)
    path = order.socket_path(os.getpid())
    engine.start(path)
    voice.beat()
    voice.step = ""
    voice.enter("ready", socket=path)


def _serve(order: Order, voice: Voice, engine: Engine, bell: Bell) -> int:
    while True:
        number = bell.wait(BEAT_S)
        voice.beat()
        if number == signal.SIGTERM:
            break
        if number == signal.SIGHUP:
            cherrypy.log.reopen_files()
        if number == SHED_SIGNAL:
            engine.shed()
        if not engine.is_well():
            voice.step = "serve"
            voice.fail("the server stopped by itself; its log says why", None)
            _leave_soon(FAILED_STATUS)
            return FAILED_STATUS
    _drain(order, voice, engine)
    voice.enter("stopped")
    _leave_soon(0)
    return 0


def _drain(order: Order, voice: Voice, engine: Engine) -> None:
    voice.enter("draining")
    cherrypy.engine.publish("drain")  # for streams: a chance to tell their clients to come again
    deadline = time.monotonic() + order.limits.drain_s
    is_empty = False
    while not is_empty and (left := deadline - time.monotonic()) > 0:
        is_empty = engine.drain(min(BEAT_S, left))
        voice.beat()
    if not is_empty:
        log.warning("draining took longer than drain_s=%g; leaving with requests inside", order.limits.drain_s)
    engine.stop()


def _leave_soon(status: int) -> None:
    """End the process even if a thread of the application does not."""

    def leave() -> None:
        time.sleep(LAST_WORDS_S)
        sys.stderr.flush()
        os._exit(status)

    threading.Thread(target=leave, name="kirsch-leave", daemon=True).start()
