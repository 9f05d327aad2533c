"""Messages that have come in: each goes to its listeners once, in order, in a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from kirsch.errors import BusError
from kirsch.link import wire

log = logging.getLogger(__name__)

REMEMBERED = 8192
"""Answers that are kept for a hub that asks again, as it was replaced."""
BATCH = 16
QUICK_S = 0.002
"""Answers wait for those of the next messages only while the listeners of these have always been quicker."""

Answer = wire.Done | wire.Failed | wire.Reply


class Inbox:
    """Delivers what has come in.

    Args:
        publish: calls the listeners of a channel, and returns what they returned.
        send: puts an answer on its way.
        limit_bytes: the largest reply.
    """

    def __init__(
        self,
        publish: Callable[..., list[Any]],
        send: Callable[[wire.Frame], object],
        limit_bytes: int = wire.MESSAGE_LIMIT_BYTES,
    ) -> None:
        self.opened: set[str] = set()
        self.wrong: Counter[str] = Counter()
        """Messages that were dropped, by kind."""
        self.current: wire.Deliver | None = None
        """The message that is being delivered."""
        self.thread: threading.Thread | None = None
        self._publish = publish
        self._send = send
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[wire.Deliver | Callable[[], object] | None] = queue.SimpleQueue()
        self._answers: OrderedDict[str, Answer | None] = OrderedDict()
        self._quick: set[str] = set()

    def put(self, message: wire.Deliver) -> None:
        """Take a message; one that is known is answered as before, once that answer is there."""
        if message.channel not in self.opened:
            self.wrong["not_open"] += 1
            log.warning("bus: dropped a message of %s for %s, which is not open", message.sender, message.channel)
            self._send(wire.Failed(id=message.id, why="the channel is not open"))
            return
        with self._lock:
            if message.id in self._answers:
                known = self._answers[message.id]
                if known is not None:
                    self._send(known)
                return
            self._answers[message.id] = None
            if len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        self._enqueue(message)

    def do(self, act: Callable[[], object]) -> None:
        """Do something in the thread of the listeners, after what has come before."""
        self._enqueue(act)

    def _enqueue(self, one: wire.Deliver | Callable[[], object]) -> None:
        with self._lock:
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name="kirsch-bus", daemon=True)
                self.thread.start()
        self._queue.put(one)

    def close(self) -> None:
        """Deliver what is there already, then no more."""
        self._queue.put(None)

    def _work(self) -> None:
        done: list[str] = []
        while True:
            message = self._queue.get()
            if message is None:
                self._flush(done)
                return
            if not isinstance(message, wire.Deliver):
                self._flush(done)
                self._act(message)
                continue
            if done and message.channel not in self._quick:
                self._flush(done)
            began = time.perf_counter()
            answer = self._deliver(message)
            if time.perf_counter() - began < QUICK_S:
                self._quick.add(message.channel)
            else:
                self._quick.discard(message.channel)
            with self._lock:
                if message.id in self._answers:
                    self._answers[message.id] = answer
            if isinstance(answer, wire.Done):
                done.append(message.id)
            else:
                self._send(answer)
            if len(done) >= BATCH or self._queue.empty():
                self._flush(done)

    def _act(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception:  # the wall of the bus
            log.exception("bus: a listener failed")

    def _flush(self, done: list[str]) -> None:
        if done:
            self._send(wire.Done(ids=tuple(done)))
            done.clear()

    def _deliver(self, message: wire.Deliver) -> Answer:
        self.current = message
        try:
            results = self._publish(message.channel, *wire.unpack(message.args))
            if message.gathers:
                return wire.Reply(id=message.id, value=wire.pack(results, self._limit_bytes))
        except BusError as error:
            log.error("bus: what the listeners of %s returned to %s: %s", message.channel, message.sender, error)
            return wire.Failed(id=message.id, why=f"its reply: {error}")
        except Exception as error:  # the wall of the bus: a failing listener is the sender's to know, and the log's
            log.exception("bus: a listener of %s failed, with a message of %s", message.channel, message.sender)
            return wire.Failed(id=message.id, why=f"{type(error).__name__}: {error}"[:1000])
        finally:
            self.current = None
        return wire.Done(ids=(message.id,))
