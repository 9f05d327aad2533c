"""Uploads: what they cost in memory and descriptors, what happens when they break off, how to refuse them."""

from __future__ import annotations

import gc
import io
import os
import sys
import tempfile
import time
import tracemalloc
from typing import Any

import pytest

import cherrypy
from cherrypy.core.entity import Entity
from cherrypy.core.formdata import Part, process_multipart_form_data
from cherrypy.core.sizedreader import SizedReader
from cherrypy.http.bodyerrors import BodyIncomplete
from cherrypy.http.headers import HeaderMap

MULTIPART = {"Content-Type": "multipart/form-data; boundary=XX"}
HEAD = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
TAIL = b"\r\n--XX--\r\n"


class Generated:
    """A body whose middle is one byte, repeated: it is nowhere in memory as a whole."""

    def __init__(self, size: int, filler: bytes = b"x", head: bytes = HEAD) -> None:
        self.length = len(head) + size + len(TAIL)
        self._head, self._left, self._tail, self._block = head, size, TAIL, filler * 65536

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most *size*."""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
        elif self._left:
            data = self._block[: min(size, self._left)]
            self._left -= len(data)
        else:
            data, self._tail = self._tail[:size], self._tail[size:]
        return data


class Untouched:
    """A body that must not be read."""

    def read(self, size: int = -1) -> bytes:
        """Fail."""
        raise AssertionError("the body was read")


class Breaking(io.BytesIO):
    """The client goes away where the data ends."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, or raise at the end."""
        data = super().read(size)
        if not data:
            raise BodyIncomplete("the client has gone")
        return data


class Pages:
    """Takes uploads."""

    @cherrypy.expose
    def index(self, file: Any) -> str:
        size = file.file.seek(0, 2)
        return f"{size} {type(file.file).__name__}"

    @cherrypy.expose
    def name(self, file: Any) -> str:
        return str(file.file.name)


def post(site: Any, source: Any, length: int, target: str = "/") -> bytes:
    """Post the multipart body that *source* gives; returns status and body."""
    message = site.message(target, "POST", {**MULTIPART, "Content-Length": str(length)}, b"", (1, 1))
    message.body, message.has_body = source, True
    status, _, pieces, close = site.respond(message)
    body = b"".join(pieces)
    if close is not None:
        close()
    return status[:3] + b" " + body


def open_files() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def test_an_upload_without_line_ends_is_not_held_in_memory(site: Any) -> None:
    """64 MiB in one line: a few blocks at a time are in memory."""
    site.mount(Pages())
    source = Generated(64 * 1024 * 1024)
    post(site, Generated(1000), Generated(1000).length)
    tracemalloc.start()
    answer = post(site, source, source.length)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert answer == b"200 67108864 BufferedRandom"
    assert peak_bytes < 2 * 1024 * 1024


@pytest.mark.parametrize("filler", [b"\r", b"\n", b"\n--X", b"\r\n--XX-", b"\r\n--XXX\r\n", b"\n--XX" + b" " * 300])
@pytest.mark.parametrize("place", ["content", "preamble", "epilogue"])
def test_a_body_full_of_beginnings_of_boundaries_costs_linear_time(site: Any, filler: bytes, place: str) -> None:
    """A megabyte of them takes some hundredths of a second; searching again and again would take minutes."""
    site.mount(Pages())
    piece = filler * (1_000_000 // len(filler))
    content = piece if place == "content" else b""
    body = HEAD + content + TAIL
    body = piece + b"\r\n" + body if place == "preamble" else body + piece if place == "epilogue" else body
    before = time.process_time()
    answer = post(site, io.BytesIO(body), len(body))

    assert time.process_time() - before < 1
    assert answer == b"200 %d BufferedRandom" % len(content)


def test_an_upload_stays_in_memory_up_to_the_configured_size(site: Any) -> None:
    """With request.body.maxrambytes small files never touch the disk; larger ones do."""
    site.mount(Pages(), config={"/": {"request.body.maxrambytes": 5000}})
    small, large = Generated(5000), Generated(5001)

    class Look(Pages):
        @cherrypy.expose
        def index(self, file: Any) -> str:
            return str(file.file._rolled)

    site.tree.apps[""].root = Look()

    assert post(site, small, small.length) == b"200 False"
    assert post(site, large, large.length) == b"200 True"


def test_a_file_in_memory_can_do_what_a_file_can(site: Any) -> None:
    """It gets a descriptor when it is asked for one; text layers, seeking and iteration work."""

    class Look:
        @cherrypy.expose
        def index(self, file: Any) -> str:
            opened = file.file
            lines = list(io.TextIOWrapper(opened, "ascii"))
            return f"{lines}"

        @cherrypy.expose
        def stat(self, file: Any) -> str:
            return str(os.fstat(file.file.fileno()).st_size)

    site.mount(Look(), config={"/": {"request.body.maxrambytes": 5000}})
    body = HEAD + b"one\ntwo" + TAIL

    assert site("/", "POST", MULTIPART, body).body == b"['one\\n', 'two']"
    assert site("/stat", "POST", MULTIPART, body).body == b"7"


def test_a_part_class_may_keep_its_files_elsewhere(site: Any, tmp_path: Any) -> None:
    """``make_file`` overridden, put in place by a hook at before_request_body, as the manual shows."""

    class Named(Part):
        def make_file(self) -> Any:
            return tempfile.NamedTemporaryFile(dir=tmp_path)

    def use() -> None:
        cherrypy.request.body.part_class = Named

    site.mount(Pages(), config={"/": {"hooks.before_request_body": use}})

    assert site("/name", "POST", MULTIPART, HEAD + b"x" + TAIL).body.decode().startswith(f"{tmp_path}/")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [len(HEAD) - 10, len(HEAD) + 5, len(HEAD) + 150_000])
