"""`kirsch check` and `kirsch render`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kirsch.errors import NginxError
from kirsch.nginx.binary import find_nginx

Kirsch = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def nginx() -> None:
    """These tests ask a real one."""
    try:
        find_nginx()
    except NginxError as error:
        pytest.skip(f"no nginx: {error.message}")


@pytest.mark.nginx
def test_good_files_are_good(kirsch: Kirsch) -> None:
    """What was read, and that nginx accepts what follows."""
    status, said = kirsch("check", "--inventory", "local.toml")

    assert status == 0
    assert "1 app, 1 pool, 1 vhost" in said
    assert "accepts" in said


@pytest.mark.nginx
def test_missing_certificate_is_found(kirsch: Kirsch, folder: Path) -> None:
    """Nginx says it before a deploy does."""
    with (folder / "kirsch.toml").open("a") as file:
        file.write('[vhost.main]\nlisten = ["8443 tls"]\ntls = { certificate = "no.pem", key = "no.key" }\n')
    status, said = kirsch("check")

    assert status in {1, 2}
    assert "no.pem" in said


@pytest.mark.nginx
def test_rendering_is_printed_or_written(kirsch: Kirsch, folder: Path) -> None:
    """The same files, on the screen or in a folder."""
    status, said = kirsch("render")
    assert status == 0
    assert "upstream" in said

    status, _ = kirsch("render", "--out", "site")
    assert status == 0
    assert (folder / "site" / "nginx.conf").exists()
    assert (folder / "site" / "vhosts" / "main.conf").exists()


@pytest.mark.nginx
def test_inventory_addresses_are_rendered(kirsch: Kirsch, folder: Path) -> None:
    """What the inventory says of a vhost counts."""
    (folder / "local.toml").write_text(
        (folder / "local.toml").read_text().replace("[host", '[listen]\nmain = "81"\n[host')
    )
    _, said = kirsch("render", "--inventory", "local.toml")

    assert "listen 0.0.0.0:81" in said
