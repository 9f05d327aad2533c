"""A template: a process that has imported the applications, serves nothing, and is forked for each worker.

What the imports have made lies in the machine's memory once, for all workers of a generation: the kernel copies only
pages that somebody writes to, and ``gc.freeze`` keeps the collector from that.

A worker is the template's grandchild, whose parent ends at once, so that the supervisor (a subreaper) inherits it:
process id, exit status and signals are as of any other worker. Nothing of the template's is in its way: it says its
process id on a line of its own, and begins when the supervisor answers there. If nobody does it ends.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
import traceback
from dataclasses import dataclass, field

import msgspec

from kirsch.errors import SuperviseError
from kirsch.link.order import GO, Order, load_order
from kirsch.worker.bus import make_member
from kirsch.worker.engines import find_engine
from kirsch.worker.engines.site import make_production_like
from kirsch.worker.life import FAILED_STATUS, live
from kirsch.worker.load import Preloaded, load_all

MESSAGE_BYTES = 4096
#: Standard streams: what is open besides after the imports may be shared by mistake.
_STANDARD = frozenset({0, 1, 2})


@dataclass
class Draft:
    """What the imports tell, kept for the workers to come."""

    step: str = ""
    broken: dict[str, str] = field(default_factory=dict)

    def at_step(self, step: str) -> None:
        """Note what the imports are at."""
        self.step = step

    def say_broken(self, app: str, error: str) -> None:
        """Note that *app* does not serve, though the others do."""
        self.broken[app] = error


def serve_as_template(order: Order) -> int:
    """Import, then fork a worker whenever one is asked for; return the exit status of the process.

    In a worker it returns when that has ended.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    assert order.template_fd is not None
    with socket.socket(fileno=order.template_fd) as control:
        control.set_inheritable(False)
        draft = Draft()
        try:
            preloaded = _prepare(order, draft, control.fileno())
        except BaseException as error:  # the wall of the imports: also SystemExit out of one
            traceback.print_exc()
            problem = f"{draft.step}: {type(error).__name__}: {error}".partition("\n")[0]
            control.send(problem.encode("utf-8", "replace")[:MESSAGE_BYTES])
            return FAILED_STATUS
        control.send(GO)
        worker = _wait_for_orders(control)
    return 0 if worker is None else live(worker, preloaded)


def _prepare(order: Order, draft: Draft, control: int) -> Preloaded:
    find_engine(order.engine)  # imported once for all
    make_production_like()
    member = make_member(order)
    apps = load_all(order, draft)
    draft.step = "after the imports"
    hazard = find_hazard(_STANDARD | {control})
    if hazard is not None:
        raise SuperviseError(hazard)
    gc.collect()
    gc.freeze()
    return Preloaded(apps, draft.broken, member)


def find_hazard(known: frozenset[int]) -> str | None:
    """Say what must not be there when a process is forked; None if nothing is. *known* are descriptors that may be.

    A thread is not forked, and a lock that it held is held for ever; of a connection each worker reads some octets.
    """
    count = len(os.listdir("/proc/self/task")) - 1
    if count:
        names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        return f"{count} threads were started by an import: {', '.join(names) or 'of a library in C'}"
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the one that the listing itself took
        if int(name) not in known and target.startswith(("socket:", "anon_inode:")):
            return f"a connection was opened by an import: descriptor {name} is {target}"
    return None


def _wait_for_orders(control: socket.socket) -> Order | None:
    """Fork workers; return None once there is no supervisor, and in a worker its order."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 3)
        if not message:
            return None
        line, say, output = descriptors
        try:
            is_worker = _fork()
        except OSError:
            traceback.print_exc()  # the supervisor sees its line closed, and starts that worker otherwise
            is_worker = False
        if is_worker:
            return _become_worker(message.decode(), line, say, output)
        for descriptor in descriptors:
            os.close(descriptor)


def _fork() -> bool:
    """Return True in a grandchild that has lost its parent, False here."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return False
    try:
        is_worker = not os.fork()
    except OSError:
        is_worker = False
    if not is_worker:
        os._exit(0)
    return True


def _become_worker(path: str, line: int, say: int, output: int) -> Order:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    with socket.socket(fileno=line) as parent:
        try:
            parent.send(str(os.getpid()).encode("ascii"))
            may_live = parent.recv(len(GO)) == GO
        except OSError:
            may_live = False
    if not may_live:
        os._exit(FAILED_STATUS)
    order = load_order(path)
    os.environ["KIRSCH_WORKER"] = order.name
    return msgspec.structs.replace(order, report_fd=say)