def test_an_upload_that_breaks_off_leaves_no_file(site: Any, cut: int, tmp_path: Any) -> None:
    """The first file is complete, the second breaks off in head or content: both are removed, no page is run."""
    made: list[Any] = []

    class Kept(Part):
        def make_file(self) -> Any:
            made.append(tempfile.NamedTemporaryFile(dir=tmp_path))  # noqa: SIM115
            return made[-1]

    site.mount(Pages(), config={"/": {"request.body.part_class": Kept}})
    whole = HEAD + b"first\r\n" + HEAD + b"y" * 200_000 + TAIL
    body = whole[: len(HEAD) + 7 + cut]

    assert post(site, Breaking(body), len(whole))[:3] == b"400"
    assert len(made) >= 1
    assert all(file.closed for file in made)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_form_leaves_no_descriptor(site: Any) -> None:
    """Ten files, one more than is allowed."""
    site.mount(Pages(), config={"/": {"request.body.max_files": 9}})
    before = open_files()
    reply = site("/", "POST", MULTIPART, (HEAD + b"x\r\n") * 10 + b"--XX--\r\n")

    assert reply.status == 413
    assert open_files() == before


def test_the_files_of_a_request_are_closed_with_it(site: Any) -> None:
    """Without the cyclic garbage collector: nothing keeps the request alive."""
    site.mount(Pages())
    body = HEAD + b"x" + TAIL
    site("/", "POST", MULTIPART, body)
    gc.collect()
    before = open_files()
    gc.disable()
    try:
        for _ in range(5):
            site("/", "POST", MULTIPART, body)
        after = open_files()
    finally:
        gc.enable()

    assert after == before


def test_an_upload_can_be_refused_by_its_headers(site: Any) -> None:
    """A hook at before_request_body answers before one byte of the body was asked for."""

    def refuse() -> None:
        request = cherrypy.serving.request
        if int(request.headers["Content-Length"]) > 1000:
            raise cherrypy.HTTPError(413, "Not more than 1000 bytes here.")
        if request.headers.get("X-Key") != "secret":
            raise cherrypy.HTTPError(403)

    site.mount(Pages(), config={"/": {"hooks.before_request_body": refuse}})

    assert b"Not more than 1000 bytes here." in post(site, Untouched(), 1001)
    assert post(site, Untouched(), 1000)[:3] == b"403"


def test_a_body_beyond_maxbytes_is_refused_before_it_is_read(site: Any) -> None:
    """The declared length is enough: no 100 Continue, no temporary file."""
    site.mount(Pages(), config={"/": {"request.body.maxbytes": 1000}})

    assert post(site, Untouched(), 1001)[:3] == b"413"


def test_processing_can_be_switched_off(site: Any) -> None:
    """With request.process_request_body False the page reads the body itself, or not at all."""

    class Raw:
        @cherrypy.expose
        def index(self) -> str:
            return str(cherrypy.request.rfile.read(4))

    site.mount(Raw(), config={"/": {"request.process_request_body": False}})

    assert site("/", "POST", MULTIPART, HEAD + TAIL).body == b"b'--XX'"


def test_a_client_that_goes_away_behind_the_last_boundary_is_an_error(site: Any) -> None:
    """The length says that there is more: such a body is not complete."""
    site.mount(Pages())
    body = HEAD + b"x" + TAIL

    assert post(site, Breaking(body), len(body) + 10)[:3] == b"400"


def steps_for(parts: int) -> int:
    """Return how many functions are called to parse a form of tiny parts."""
    body = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * parts + b"--XX--\r\n"
    entity = Entity(SizedReader(io.BytesIO(body), len(body), None), HeaderMap(MULTIPART))
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        process_multipart_form_data(entity)
    finally:
        sys.setprofile(None)
    assert len(entity.params["a"]) == parts
    return calls


def test_many_tiny_parts_cost_linear_time() -> None:
    """Ten times as many parts take ten times as many calls."""
    assert steps_for(1000) < 11 * steps_for(100)
