"""One worker as its parent sees it: spawned or adopted, heard through its report pipe, watched through its pidfd."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import Any, Protocol

import msgspec

from kirsch.errors import ControlError
from kirsch.link.frame import FrameReader
from kirsch.link.order import GO, Order, Report, report_from
from kirsch.link.state import write_whole
from kirsch.scoreboard import Scoreboard
from kirsch.spec.stack import dump_json
from kirsch.supervise.identity import identity_of
from kirsch.supervise.process import Ending, give_to, is_same, open_pidfd, reap, send_signal, start_ticks

log = logging.getLogger(__name__)

Line = socket.socket

#: How much of a failed worker's output goes into its report.
OUTPUT_BYTES = 16384


@dataclass(frozen=True, slots=True)
class Launch:
    """How workers of a pool are started, besides what their orders say."""

    python: str
    """Interpreter of the release's environment."""
    environ: Mapping[str, str]
    log_dir: str
    user: str | None = None
    group: str | None = None
    """Instead of the user's own."""
    program: tuple[str, ...] = ("-P", "-m", "kirsch.worker")
    """What the interpreter is told; ``-P`` keeps the release's folder from hiding modules of ours."""


class Template(Protocol):
    """Who is forked for a worker."""

    async def fork(self, order_path: str, say: int, output: int) -> tuple[int, Line]:
        """Return a process id, and the line on which that one waits to be told to begin."""


