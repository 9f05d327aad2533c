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
from kirsch.nginx.making import maker
from kirsch.spec import HostPaths, Stack

BROTLI = "ngx_http_brotli_filter_module.so"
PROGRAM = """#!/bin/sh
case "$*" in
*-V*) echo "nginx version: nginx/1.26.3" >&2
      echo "configure arguments: {modules}" >&2 ;;
*) echo 'nginx: [emerg] module "{folder}/x.so" is not binary compatible' >&2; exit {status} ;;
esac
"""
APP = '[stack]\nname = "x"\n[app.shop]\nentry = "shop:Root"\n[pool.web]\nworkers = 1\n'
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


def test_a_module_that_comes_and_goes_is_seen(program: Callable[..., Nginx], tmp_path: Path) -> None:
    """It has a package of its own: the binary stays the same."""
    path = program(status=0, files=()).path
    seen = [inspect_nginx(path)]
    (tmp_path / BROTLI).touch()
    seen.append(inspect_nginx(path))
    (tmp_path / BROTLI).unlink()
    seen.append(inspect_nginx(path))

    assert [isinstance(found, Nginx) and found.build.has("brotli") for found in seen] == [False, True, False]


@pytest.mark.parametrize("compress", [True, False])
def test_a_module_is_loaded_where_the_stack_asks_for_it(
    program: Callable[..., Nginx], stage: HostPaths, stack_from: Callable[[str], Stack], *, compress: bool
) -> None:
    """What is not loaded cannot break, and no directive of it may be left."""
    stack = stack_from(APP + VHOST.format(port=8080, compress=str(compress).lower()))
    files = maker(stack, stage, program(status=0), None)("000001", frozenset())
    naming = {name for name, text in files.items() if "brotli" in text}

    assert naming == ({"nginx.conf", "vhosts/main.conf"} if compress else set())
    assert files["nginx.conf"].count("load_module") == compress


def test_a_binary_that_refuses_a_module_is_not_given_it(
    program: Callable[..., Nginx], stage: HostPaths, stack_from: Callable[[str], Stack]
) -> None:
    """Although the stack asks for it, and another binary had it a moment ago."""
    stack = stack_from(APP + VHOST.format(port=8080, compress="true"))
    before = maker(stack, stage, program(status=0), None)("000001", frozenset())
    after = maker(stack, stage, program(status=1), None)("000002", frozenset())

    assert "load_module" in before["nginx.conf"]
    assert not any("brotli" in text for text in after.values())
    assert "gzip on" in after["vhosts/main.conf"]


@pytest.mark.nginx
@pytest.mark.parametrize("nginx", ["system"], indirect=True)
def test_the_system_s_module_compresses(
    serve: Callable[..., Any], free_port: Callable[[], int], control: NginxControl
) -> None:
    """An answer of a worker leaves as Brotli and is whole again when it is unpacked."""
    if not control.nginx.loads:
        pytest.skip("the module of the system's nginx is not there: apt install libnginx-mod-http-brotli-filter")
    brotli = pytest.importorskip("brotli", reason="what reads Brotli: pip install brotli")
    port = free_port()
    serve(VHOST.format(port=port, compress="true"))
    path = "/" + "x" * 3000
    packed, octets = ask(port, path, "br")

    assert packed == "br"
    assert len(octets) < len(path)
    assert path.encode() in brotli.decompress(octets)


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
