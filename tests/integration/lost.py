"""Where requests were that a killed worker took with it: told by the worker's own notes, and by nginx's error log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

#: Notes on disk, before and after its work, who was inside: a file a process, which a SIGKILL leaves as it is.
APP = """
import os, threading, time
import cherrypy

NOTES = os.open(f"{os.environ['KIRSCH_SHARED']}/inside.{os.getpid()}", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)

class Root:
    @cherrypy.expose
    def echo(self, id="", value="", s="0"):
        os.write(NOTES, f"+{id}\\n".encode())
        time.sleep(float(s))
        cherrypy.response.headers["X-Worker"] = f"{os.environ['KIRSCH_WORKER']} {os.environ['KIRSCH_RELEASE']}"
        os.write(NOTES, f"-{id}\\n".encode())
        return "echo " + value
"""


@dataclass
class Lost:
    """Where the requests were that a killed worker took with it."""

    inside: int = 0
    """In a handler."""
    answered: int = 0
    """Past their handlers, before nginx had the whole answer."""
    unread: int = 0
    """Sent whole by nginx, not begun: in the worker's socket or the server's hands."""
    unsent: int = 0
    """With nginx, which wrote it to a kept connection that had died, and may not know that nothing was sent."""
    elsewhere: int = 0
    """None of it."""

    def __add__(self, other: Lost) -> Lost:
        return Lost(*[mine + others for mine, others in zip(astuple(self), astuple(other), strict=True)])


def locate(host: Any, pid: int, slots: set[str], shots: Iterable[Any]) -> Lost:
    """Say where each of *shots* was, which got no right answer, when the worker *pid* died; it was known under *slots*.

    Raises:
        AssertionError: one was lost that may be sent again, and of whose answer nothing had been sent.
    """
    errors = Path(host.paths.nginx_error_log).read_text(encoding="utf-8", errors="replace").splitlines()
    notes = set(Path(host.paths.shared, f"inside.{pid}").read_text(encoding="ascii").split())
    # while every slot is marked nginx asks the holding server, which passes on to a worker
    names = {*slots, Path(host.paths.holding_socket("web")).name}
    where = Lost()
    for shot in shots:
        found = re.search(r"id=([0-9-]+)", shot.path)
        assert found is not None
        value = found[1]
        told = [line for line in errors if re.search(rf"\?id={value}[& ].* upstream:", line)]
        one = _locate(value, notes, [line for line in told if any(f"/{name}:" in line for name in names)])
        where += one

        assert shot.method == "POST" or one.answered, told
        assert not one.elsewhere, (shot, told, names)
    return where


def _locate(value: str, notes: set[str], told: list[str]) -> Lost:
    """Say where a lost request was when its worker died, by the worker's notes and what nginx has *told*."""
    if f"-{value}" in notes or any("while reading upstream" in line for line in told):
        return Lost(answered=1)
    if f"+{value}" in notes:
        return Lost(inside=1)
    if any("while reading response header from upstream" in line for line in told):
        return Lost(unread=1)
    return Lost(unsent=1) if any("while sending request to upstream" in line for line in told) else Lost(elsewhere=1)
