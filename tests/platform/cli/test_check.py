"""`kirsch check` and `kirsch render`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kirsch.cli.verbs import run
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
def test_a_certificate_need_not_be_there_yet(kirsch: Kirsch, folder: Path) -> None:
    """A placeholder answers until it is: an authority asks nginx before it gives out the first one."""
    with (folder / "kirsch.toml").open("a") as file:
        file.write('[vhost.main]\nlisten = ["8443 tls"]\ntls = { certificate = "no.pem", key = "no.key" }\n')
    status, said = kirsch("check")

    assert status == 0, said
    assert "accepts" in said


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


@pytest.mark.nginx
def test_what_does_not_fit_is_told(kirsch: Kirsch, folder: Path) -> None:
    """Both sides, why and what to write; the exit status is 1 for an error."""
    with (folder / "kirsch.toml").open("a") as file:
        file.write('config = { "/account" = { "tools.sessions.on" = true } }\n')
    status, said = kirsch("check")

    assert status == 1
    assert "sessions of shop live in one process" in said
    assert "kirsch.toml: pool.web.workers" in said
    assert 'app.shop.config."/account"."tools.sessions.on"' in said
    assert "RedisSession" in said


@pytest.mark.nginx
def test_findings_are_data(folder: Path, kirsch: Kirsch, capfd: pytest.CaptureFixture[str]) -> None:
    """JSON alone on the standard output; a warning is no failure."""
    with (folder / "kirsch.toml").open("a") as file:
        file.write('config = { "/" = { "request.show_tracebacks" = true } }\n')
    status = run(("check", "--json"))
    findings = json.loads(capfd.readouterr().out)

    assert status == 0
    assert [finding["code"] for finding in findings if finding["code"] != "K132"] == ["K312"]
    assert findings[0]["cure"]


def test_probing_what_does_not_run_is_told(kirsch: Kirsch) -> None:
    """With what to type."""
    status, said = kirsch("check", "--probe")

    assert status == 1
    assert "does not run: kirsch deploy" in said


@pytest.mark.nginx
@pytest.mark.parametrize("verb", [("check",), ("plan", "--inventory", "local.toml"), ("deploy", "--dry-run")])
def test_what_this_nginx_cannot_do_is_told_by_every_verb(kirsch: Kirsch, folder: Path, verb: tuple[str, ...]) -> None:
    """HTTP/3 is compiled into neither binary that is at hand: said is what is used instead, and nothing fails."""
    if find_nginx().build.has("http3"):
        pytest.skip("this nginx can do what the test wants it not to")
    with (folder / "kirsch.toml").open("a") as file:
        file.write('[vhost.main]\nlisten = ["127.0.0.1:18443 tls"]\nhttp3 = true\n')
        file.write('tls = { certificate = "no.pem", key = "no.key" }\n')
    status, said = kirsch(*verb)

    assert status == (2 if verb[0] == "plan" else 0), said
    assert said.count("K401") == 1
    assert "HTTP/3 is not there" in said
    assert "used instead: HTTP/2" in " ".join(said.split())
