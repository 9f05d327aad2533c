"""Requests of one batch for one file: the way to it is looked up once, the file each time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import cherrypy

from ..conftest import Site
from .test_plainfile import CONTENT, HEADERS, PATHS, files, folder

__all__ = ["files", "folder"]


def ask(site: Site, target: str, batch: dict[Any, Any] | None, **headers: str) -> Any:
    """Ask for one request of a *batch*; status, headers but the date, and the body."""
    for app in site.tree.apps.values():
        app.log.access_log.handlers = []  # pytest reads every log, and what is read is written for each request
    message = site.message(target, "GET", headers, b"", (1, 1))
    message.batch = batch
    message.is_plain = True
    status, fields, body, close = site.respond(message)
    content = b"".join(body)
    if close is not None:
        close()
    return status, [field for field in fields if field[0] != b"Date"], content


@pytest.mark.parametrize("mount", ["/files/", "/bare/"])
@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: next(iter(headers), "plain"))
@pytest.mark.parametrize("path", PATHS)
def test_a_batch_changes_no_answer(files: Site, mount: str, headers: dict[str, str], path: str) -> None:
    """Whatever is asked for, and how; nothing is left in the thread."""
    for _ in range(2):
        ask(files, mount + "a.txt", None)
    alone = [ask(files, mount + path, None, **headers) for _ in range(3)]
    batch: dict[Any, Any] = {}
    ask(files, mount + path, batch)

    assert [ask(files, mount + path, batch, **headers) for _ in range(3)] == alone
    assert cherrypy.serving.__dict__ == {}


def test_a_file_comes_again(files: Site) -> None:
    """The way to it is known within a batch."""
    batch: dict[Any, Any] = {}
    for _ in range(3):
        ask(files, "/files/large.bin", batch)

    assert list(batch) == ["/files/large.bin"]


@pytest.mark.parametrize("change", ["replace", "remove", "lead out", "grow"])
def test_a_change_is_seen_at_once(files: Site, folder: Path, change: str) -> None:
    """Also by the next request of the same batch."""
    batch: dict[Any, Any] = {}
    path = folder / "a.txt"
    before = [ask(files, "/files/a.txt", batch)[2] for _ in range(3)][-1]
    if change == "grow":
        path.write_bytes(CONTENT * 2)
    else:
        path.unlink()
    if change == "replace":
        path.write_bytes(b"new")
    elif change == "lead out":
        path.symlink_to(folder.parent / "secret.txt")
    status, _, content = ask(files, "/files/a.txt", batch)

    assert before == CONTENT
    assert (status, b"secret" in content) == (
        {"replace": b"200 OK", "remove": b"404 Not Found", "lead out": b"403 Forbidden", "grow": b"200 OK"}[change],
        False,
    )
    assert status != b"200 OK" or content == {"replace": b"new", "grow": CONTENT * 2}[change]


def test_no_descriptor_stays_open(files: Site) -> None:
    """Whatever becomes of the requests."""
    for path in PATHS:
        ask(files, f"/files/{path}", None)
    before = len(os.listdir("/proc/self/fd"))
    batch: dict[Any, Any] = {}
    for _ in range(3):
        for path in PATHS:
            ask(files, f"/files/{path}", batch)

    assert len(os.listdir("/proc/self/fd")) == before
