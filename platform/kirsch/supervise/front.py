"""The nginx in front: configured for a state, restarted when it dies, stopped with the stack."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Mapping
from typing import Any

from kirsch.errors import KirschError, NginxError
from kirsch.link.state import State
from kirsch.nginx.binary import Nginx, inspect_nginx
from kirsch.nginx.control import NginxControl
from kirsch.nginx.making import maker
from kirsch.nginx.survey import certificate_marks
from kirsch.spec import HostPaths
from kirsch.supervise.events import Events
from kirsch.supervise.process import open_pidfd

RESTART_DELAYS_S = (0.0, 0.2, 1.0, 5.0, 15.0)


class Front:
    """One host's nginx. The slow acts run in a thread, one at a time."""

    def __init__(self, paths: HostPaths, nginx: Nginx, user: str | None, events: Events) -> None:
        self.paths = paths
        self.nginx = nginx
        self.user = user
        self.events = events
        self.control = NginxControl(paths, nginx, user)
        self.problem: str | None = None
        """Why nginx does not run although it should."""
        self.held: dict[str, dict[str, Any]] = {}
        """The vhosts that nginx refuses as they are written: what they do meanwhile, and nginx's words."""
        self.restarts = 0
        self._listens: list[str] = []
        self._certificates: Mapping[str, tuple[int, ...]] | None = None
        self._pidfd = -1
        self._restarting: asyncio.Task[None] | None = None
        self._is_wanted = False
        self._state: State | None = None
        """What it serves."""

    async def is_stale(self, state: State) -> bool:
        """True when nginx was never configured, or certificates of *state* are others than they were then."""
        return self._certificates != await asyncio.to_thread(certificate_marks, state.stack, self.paths)

    async def renew(self, state: State) -> None:
        """Have nginx take up the certificates that are there now; before the first time, all of *state*.

        Raises:
            NginxError: a file is half written, or none of nginx's; all vhosts go on with what they had.
        """
        await self.configure(state, may_hold=self._certificates is None)

    async def configure(self, state: State, *, may_hold: bool = True) -> None:
        """Have nginx serve *state*; start it if it does not run. *may_hold* lets vhosts that it refuses stay out.

        Raises:
            NginxError: it refused; what it served before it serves still.
        """
        self._is_wanted = True
        # a package may have put another version in its place since
        found = await asyncio.to_thread(inspect_nginx, self.nginx.path)
        self._use(found if isinstance(found, Nginx) else self.nginx)
        make = maker(state.stack, self.paths, self.nginx, self.user)
        # before nginx reads them: what is written meanwhile is seen the next time
        certificates = await asyncio.to_thread(certificate_marks, state.stack, self.paths)
        done = await asyncio.to_thread(self.control.bring, make, may_hold=may_hold)
        self._certificates = certificates
        self._state = state
        self.problem = None
        self.held = {name: {"serves": held.serves, "lines": held.lines} for name, held in done.held.items()}
        self._listens = [listen.url for vhost in state.stack.vhosts.values() for listen in vhost.listen]
        if done.action != "unchanged":
            self.events.say("nginx", message=done.action, pid=done.pid, generation=done.name)
        self._watch()

    async def exchange(self, path: str, state: State) -> str:
        """Have the binary at *path* serve *state* in the place of the one that runs; return its version.

        Raises:
            NginxError: it cannot; the one before serves on.
        """
        found = await asyncio.to_thread(inspect_nginx, path)
        if not isinstance(found, Nginx):
            raise NginxError("it cannot take nginx's place", lines=[found])
        before = self.nginx
        self._use(found)
        try:
            await self.configure(state, may_hold=False)
        except NginxError:
            self._use(before)
            raise
        return found.version_text

    def _use(self, nginx: Nginx) -> None:
        self.nginx = nginx
        self.control.use(nginx)

    async def stop(self, timeout_s: float) -> None:
        """Let nginx finish its requests and end."""
        self._is_wanted = False
        if self._restarting is not None:
            self._restarting.cancel()
        self._forget_pidfd()
        await asyncio.to_thread(self.control.stop, timeout_s)

    def describe(self) -> dict[str, Any]:
        """Return what the status says of nginx."""
        return {
            "pid": self.control.pid(),
            "version": self.nginx.version_text,
            "binary": self.nginx.path,
            "listen": list(dict.fromkeys(self._listens)),
            "generation": self.control.generation,
            "problem": self.problem,
            "held": self.held,
        }

    def _watch(self) -> None:
        """See nginx's end at once, whoever started it."""
        pid = self.control.pid()
        self._forget_pidfd()
        pidfd = open_pidfd(pid) if pid is not None else None
        if pidfd is None:
            self._on_death()
            return
        self._pidfd = pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._on_death)

    def _on_death(self) -> None:
        self._forget_pidfd()
        if self._is_wanted and self.control.is_running():
            self._watch()  # another binary has taken its place
            return
        if self._is_wanted and (self._restarting is None or self._restarting.done()):
            self.problem = "nginx ended"
            self.events.say("nginx", level=logging.ERROR, message="ended")
            self._restarting = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        for attempt in range(10**9):
            delay_s = RESTART_DELAYS_S[min(attempt, len(RESTART_DELAYS_S) - 1)]
            await asyncio.sleep(delay_s * (1 + 0.25 * random.random()))
            try:
                await self._suit()
                done = await asyncio.to_thread(self.control.start)
            except KirschError as error:
                self.problem = str(error)
                self.events.say("nginx", level=logging.ERROR, message=str(error))
                continue
            self.restarts += 1
            self.problem = None
            self.events.say("nginx", message="restarted", pid=done.pid)
            break
        self._watch()

    async def _suit(self) -> None:
        """Write the configuration anew where a package has put another binary, or taken a module of it away."""
        found = await asyncio.to_thread(inspect_nginx, self.nginx.path)
        if self._state is not None and isinstance(found, Nginx) and found != self.nginx:
            await self.configure(self._state)

    def _forget_pidfd(self) -> None:
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
