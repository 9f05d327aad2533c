"""Files that a page answers with, through real nginx and real workers: who sends them is not to be seen from outside.

Except in the worker's own access log, which says how many octets it has sent.
"""

from __future__ import annotations

import gzip
import http.client
import importlib.util
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import pytest

from kirsch.link import uwsgi
from kirsch.nginx import Nginx, NginxControl, render_site, survey, worker_user
from kirsch.nginx.binary import inspect_nginx
from kirsch.spec import HostPaths, load_stack

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]

HERE = Path(__file__).resolve().parent
SIZE = 300_000
NAMES = ["plain.bin", "50%25 off.bin", "a b?c#d.bin", "Bücher ☃.bin", "deep/er/x.tar.gz"]
SITE = """
import os, cherrypy
from cherrypy.lib.static import serve_download, serve_file, serve_fileobj
MEDIA, OTHER = os.environ["MEDIA"], os.environ["OTHER"]
class Root:
    @cherrypy.expose
    def file(self, name):
        cherrypy.response.headers["Cache-Control"] = "private, max-age=5"
        cherrypy.response.headers["X-Robots-Tag"] = "noindex"
        cherrypy.response.cookie["seen"] = "yes"
        return serve_file(os.path.join(MEDIA, name))
    @cherrypy.expose
    def download(self, name):
        return serve_download(os.path.join(MEDIA, name), "my \\u00fc.bin")
    @cherrypy.expose
    def typed(self):
        return serve_file(MEDIA + "/plain.bin", content_type="application/x-own")
    @cherrypy.expose
    def other(self, name="other.bin"):
        return serve_file(os.path.join(OTHER, name))
    @cherrypy.expose
    def strange(self):
        cherrypy.response.headers["X-Of-My-Own"] = "1"
        return serve_file(MEDIA + "/plain.bin")
    @cherrypy.expose
    def rest(self):
        file = open(MEDIA + "/plain.bin", "rb")
        file.seek(100)
        return serve_fileobj(file, "text/plain")
    @cherrypy.expose
    def redirects(self, to):
        cherrypy.response.headers["X-Accel-Redirect"] = to
        return "a page"
def proxies(environ, start_response):
    # hands on what somebody else has answered
    start_response("200 OK", [("Content-Length", "7"), ("X-Accel-Redirect", environ["QUERY_STRING"])])
    return [b"of wsgi"]
"""
STACK = """
[stack]
name = "files"
[app.shop]
entry = "accel_site_under_test:Root"
env = {{ MEDIA = "{media}", OTHER = "{other}" }}
accel = ["{media}"]
config = {{ "log.access_file" = "{folder}/access.log" }}
[app.wsgi]
entry = "accel_site_under_test:proxies"
mount = "/wsgi"
accel = ["{media}"]
[pool.web]
workers = 1
engine = "{engine}"
protocol = "{protocol}"
[vhost.main]
listen = ["127.0.0.1:{port}"]
security = "basic"
"""


