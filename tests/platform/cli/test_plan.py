"""`kirsch plan` beside a stack that runs behind a real nginx, and beside none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.release.prepare import PORTS_FILE

pytestmark = pytest.mark.nginx

Kirsch = Callable[..., tuple[int, str]]


def everything(folder: Path) -> dict[str, bytes]:
    """Each file below *folder* with its content."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_before_the_first_deploy_all_is_new(kirsch: Kirsch, folder: Path) -> None:
    """Status 2, and nothing on the disk has changed: not even a placeholder of a certificate was made."""
    with (folder / "kirsch.toml").open("a") as file:
        file.write('[vhost.main]\nnames = ["a.example"]\nlisten = ["127.0.0.1:18443 tls"]\n')
        file.write('[vhost.main.tls]\ncertificate = "shared/a.pem"\nkey = "shared/a.key"\n')
    before = everything(folder)

    status, said = kirsch("plan", "--inventory", "local.toml")

    assert status == 2
    assert "nginx new vhosts/main.conf" in said
    assert "nginx is started" in said
    assert everything(folder) == before


def test_what_runs_is_compared_with_what_would(kirsch: Kirsch, folder: Path, host: Any) -> None:
    """A change of nginx's is shown line by line, with what it does; the running nginx has noticed nothing."""
    host.stop()
    host.start(host.state(slots=3), nginx=True)
    generation = host.wait_until_ready(nginx=True)["nginx"]["generation"]
    address, admin = f"127.0.0.1:{host.port}", f"127.0.0.1:{host.admin_port}"
    # as a deploy writes down which address it got for which
    Path(host.paths.run, PORTS_FILE).write_text(json.dumps({address: address, admin: admin}))
    inventory = (folder / "live.toml").read_text()
    (folder / "live.toml").write_text(f'admin = "{admin}"\n{inventory}')
    listen = f'listen = ["{address}"]'
    text = (folder / "kirsch.toml").read_text()
    (folder / "kirsch.toml").write_text(f'{text}[vhost.main]\n{listen}\nmax_body = "7MiB"\n')

    status, said = kirsch("plan", "--inventory", "live.toml", "--json")
    assert said.startswith("{"), said
    change = json.loads(said)

    assert status == 2
    assert change["reload"] is True
    assert any("+" in line and "client_max_body_size 7m;" in line for file in change["files"] for line in file["diff"])
    assert host.wait_until_ready(nginx=True)["nginx"]["generation"] == generation