@dataclass(eq=False)
class Worker:
    """A worker process. ``state`` is what it said last; ``ended`` is set once it is gone."""

    order: Order
    pid: int
    ticks: int
    """Start of the process in clock ticks since boot: with the pid it names the process for ever."""
    board: Scoreboard
    log_path: str
    log_offset: int
    started: float = field(default_factory=time.time)
    state: str = "booting"
    since: float = field(default_factory=time.time)
    step: str = "start"
    socket: str | None = None
    traceback: str | None = None
    message: str | None = None
    ending: Ending | None = None
    is_ill: bool = False
    """True while its readiness probe fails: it gets no slot as long as others are well."""
    ready_since: float | None = None
    """``time.monotonic()`` of its readiness."""
    obituary: dict[str, Any] | None = None
    """The report of its end, once it is gone."""
    environ: Mapping[str, str] | None = None
    """What it was given; None for one that was adopted."""
    on_change: Callable[[Worker], None] = lambda worker: None
    """Called when the state changed, and once when it is gone (``ending`` is set then)."""
    _process: subprocess.Popen[bytes] | None = None
    _line: Line | None = None
    """On which one that was forked waits for its beginning."""
    _steps: list[tuple[str, float]] = field(default_factory=list)
    """What its boot was at, and since when (Unix time)."""
    _pidfd: int = -1
    _reports: int = -1
    _reader: FrameReader = field(default_factory=FrameReader)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """``web.1``."""
        return self.order.name

    @property
    def is_gone(self) -> bool:
        """True when the process has ended."""
        return self.ending is not None

    @property
    def is_unwell(self) -> bool:
        """True while a critical health check of its applications fails."""
        return self.board.glance(self.order.record).is_unwell

    @property
    def ready_for_s(self) -> float:
        """Seconds since it became ready; 0 when it never did."""
        return 0.0 if self.ready_since is None else time.monotonic() - self.ready_since

    # Birth

    @classmethod
    def spawn(cls, order: Order, launch: Launch, board: Scoreboard, order_path: str) -> Worker:
        """Start a process for *order*, its output appended to the worker's log.

        Raises:
            OSError: it cannot be started (no such interpreter, no memory, no descriptor).
        """
        with _birth(order, launch, order_path) as birth:
            process = subprocess.Popen(
                [launch.python, *launch.program, order_path],
                cwd=order.release_dir,
                env={**launch.environ, "KIRSCH_WORKER": order.name},
                stdin=subprocess.DEVNULL,
                stdout=birth.output,
                stderr=birth.output,
                close_fds=True,
                pass_fds=(birth.say,),
                start_new_session=True,  # a Ctrl-C at the supervisor's terminal is not for its workers
                **identity_of(launch.user, launch.group),
            )
        worker = cls._begin(birth, process.pid, launch, board)
        worker._process = process
        return worker

    @classmethod
    async def fork(cls, template: Template, order: Order, launch: Launch, board: Scoreboard, order_path: str) -> Worker:
        """Have a process for *order* forked from *template*; it waits for ``may_begin``.

        Raises:
            OSError: nobody was born.
        """
        with _birth(order, launch, order_path) as birth:
            pid, line = await template.fork(order_path, birth.say, birth.output.fileno())
        worker = cls._begin(birth, pid, launch, board)
        worker._line = line
        return worker

    @classmethod
    def _begin(cls, birth: _Birth, pid: int, launch: Launch, board: Scoreboard) -> Worker:
        worker = cls(birth.order, pid, start_ticks(pid) or 0, board, birth.output.name, birth.offset)
        worker.environ = launch.environ
        worker._steps = [("start", worker.started)]
        worker._reports = birth.reports
        return worker

    def may_begin(self) -> None:
        """Let it go on, if it was forked: it is bound by now."""
        if self._line is not None:
            with self._line, contextlib.suppress(OSError):
                self._line.send(GO)
            self._line = None

    @classmethod
    def adopt(cls, order: Order, pid: int, ticks: int, board: Scoreboard, log_path: str, socket: str | None) -> Worker:
        """Take over a living worker of an earlier supervisor; what it does now is on the scoreboard."""
        record = board.glance(order.record)
        worker = cls(order, pid, ticks, board, log_path, 0, record.started, record.state, record.since)
        worker.socket = socket
        if record.state == "ready":
            worker.ready_since = time.monotonic() - max(0.0, time.time() - record.since)
        return worker

    def watch(self, on_change: Callable[[Worker], None]) -> None:
        """Hear the reports and see the death from now on, in the running loop.

        Raises:
            OSError: there is no descriptor left for it; the process is killed.
        """
        self.on_change = on_change
        loop = asyncio.get_running_loop()
        try:
            pidfd = open_pidfd(self.pid)
        except OSError:
            self.signal(signal.SIGKILL)
            self._close_reports()
            raise
        if pidfd is None or (self._process is None and not is_same(self.pid, self.ticks)):
            if pidfd is not None:
                os.close(pidfd)
            loop.call_soon(self._on_death)
            return
        self._pidfd = pidfd
        loop.add_reader(pidfd, self._on_death)
        if self._reports >= 0:
            loop.add_reader(self._reports, self._on_reports)

    # Life

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it is gone: its pid may be another's then."""
        if not self.is_gone and (self._process is not None or is_same(self.pid, self.ticks)):
            send_signal(self.pid, number)

    async def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until the state changes or the process ends; False if the time ran out before."""
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def wait_until_gone(self, timeout_s: float) -> bool:
        """Wait until the process has ended; False if the time ran out before."""
        deadline = time.monotonic() + timeout_s
        while not self.is_gone:
            left = deadline - time.monotonic()
            if left <= 0 or not await self.wait_for_change(left):
                return self.is_gone
        return True

    def refresh(self) -> None:
        """Read the state from the scoreboard: all there is to hear of a worker that was adopted."""
        record = self.board.glance(self.order.record)
        if self._reports < 0 and not self.is_gone and record.pid == self.pid and record.state != self.state:
            self._enter(record.state, record.since)

    def output(self) -> str:
        """Return the end of what it printed since its start."""
        try:
            with open(self.log_path, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self.log_offset, end - OUTPUT_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def steps(self) -> list[tuple[str, float]]:
        """Return what its boot was at, in order, each with the seconds that it took (the last one until now)."""
        if not self._steps:
            return []  # adopted: it was born for somebody else
        ends = [at for _, at in self._steps[1:]] + [self.since if self.state != "booting" else time.time()]
        return [(step, max(0.0, end - at)) for (step, at), end in zip(self._steps, ends, strict=True)]

    async def end(self) -> None:
        """Kill it and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self.wait_until_gone(10.0)

    # Death

    def _on_reports(self) -> None:
        self._read_reports()

    def _read_reports(self) -> bool:
        """Read what there is; False when there is no more for now."""
        try:
            data = os.read(self._reports, 65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close_reports()
            return False
        try:
            for frame in self._reader.feed(data):
                self._take(report_from(frame))
        except (ControlError, msgspec.MsgspecError) as error:
            log.warning("worker=%s said something unreadable: %s", self.name, error)
        return True

    def _take(self, report: Report) -> None:
        if report.step and report.step != self.step and report.state == "booting":
            self._steps.append((report.step, report.since or time.time()))
        self.step = report.step or self.step
        self.socket = report.socket or self.socket
        self.traceback = report.traceback or self.traceback
        self.message = report.message or self.message
        self._enter(report.state, report.since or time.time())

    def _enter(self, state: str, since: float) -> None:
        if state == self.state:
            return
        self.state, self.since = state, since
        if state == "ready":
            self.ready_since = time.monotonic()
        self._changed.set()
        self.on_change(self)

    def _on_death(self) -> None:
        if self.is_gone:
            return
        if self._process is not None:
            returncode = self._process.poll()
            if returncode is None:
                return
            self.ending = Ending.from_returncode(returncode)
        else:
            # after an upgrade those who were born before it are our children still: nobody else would reap them
            self.ending = reap(self.pid)
        while self._reports >= 0 and self._read_reports():
            pass  # its last words came before its end
        self._forget_descriptors()
        self._changed.set()
        self.on_change(self)

    def _forget_descriptors(self) -> None:
        self._close_reports()
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _close_reports(self) -> None:
        if self._reports >= 0:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._reports)
            os.close(self._reports)
            self._reports = -1

    def clean_up(self, order_path: str) -> None:
        """Remove what a dead worker left in the run directory."""
        Path(order_path).unlink(missing_ok=True)
        Path(self.order.socket_path(self.pid)).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Birth:
    """What a process is given at its birth, and what stays here."""

    order: Order
    reports: int
    say: int
    """The other end of *reports*; closed here once the process has it."""
    output: BufferedWriter
    offset: int


@contextlib.contextmanager
def _birth(order: Order, launch: Launch, order_path: str) -> Iterator[_Birth]:
    """Prepare pipe, order and log for the process that is started in the block."""
    reports, say = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.set_blocking(say, True)
        order = msgspec.structs.replace(order, report_fd=say)
        write_whole(order_path, dump_json(order))  # 0600: there are secrets in an app's environment
        give_to(order_path, launch.user)
        give_to(order.scoreboard, launch.user)
        with open(f"{launch.log_dir}/{order.name}.log", "ab") as output:
            yield _Birth(order, reports, say, output, output.tell())
    except BaseException:
        os.close(reports)
        raise
    finally:
        os.close(say)
