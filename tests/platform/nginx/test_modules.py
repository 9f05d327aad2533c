"""Modules that lie in files beside the binary: loaded where they can be, named where they cannot."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.nginx import Nginx, NginxControl
from kirsch.nginx.binary import inspect_nginx

BROTLI = "ngx_http_brotli_filter_module.so"
PROGRAM = """#!/bin/sh
case "$*" in
*-V*) echo "nginx version: nginx/1.26.3" >&2
      echo "configure arguments: {modules}" >&2 ;;
*) echo 'nginx: [emerg] module "{folder}/x.so" is not binary compatible' >&2; exit {status} ;;
esac
"""
VHOST = '[vhost.main]\nlisten = ["127.0.0.1:{port}"]\ncompress = {compress}\n'


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Nginx]:
    """A binary that says where its modules are, and loads them or does not."""

    def make(*, status: int, says: bool = True, files: tuple[str, ...] = (BROTLI,)) -> Nginx:
        for name in files:
            (tmp_path / name).touch()
        binary = tmp_path / "nginx"
        modules = f"--modules-path={tmp_path} --with-compat" if says else "--with-compat"
        binary.write_text(PROGRAM.format(modules=modules, folder=tmp_path, status=status))
        binary.chmod(0o755)
        found = inspect_nginx(str(binary))
        assert isinstance(found, Nginx)
        return found

    return make


def test_a_module_that_loads_counts(program: Callable[..., Nginx], tmp_path: Path) -> None:
    """Its file is what the configuration has to name."""
    found = program(status=0)

    assert found.build.has("brotli")
    assert found.loads == (str(tmp_path / BROTLI),)
    assert found.unloadable == ()


def test_a_module_of_another_version_does_not_count(program: Callable[..., Nginx], tmp_path: Path) -> None:
    """One line in the configuration would have all of it refused."""
    found = program(status=1)

    assert not found.build.has("brotli")
    assert found.loads == ()
    assert found.unloadable[0].startswith(f"{tmp_path / BROTLI}: ")
    assert "not binary compatible" in found.unloadable[0]


@pytest.mark.parametrize("case", [{"files": ()}, {"says": False}], ids=["no file", "no folder"])
def test_without_modules_nothing_is_tried(program: Callable[..., Nginx], case: dict[str, Any]) -> None:
    """The usual case."""
    found = program(status=1, **case)

    assert (found.loads, found.unloadable) == ((), ())
    assert not found.build.has("brotli")


def test_another_binary_at_the_same_place_is_seen(program: Callable[..., Nginx]) -> None:
    """A package puts it there while we run."""
    assert not program(status=1).build.has("brotli")
    assert program(status=0, files=(BROTLI, "other")).build.has("brotli")


@pytest.mark.nginx
def test_each_client_gets_the_best_that_it_can_read(
    serve: Callable[..., Any], free_port: Callable[[], int], control: NginxControl
) -> None:
    """Brotli where this nginx has it, gzip for the others, and nothing where the stack says so."""
    brotli = pytest.importorskip("brotli", reason="what reads Brotli: pip install brotli")
    port = free_port()
    serve(VHOST.format(port=port, compress="true"))
    path = "/" + "x" * 3000
    plain, zipped, best = (ask(port, path, accepts) for accepts in ("identity", "gzip", "gzip, br"))
    serve(VHOST.format(port=port, compress="false"))
    off = ask(port, path, "gzip, br")
    has_brotli = control.nginx.build.has("brotli")

    assert [answer[0] for answer in (plain, zipped, best, off)] == [None, "gzip", "br" if has_brotli else "gzip", None]
    assert path.encode() in gzip.decompress(zipped[1])
    assert path.encode() in (brotli.decompress if has_brotli else gzip.decompress)(best[1])


def ask(port: int, path: str, accepts: str) -> tuple[str | None, bytes]:
    """How an answer is packed, and its octets."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Accept-Encoding": accepts})
    answer = connection.getresponse()
    return answer.headers["Content-Encoding"], answer.read()
