"""The host's nginx, live: a new configuration is tested, taken up and proven, or the last good one serves on."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from kirsch.errors import NginxError
from kirsch.nginx.binary import Nginx, binary_link
from kirsch.nginx.exchange import exchange
from kirsch.nginx.generations import Generations
from kirsch.nginx.isolation import Held, Make, isolate
from kirsch.nginx.marker import ask_marker
from kirsch.nginx.master import Master, emergencies, end_process, is_serving
from kirsch.nginx.reloads import Budget, Coalescer
from kirsch.nginx.trial import Trial, try_files
from kirsch.spec import HostPaths

PROOF_TIMEOUT_S = 20.0
PROOFS_IN_A_ROW = 3
POLL_S = 0.02
STOP_TIMEOUT_S = 30.0
TERM_TIMEOUT_S = 5.0

Action = Literal["started", "reloaded", "upgraded", "unchanged"]
"""``upgraded``: another binary has taken the place of the one that ran."""

_BIND_TRY = "] bind() to "

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Generation:
    """A configuration that nginx serves, and what it took to get there."""

    name: str
    folder: str
    action: Action
    pid: int
    duration_s: float
    held: Mapping[str, Held] = field(default_factory=dict)
    """The vhosts that are not in it as they are written now."""


class NginxControl:
    """One stack's nginx on this host: its own prefix, pid, logs, temporary files; it outlives whoever started it.

    *user* is who its workers run as (``name`` or ``name:group``, when root); their group may read the configuration.
    """

    def __init__(self, paths: HostPaths, nginx: Nginx, user: str | None = None, budget: Budget | None = None) -> None:
        self.paths = paths
        self.nginx = nginx
        self.user = user
        self._generations = Generations(paths)
        self._master = Master(paths, nginx)
        self._held: Mapping[str, Held] = {}
        self._reloads = Coalescer[Generation](budget or Budget())

    def use(self, nginx: Nginx) -> None:
        """Serve with *nginx* from the next change on: a binary that runs is exchanged without closing a socket."""
        self.nginx = nginx
        self._master = Master(self.paths, nginx)

    def next_generation(self) -> str:
        """The number to render the next generation with."""
        return self._generations.next()

    @property
    def generation(self) -> str | None:
        """The generation that is switched to; None before the first."""
        return self._generations.current()

    def pid(self) -> int | None:
        """The master's pid; None when it does not run."""
        return self._master.pid()

    def is_running(self) -> bool:
        """True when the master runs."""
        return self.pid() is not None

    def apply(self, files: Mapping[str, str]) -> Generation:
        """Make nginx serve *files* (what ``render_site`` gave), starting it when it does not run.

        Files that say the same as the current generation change nothing. Otherwise: write, ``nginx -t``, switch the
        link, signal, and ask the marker until only new processes take connections.

        Raises:
            NginxError: refused or not taken up; what served before still serves. The lines are nginx's.
        """
        began = time.monotonic()
        with self._locked():
            if served := self._served(files, began):
                return served
            if troubles := try_files(self.paths, self.nginx, files):
                name = self._generations.write(files, self._group())
                aside = self._generations.refuse(name)
                raise NginxError(f"nginx refuses the configuration in {aside}", lines=troubles, generation=name)
            return self._serve(files, began)

    def bring(self, make: Make, *, may_hold: bool = True) -> Generation:
        """Make nginx serve what *make* renders, without the vhosts that it refuses; ``Generation.held`` names those.

        A bad vhost keeps its last good text, or is left out when it has none. Who asks while another waits for the
        budget of reloads shares the newest one's reload.

        Raises:
            NginxError: as :meth:`apply`; what is wrong concerns all vhosts, or, unless *may_hold*, one that was not
                bad before, or was and served.
        """
        return self._reloads.run(lambda: self._bring(make, may_hold=may_hold))

    def _bring(self, make: Make, *, may_hold: bool) -> Generation:
        began = time.monotonic()
        with self._locked():
            name = self._generations.next()
            files = make(name, frozenset())
            if served := self._served(files, began):
                return served
            current = self._generations.current()
            before = self._generations.read(current) if current else {}
            try:
                files, held = isolate(make, name, before, lambda files: Trial(self.paths, self.nginx, files))
            except NginxError as error:
                aside = self._generations.refuse(self._generations.write(files, self._group()))
                raise NginxError(f"{error.message}: {aside}", lines=error.lines, generation=name) from error
            fresh = [name for name, one in held.items() if _is_worse(one, self._held.get(name))]
            if fresh and not may_hold:
                lines = [line for name in fresh for line in held[name].lines]
                raise NginxError(f"nginx refuses what is new of {', '.join(fresh)}", lines=lines, generation=name)
            done = replace(self._served(files, began) or self._serve(files, began), held=held)
            self._held = held
            return done

    def _served(self, files: Mapping[str, str], began: float) -> Generation | None:
        """The current generation, when it runs and says what *files* say."""
        current = self._generations.current()
        if current and self.is_running() and self._is_as_wanted(current, files):
            return self._done(current, "unchanged", began)
        return None

    def _is_as_wanted(self, current: str, files: Mapping[str, str]) -> bool:
        return self._generations.holds(current, files) and self._master.is_of_this_binary()

    def _serve(self, files: Mapping[str, str], began: float) -> Generation:
        """Write and take up *files*, which have been tested."""
        last_good = self._generations.current()
        name = self._generations.write(files, self._group())
        action = self._take_up(name, last_good)
        self._generations.prune()
        return self._done(name, action, began)

    def start(self) -> Generation:
        """Start nginx on the current generation, if it does not run.

        Raises:
            NginxError: there is no generation yet, or nginx does not start.
        """
        began = time.monotonic()
        with self._locked():
            name = self._generations.current()
            if name is None:
                raise NginxError("nginx has no configuration yet")
            if self.is_running():
                return self._done(name, "unchanged", began)
            troubles = self._start(name)
            if troubles:
                raise NginxError("nginx does not start", lines=troubles, generation=name)
            return self._done(name, "started", began)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop nginx: it finishes the requests it has for up to *timeout_s* seconds, then it is ended.

        Raises:
            NginxError: it does not even go when it is killed.
        """
        with self._locked():
            for number, wait_s in ((signal.SIGQUIT, timeout_s), (signal.SIGTERM, TERM_TIMEOUT_S)):
                if not self._master.signal(number) or self._master.wait_for_end(wait_s):
                    break
                logger.warning("nginx goes on signal=%s waited_s=%s", number.name, wait_s)
            else:
                self._master.kill_all()
                if not self._master.wait_for_end(TERM_TIMEOUT_S):
                    raise NginxError(f"nginx (pid {self.pid()}) cannot be ended")
            if (former := self._master.former()) is not None:
                end_process(former, TERM_TIMEOUT_S)
            for leftover in (self.paths.nginx_pid, self.paths.nginx_marker, binary_link(self.paths)):
                Path(leftover).unlink(missing_ok=True)

    def _take_up(self, name: str, last_good: str | None) -> Action:
        """Switch to *name* and make nginx serve it, or go back to *last_good* and raise."""
        was_running = self.is_running()
        way: tuple[Action, Callable[[str], list[str]]] = ("started", self._start)
        if was_running:
            is_same = self._master.is_of_this_binary()
            way = ("reloaded", self._reload) if is_same else ("upgraded", lambda name: self._exchange(name, last_good))
        self._generations.switch(name)
        troubles = way[1](name)
        if not troubles:
            return way[0]
        self._generations.switch(last_good)
        if was_running and last_good is not None:
            troubles += self._return_to(last_good)
        aside = self._generations.refuse(name)
        what = "did not take up" if was_running else "does not start on"
        raise NginxError(f"nginx {what} the configuration in {aside}", lines=troubles, generation=name)

    def _start(self, name: str) -> list[str]:
        troubles = self._master.start()
        if troubles:
            return troubles
        troubles = self._prove(name, frozenset(), offset=None)
        if troubles:
            self._master.signal(signal.SIGTERM)
            self._master.wait_for_end(TERM_TIMEOUT_S)
        return troubles

    def _reload(self, name: str) -> list[str]:
        old = self._master.serving_workers()
        offset = _length(self.paths.nginx_error_log)
        self._reloads.budget.spend()
        if not self._master.signal(signal.SIGHUP):
            return ["nginx ended before it could be signalled"]
        return self._prove(name, old, offset)

    def _exchange(self, name: str, last_good: str | None) -> list[str]:
        self._reloads.budget.spend()
        return exchange(
            self._master,
            self.paths.nginx_error_log,
            lambda old: self._prove(name, old, offset=None),
            lambda: self._generations.switch(last_good),
        )

    def _return_to(self, last_good: str) -> list[str]:
        """Make sure that *last_good* serves; what is wrong if it does not."""
        marker = ask_marker(self.paths.nginx_marker)
        if marker is not None and marker.generation == last_good and not self._others_than(last_good):
            return []
        return [f"and back to generation {last_good}: {trouble}" for trouble in self._reload(last_good)]

    def _others_than(self, name: str) -> bool:
        """True when one of several new connections meets another generation than *name*."""
        answers = [ask_marker(self.paths.nginx_marker) for _ in range(PROOFS_IN_A_ROW)]
        return any(answer is None or answer.generation != name for answer in answers)

    def _prove(self, name: str, old: frozenset[int], offset: int | None) -> list[str]:
        """Wait until only generation *name* serves; empty, or why it does not.

        *old* are the pids that took connections before: as long as one of them does, a new connection may meet the old
        configuration. *offset* is how long the error log was before the signal.
        """
        deadline = time.monotonic() + PROOF_TIMEOUT_S
        in_a_row = 0
        seen = "nothing"
        while time.monotonic() < deadline:
            marker = ask_marker(self.paths.nginx_marker)
            if marker is not None:
                seen = f"generation {marker.generation}"
            in_a_row = in_a_row + 1 if marker is not None and marker.generation == name else 0
            if in_a_row >= PROOFS_IN_A_ROW and not any(is_serving(pid) for pid in old):
                return []
            lines = emergencies(self.paths.nginx_error_log, offset) if offset is not None and not in_a_row else []
            # nginx tries to bind for 2.5 s more: until it says that it gave up, the new configuration may still win
            if any(_BIND_TRY not in line for line in lines):
                return [line for line in lines if _BIND_TRY in line] or lines
            if not in_a_row:
                time.sleep(POLL_S)
        return [f"after {PROOF_TIMEOUT_S:g} s the marker shows {seen} instead of generation {name}"]

    def _done(self, name: str, action: Action, began: float) -> Generation:
        duration_s = time.monotonic() - began
        pid = self.pid() or 0
        logger.info("nginx %s generation=%s pid=%d duration_s=%.3f", action, name, pid, duration_s)
        return Generation(name, str(self._generations.folder(name)), action, pid, duration_s)

    def _group(self) -> int:
        """The group that may read the configuration; -1 leaves it as it is."""
        if not self.user:
            return -1
        name = self.user.partition(":")[2] or self.user
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError as error:
            raise NginxError(f"nginx's workers cannot be in group {name}: there is no such group here") from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time, whichever process makes it; makes the folders on the way."""
        group = self._group()
        for folder in (self.paths.nginx, self.paths.nginx_generations, f"{self.paths.nginx}/temp"):
            os.makedirs(folder, mode=0o750, exist_ok=True)
            if group != -1:
                os.chown(folder, -1, group)
        os.makedirs(self.paths.log_dir, exist_ok=True)
        with open(f"{self.paths.nginx}/lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _is_worse(held: Held, before: Held | None) -> bool:
    return before is None or (held.serves, before.serves) == ("nothing", "last good")


def _length(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
