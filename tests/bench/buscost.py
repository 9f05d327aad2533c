"""What a request pays for a bus that it does not use: opcodes counted, not time, so that any machine tells the same."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import cherry_app
from inside import PAGES, natively

import cherrypy
from kirsch.link import wire
from kirsch.link.cluster import join_hub
from kirsch.link.hub import Hub
from kirsch.link.hubserver import HubServer
from kirsch.link.memory import now

REQUESTS = 1000
BUS_THREADS = ("kirsch-line", "kirsch-bus", "kirsch-leases")


def measure_cost() -> dict[str, Any]:
    """Count the opcodes of one request of each page without a bus, and with one; and who wakes meanwhile."""
    cherrypy.config.update(cherry_app.QUIET)
    cherrypy.tree.mount(cherry_app.Root(), "/")
    asking = {page: natively(path, query) for page, (path, query, _) in PAGES.items()}
    without = {page: count_opcodes(ask) for page, ask in asking.items()}
    with tempfile.TemporaryDirectory(prefix="kb", dir="/tmp") as folder:
        _start_hub(f"{folder}/hub")
        cluster = join_hub(cherrypy.engine, wire.Member(name="web.1", pool="web", pid=os.getpid()), f"{folder}/hub")
        if not cluster.join(30):
            raise RuntimeError("no hub")
        cluster.subscribe_to("x", lambda: None)
        whole = cluster.publish("x").ok and cluster.take("job") is not None
        with_it = {page: count_opcodes(ask) for page, ask in asking.items()}
        cluster.keeper.close()  # a lease that is held is renewed, whatever requests do
        time.sleep(0.2)
        before = count_wakes()
        for ask in asking.values():
            for _ in range(REQUESTS):
                ask()
        wakes = count_wakes() - before
        cluster.leave()
    return {"without": without, "with": with_it, "wakes": wakes, "requests": REQUESTS * len(PAGES), "used": whole}


def count_opcodes(ask: Callable[[], object]) -> int:
    """Return how many opcodes this thread runs for one request; the first ones, which learn, are not counted."""
    for _ in range(5):
        ask()
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        ask()
    finally:
        sys.settrace(None)
    return count


def count_wakes() -> int:
    """Return how often the threads of the bus have slept and been woken, as the kernel counts it."""
    found = 0
    for thread in threading.enumerate():
        if thread.name in BUS_THREADS and thread.native_id is not None:
            status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
            found += int(status.partition("voluntary_ctxt_switches:")[2].split()[0])
    return found


def _start_hub(path: str) -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    server = HubServer(Hub("alpha", now=now, wall=time.time), path, lambda pid, uid, member: member)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
