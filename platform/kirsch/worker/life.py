"""The life of a worker process: booting, ready, draining, stopped; or failed, with the whole traceback."""

from __future__ import annotations

import atexit
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
from pathlib import Path
from types import FrameType

import cherrypy
from kirsch.link.cluster import Cluster
from kirsch.link.order import LAST_WORDS_S, LEAVE_SIGNAL, SHED_SIGNAL, WHOLE_TRACEBACK, Order
from kirsch.worker.blame import format_blame
from kirsch.worker.bus import attach, attach_forked, obey
from kirsch.worker.checks import start_checks
from kirsch.worker.engines import Engine, find_engine
from kirsch.worker.load import Loaded, Preloaded, load_all
from kirsch.worker.mount import mount_all
from kirsch.worker.patience import Patience, end_of_patience
from kirsch.worker.probing import prepare_probes
from kirsch.worker.voice import Voice
from kirsch.worker.warm import warm_up
from kirsch.worker.witness import name_slow_handlers

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


def live(order: Order, preloaded: Preloaded | None = None) -> int:
    """Run a worker to its end; return the exit status of the process. *preloaded* is what it was forked with."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    faulthandler.enable()
    voice = Voice(order)
    bell = Bell()
    try:
        patience = Patience().install()
        engine = _boot(order, voice, bell, preloaded)
    except BaseException as error:  # the wall of the boot: also SystemExit and KeyboardInterrupt out of an import
        sys.stderr.write(WHOLE_TRACEBACK + traceback.format_exc())
        sys.stderr.flush()
        voice.fail(f"{type(error).__name__}: {error}".partition("\n")[0], format_blame(error))
        Path(order.socket_path(os.getpid())).unlink(missing_ok=True)
        return _leave(FAILED_STATUS, may_finalize=order.engine != "uwsgi")
    return _serve(order, voice, engine, bell, patience)


def _boot(order: Order, voice: Voice, bell: Bell, preloaded: Preloaded | None) -> Engine:
    voice.at_step("engine")
    engine = find_engine(order.engine)(order, voice)
    engine.prepare()
    voice.records.install()
    cluster, loaded = _load(order, voice, preloaded)
    voice.at_step("mount")
    mount_all(loaded, voice)
    prepare_probes(loaded, voice)
    # what is there now is there for good: the collector need not walk it again and again
    gc.collect()
    gc.freeze()
    voice.at_step("listen")
    path = order.socket_path(os.getpid())
    engine.start(path)
    obey(cluster, order.apps)
    voice.beat()
    warm_up(order, voice, path)
    start_checks(order, voice, path)
    _hear(bell)
    voice.beat()
    voice.step = ""
    voice.enter("ready", socket=path)
    cluster.say_state("ready")
    return engine


def _load(order: Order, voice: Voice, preloaded: Preloaded | None) -> tuple[Cluster, list[Loaded]]:
    if preloaded is None:
        return attach(order), load_all(order, voice)
    attach_forked(order, preloaded.cluster)
    for app, why in preloaded.broken.items():
        voice.say_broken(app, why)
    return preloaded.cluster, preloaded.apps


def _hear(bell: Bell) -> None:
    """Hear signals from now on: not before, as handlers of an application's, or of uWSGI's, would cut a drain short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP, SHED_SIGNAL, LEAVE_SIGNAL):
        bell.listen(number)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True, chain=False)


def _serve(order: Order, voice: Voice, engine: Engine, bell: Bell, patience: Patience) -> int:
    while True:
        number = bell.wait(BEAT_S)
        voice.beat()
        name_slow_handlers(voice.writer, voice.pages, order.release_dir)
        if number == signal.SIGTERM:
            break
        if number == signal.SIGHUP:
            cherrypy.log.reopen_files()
            voice.output.reopen()
        if number == SHED_SIGNAL:
            engine.shed()
        if number == LEAVE_SIGNAL:
            cherrypy.engine.publish("drain")
            engine.ask_to_leave()
        if not engine.is_well():
            voice.step = "serve"
            voice.fail("the server stopped by itself; its log says why", None)
            return _leave(FAILED_STATUS, may_finalize=engine.may_finalize)
    _drain(order, voice, engine, bell, patience)
    voice.enter("stopped")
    return _leave(0, may_finalize=engine.may_finalize)


def _drain(order: Order, voice: Voice, engine: Engine, bell: Bell, patience: Patience) -> None:
    voice.enter("draining")
    cherrypy.engine.cluster.say_state("draining")
    cherrypy.engine.publish("drain")  # for streams: a chance to tell their clients to come again
    began = time.monotonic()
    is_empty = False
    while not is_empty:
        asked = patience.inside()
        voice.writer.ask_until(int((began + max(asked)) * 1e9) if asked else 0)
        left = began + end_of_patience(order.limits.drain_s, voice.writer.in_flight(), asked) - time.monotonic()
        if left <= 0:
            break
        is_empty = engine.drain(min(BEAT_S, left))
        voice.beat()
        name_slow_handlers(voice.writer, voice.pages, order.release_dir)
        if bell.wait(0) == signal.SIGTERM:
            break  # told again: its time is over
    if not is_empty:
        took_s = time.monotonic() - began
        log.warning("drained for %.1f s (drain_s=%g); leaving with requests inside", took_s, order.limits.drain_s)
    engine.stop()


def _leave(status: int, *, may_finalize: bool) -> int:
    """Return *status* for an end in good order, which comes even if a thread of the application does not end.

    Where the interpreter may not be finalized the process ends here, after what was registered for its exit.
    """

    def leave_at_last() -> None:
        time.sleep(LAST_WORDS_S)
        sys.stderr.flush()
        os._exit(status)

    threading.Thread(target=leave_at_last, name="kirsch-leave", daemon=True).start()
    if not may_finalize:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
