"""Templates: processes that have imported a pool's applications, from which its workers are forked (``preload``).

One a generation. It ends with its supervisor, which its workers do not; whatever goes wrong with it costs the sharing
of memory and nothing else, since every worker can be started by itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import socket
import subprocess
import time
from pathlib import Path

import msgspec

from kirsch.errors import SuperviseError
from kirsch.link.order import GO, Order
from kirsch.link.state import State, write_whole
from kirsch.spec.stack import dump_json
from kirsch.supervise.identity import identity_of
from kirsch.supervise.process import give_to
from kirsch.supervise.site import Site
from kirsch.supervise.worker import Launch

FORK_S = 10.0
END_S = 10.0
MESSAGE_BYTES = 4096
_PR_SET_CHILD_SUBREAPER = 36


class Template:
    """A process that is forked for each worker. Build it with ``start``."""

    def __init__(self, state: State, generation: int, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self.state = state
        self.generation = generation
        self.pid = process.pid
        self._process = process
        self._control = control

    @classmethod
    async def start(cls, order: Order, state: State, launch: Launch, order_path: str, patience_s: float) -> Template:
        """Start one and wait until it has imported everything.

        Raises:
            SuperviseError: it did not, or it must not be forked; the text says why.
            OSError: it cannot be started.
        """
        become_subreaper()
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            control.setblocking(False)
            try:
                process = _spawn(order, launch, order_path, theirs.fileno())
            except BaseException:
                control.close()
                raise
        template = cls(state, order.generation, process, control)
        try:
            said = await asyncio.wait_for(_receive(control), patience_s)
            if said != GO:
                raise SuperviseError(said.decode("utf-8", "replace") or "it ended; its log says why")
        except BaseException as error:
            await template.end()
            if isinstance(error, TimeoutError):
                raise SuperviseError(f"the imports took longer than {patience_s:g} s") from error
            raise
        finally:
            Path(order_path).unlink(missing_ok=True)  # read by now, and there are secrets in it
        return template

    @property
    def is_alive(self) -> bool:
        """True while it can be forked."""
        return self._process.poll() is None

    async def fork(self, order_path: str, say: int, output: int) -> tuple[int, socket.socket]:
        """Have a worker forked; return its process id, and the line on which it waits to be told to begin.

        Closed without a word, the line ends it.

        Raises:
            OSError: nobody was born.
        """
        line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            line.setblocking(False)
            with theirs:
                socket.send_fds(self._control, [os.fsencode(order_path)], [theirs.fileno(), say, output])
            said = await asyncio.wait_for(_receive(line), FORK_S)
            if not said.isdigit():
                raise ChildProcessError("the template forked nobody")
        except BaseException:
            line.close()
            raise
        return int(said), line

    async def end(self) -> None:
        """End it; its workers live on."""
        self._control.close()
        self._process.kill()
        deadline = time.monotonic() + END_S
        while self.is_alive and time.monotonic() < deadline:
            await asyncio.sleep(0.01)


class Templates:
    """Those of one pool: one for the generation that serves, one for that which is coming."""

    def __init__(self, site: Site, pool: str) -> None:
        self._site = site
        self._pool = pool
        self._found: dict[int, Template] = {}
        self._refused: dict[int, State] = {}
        """Generations that cannot have one; said once."""
        self._making = asyncio.Lock()

    async def find(self, order: Order, state: State, launch: Launch) -> Template | None:
        """Return the template for a worker with *order*, made now if need be; None if the worker goes without."""
        pool = state.stack.pools[self._pool]
        if not pool.preload:
            return None
        async with self._making:
            found = self._found.get(order.generation)
            if found is not None and found.is_alive and found.state == state:
                return found
            if self._refused.get(order.generation) == state:
                return None
            await self._end(order.generation)
            path = f"{self._site.paths.workers}/{self._pool}.template.{order.generation}.json"
            own = msgspec.structs.replace(order, seat=0, record=0)
            began = time.monotonic()
            try:
                made = self._found[order.generation] = await Template.start(
                    own, state, launch, path, pool.boot_timeout_s
                )
            except (OSError, SuperviseError) as error:
                self._refused[order.generation] = state
                self._complain(f"the workers share no memory: {error}")
                return None
        took_s = round(time.monotonic() - began, 3)
        self._site.events.say("preloaded", pool=self._pool, pid=made.pid, release=state.release, duration_s=took_s)
        return made

    async def give_up(self, generation: int, why: str) -> None:
        """End the template of a generation, which could not be forked: the next birth makes another."""
        self._complain(why)
        await self._end(generation)

    def _complain(self, message: str) -> None:
        self._site.events.say("not_preloaded", pool=self._pool, level=logging.WARNING, message=message)

    async def keep_only(self, generation: int | None) -> None:
        """End those of other generations; None for all."""
        for number in [number for number in self._found if number != generation]:
            await self._end(number)
        self._refused = {number: state for number, state in self._refused.items() if number == generation}

    async def _end(self, generation: int) -> None:
        template = self._found.pop(generation, None)
        if template is not None:
            await template.end()


def _spawn(order: Order, launch: Launch, order_path: str, control: int) -> subprocess.Popen[bytes]:
    write_whole(order_path, dump_json(msgspec.structs.replace(order, template_fd=control)))
    give_to(order_path, launch.user)
    with open(f"{launch.log_dir}/{order.pool}.template.log", "ab") as output:
        return subprocess.Popen(
            [launch.python, *launch.program, order_path],
            cwd=order.release_dir,
            env={**launch.environ, "KIRSCH_WORKER": f"{order.pool}.template"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(control,),
            start_new_session=True,
            **identity_of(launch.user, launch.group),
        )


def become_subreaper() -> None:
    """Inherit the descendants that lose their parents: workers are a template's grandchildren.

    Raises:
        OSError: the kernel does not do that.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


async def _receive(line: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(line, MESSAGE_BYTES)