def borrow(name: str, path: Path) -> ModuleType:
    """A module of other tests."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fronted = borrow("kirsch_fronted", HERE / "fronted.py")


@dataclass
class Site:
    """A running nginx before a running worker."""

    port: int
    media: Path
    folder: Path

    def ask(self, target: str, method: str = "GET", **fields: str) -> tuple[int, Message, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, target, headers={name.replace("_", "-"): text for name, text in fields.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    def sent(self, name: str) -> int:
        """How many octets the worker says to have sent for the last request that has *name* in it."""
        lines = [line for line in (self.folder / "access.log").read_text().splitlines() if name in line]
        found = re.search(r'" [0-9]{3} ([0-9]+|-) "', lines[-1])
        assert found is not None
        return 0 if found[1] == "-" else int(found[1])


def find_nginx(kind: str) -> Nginx:
    """Each nginx of this machine."""
    path = fronted.stages._wheel() if kind == "wheel" else fronted.stages._system()
    if path is None:
        pytest.skip(f"there is no {kind} nginx on this machine")
    found = inspect_nginx(path)
    assert isinstance(found, Nginx)
    return found


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lay_out(folder: Path) -> None:
    """The site, files that nginx may send, and others."""
    (folder / "accel_site_under_test.py").write_text(SITE)
    for name in NAMES:
        file = folder / "media" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(SIZE))
    (folder / "other").mkdir()
    (folder / "other" / "other.bin").write_bytes(b"o" * SIZE)
    (folder / "media" / "data.json").write_bytes(b"[%b]" % (b"1,2," * (SIZE // 4)))
    (folder / "media" / "text.txt").write_bytes(b"t" * SIZE)
    (folder / "media" / "small.bin").write_bytes(b"small")
    (folder / "media" / "private.bin").write_bytes(b"p" * SIZE)
    (folder / "media" / "link.bin").symlink_to(folder / "other" / "other.bin")
    (folder / "mediator").mkdir()
    (folder / "mediator" / "other.bin").write_bytes(b"m" * SIZE)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (folder / "media" / "private.bin").chmod(0o640)


@pytest.fixture(
    scope="module",
    params=[
        "wheel native http",
        "system native http",
        "system gunicorn http",
        "wheel uwsgi http",
        "system uwsgi uwsgi",
    ],
)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Both versions of nginx, every engine, and the uwsgi protocol."""
    kind, engine, protocol = request.param.split()
    nginx = find_nginx(kind)
    folder = Path(tempfile.mkdtemp(prefix="ka", dir="/tmp"))
    paths = HostPaths(f"{folder}/root", f"{folder}/run")
    for path in (paths.root, paths.run, paths.slots):
        os.makedirs(path)
    lay_out(folder)
    port, media = free_port(), folder / "media"
    file = folder / "kirsch.toml"
    words = {"folder": folder, "media": media, "other": folder / "other", "port": port}
    file.write_text(STACK.format(**words, engine=engine, protocol=protocol))
    stack = load_stack(file)
    worker = fronted.workers.Started(str(folder), tuple(stack.apps.values()), engine=engine, protocol=protocol)
    control = NginxControl(paths, nginx, worker_user())
    try:
        path = worker.ready()
        os.chmod(path, 0o666)
        os.symlink(path, paths.slot_socket("web", 1))
        files = render_site(
            stack,
            paths,
            nginx.version,
            generation=control.next_generation(),
            user=control.user,
            modules=nginx.modules,
            loads=nginx.loads,
            processes=1,
            open_files=512,
            ground=survey(stack, paths),
        )
        control.apply(files)
        yield Site(port, media, folder)
    finally:
        control.stop(timeout_s=2)
        worker.process.kill()
        worker.process.wait()
        worker.reports.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_nginx_s_to_send_whatever_its_name(site: Site, name: str) -> None:
    """Whole, with all that the page says of it; the worker has sent nothing."""
    status, fields, body = site.ask(f"/file?name={quote(name, safe='')}")

    assert (status, body) == (200, (site.media / name).read_bytes())
    assert site.sent(f"name={quote(name, safe='')}") == 0
    assert fields["Content-Length"] == str(SIZE)
    assert fields["Cache-Control"] == "private, max-age=5"
    assert fields["X-Robots-Tag"] == "noindex"
    assert fields["Set-Cookie"].startswith("seen=yes")
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields.get_all("Accept-Ranges") == ["bytes"]
    assert fields.get_all("X-Request-ID")
    assert "X-Accel-Redirect" not in fields


def test_a_file_has_one_tag_and_one_date_whoever_sends_it(site: Site) -> None:
    """HEAD and parts come from the worker, the whole from nginx; both mean the same file."""
    _, whole, _ = site.ask("/file?name=plain.bin")
    status, head, body = site.ask("/file?name=plain.bin", "HEAD")

    assert (status, body) == (200, b"")
    for name in ("ETag", "Last-Modified", "Content-Length", "Content-Type", "Cache-Control"):
        assert head[name] == whole[name], name
        assert len(whole.get_all(name) or []) == 1, name


def test_a_client_s_copy_counts(site: Site) -> None:
    """304 and 412 are the application's word; nginx does not contradict it."""
    _, fields, _ = site.ask("/file?name=plain.bin")
    tag, date = fields["ETag"], fields["Last-Modified"]
    answers = {
        "same tag": site.ask("/file?name=plain.bin", If_None_Match=tag)[0],
        "other tag": site.ask("/file?name=plain.bin", If_None_Match='"x"')[0],
        "same date": site.ask("/file?name=plain.bin", If_Modified_Since=date)[0],
        "match": site.ask("/file?name=plain.bin", If_Match=tag)[0],
        "no match": site.ask("/file?name=plain.bin", If_Match='"x"')[0],
        "unmodified": site.ask("/file?name=plain.bin", If_Unmodified_Since=date)[0],
    }

    assert answers == {
        "same tag": 304,
        "other tag": 200,
        "same date": 304,
        "match": 200,
        "no match": 412,
        "unmodified": 200,
    }


def test_a_part_is_the_part_that_was_asked_for(site: Site) -> None:
    """One range by nginx, several by the worker; one that is not there by nobody; If-Range by the file's tag."""
    data = (site.media / "plain.bin").read_bytes()
    tag = site.ask("/file?name=plain.bin")[1]["ETag"]
    status, fields, body = site.ask("/file?name=plain.bin", Range="bytes=1000-200999", If_Range=tag)
    sent = site.sent("name=plain.bin")
    several = site.ask("/file?name=plain.bin", Range="bytes=0-9,200000-290000")
    old = site.ask("/file?name=plain.bin", Range="bytes=0-9", If_Range='"old"')
    beyond = site.ask("/file?name=plain.bin", Range=f"bytes={SIZE}-")

    assert (status, body) == (206, data[1000:201000])
    assert fields["Content-Range"] == f"bytes 1000-200999/{SIZE}"
    assert sent == 0
    assert several[0] == 206
    assert several[1]["Content-Type"].startswith("multipart/byteranges")
    assert data[200000:290001] in several[2]
    assert (old[0], old[2]) == (200, data)
    assert beyond[0] == 416


def test_a_part_of_what_can_be_compressed_is_a_part(site: Site) -> None:
    """Nginx would send all of it, compressed; the whole may be, whoever sends it."""
    data = (site.media / "data.json").read_bytes()
    part = site.ask("/file?name=data.json", Range="bytes=1000-199999", Accept_Encoding="gzip")
    whole = site.ask("/file?name=data.json", Accept_Encoding="gzip")

    assert (part[0], part[2]) == (206, data[1000:200000])
    assert (gzip.decompress(whole[2]) if whole[1]["Content-Encoding"] == "gzip" else whole[2]) == data


def test_types_and_names_for_downloads_are_kept(site: Site) -> None:
    """By the page's word, not by nginx's table."""
    _, typed, body = site.ask("/typed")
    _, saved, _ = site.ask("/download?name=plain.bin")

    assert typed["Content-Type"] == "application/x-own"
    assert len(body) == SIZE
    assert saved["Content-Type"] == "application/x-download"
    assert saved["Content-Disposition"].startswith("attachment")
    assert "%C3%BC" in saved["Content-Disposition"]
    assert (site.sent("/typed"), site.sent("/download")) == (0, 0)


@pytest.mark.parametrize(
    ("target", "first", "size"),
    [
        ("/other", b"o", SIZE),
        ("/other?name=../mediator/other.bin", b"m", SIZE),
        ("/file?name=private.bin", b"p", SIZE),
        ("/file?name=link.bin", b"o", SIZE),
        ("/file?name=small.bin", b"s", 5),
        ("/file?name=text.txt", b"t", SIZE),
        ("/strange", b"", SIZE),
        ("/rest", b"", SIZE - 100),
    ],
)
def test_what_is_not_nginx_s_is_the_worker_s(site: Site, target: str, first: bytes, size: int) -> None:
    """Elsewhere, by a link elsewhere, not readable by all, small, text, with a field of its own, only the rest."""
    status, fields, body = site.ask(target)

    assert (status, len(body), body[: len(first)]) == (200, size, first)
    assert site.sent(target) == size
    assert target != "/strange" or fields["X-Of-My-Own"] == "1"


@pytest.mark.parametrize("target", ["/.kirsch/files/shop/0/plain.bin", "/.kirsch/files/shop/0/private.bin?"])
def test_nobody_reaches_the_files_but_by_a_page(site: Site, target: str) -> None:
    """Not a client, with whatever id; nor a page's own redirect, nor one that a page hands on."""
    with_field = site.ask("/other", X_Accel_Redirect=target, X_Kirsch_Files="on")
    of_cherrypy = site.ask(f"/redirects?to={quote(target)}")
    of_wsgi = site.ask(f"/wsgi/?{target}")

    assert site.ask(target)[0] == 404
    assert site.ask(f"{target}?{'0' * 32}")[0] == 404
    assert with_field[2] == b"o" * SIZE
    assert (of_cherrypy[0], of_cherrypy[2]) == (200, b"a page")
    assert of_wsgi[0] == 404
    assert b"p" * 100 not in of_wsgi[2]


def test_without_our_nginx_the_worker_sends(site: Site) -> None:
    """Nobody has offered to send files on a connection of its own; the same request through nginx is nginx's."""
    (path,) = site.folder.glob("web.1.*.sock")
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(path))
        fields = {"Host": "h", "X-Request-ID": "0" * 32}
        text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        is_http = 'protocol = "http"' in (site.folder / "kirsch.toml").read_text()
        http_text = f"GET /typed HTTP/1.1\r\n{text}Connection: close\r\n\r\n".encode()
        line.sendall(http_text if is_http else uwsgi.ask("/typed", fields))
        answer = b""
        while piece := line.recv(65536):
            answer += piece

    assert b"x-accel-redirect" not in answer.partition(b"\r\n\r\n")[0].lower()
    assert len(answer.partition(b"\r\n\r\n")[2]) == SIZE
