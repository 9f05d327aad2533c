"""Which vhost and which location nginx takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kirsch.check.way import choose_location, choose_vhost, parse_locations
from kirsch.nginx import render_site
from kirsch.spec import HostPaths, Stack, load_stack

STACK = """
[stack]
name = "shop"
[app.shop]
entry = "shop:Root"
[app.old]
entry = "old:Root"
mount = "/old"
pool = "slow"
[pool.web]
[pool.slow]
[vhost.main]
names = ["shop.example"]
listen = ["8080"]
[vhost.wild]
names = ["*.shop.example", "*.api.shop.example"]
listen = ["8080"]
[vhost.api]
names = ["*.v1.api.shop.example"]
listen = ["8080"]
[vhost.rest]
listen = ["8081"]
"""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """Two apps, four vhosts."""
    file = tmp_path / "kirsch.toml"
    file.write_text(STACK)
    return load_stack(file)


@pytest.mark.parametrize(
    ("host", "port", "vhost"),
    [
        ("shop.example", 8080, "main"),
        ("a.shop.example", 8080, "wild"),
        ("x.v1.api.shop.example", 8080, "api"),
        ("other.example", 8080, None),
        ("other.example", 8081, "rest"),
        ("shop.example", 80, None),
    ],
)
def test_a_name_leads_to_a_vhost(stack: Stack, host: str, port: int, vhost: str | None) -> None:
    """The exact one, the longest pattern, the one that takes every name; by port."""
    found = choose_vhost(stack, host=host, port=port, tls=False)

    assert (found and found[0].name) == vhost
    assert choose_vhost(stack, host=host, port=port, tls=True) is None


@pytest.mark.parametrize(
    ("path", "location", "upstream"),
    [
        ("/", "location /", "pool_web"),
        ("/older", "location /", "pool_web"),
        ("/old", "location = /old", "pool_slow"),
        ("/old/x", "location /old/", "pool_slow"),
        ("/livez", "location = /livez", None),
    ],
)
def test_a_path_leads_to_a_location(stack: Stack, path: str, location: str, upstream: str | None) -> None:
    """Of the text that nginx gets."""
    files = render_site(stack, HostPaths("/r", "/run/k"), (1, 22, 1), generation="1", modules=["http_realip"])
    found = choose_location(parse_locations(files["vhosts/main.conf"]), path)

    assert (str(found), found and found.upstream) == (location, upstream)


def test_an_expression_goes_before_a_prefix() -> None:
    """Unless the prefix says ^~."""
    text = 'server {\nlocation / {\nreturn 200;\n}\nlocation ~* "\\\\.PNG$" {\n}\nlocation ^~ /raw/ {\n}\n}\n'
    locations = parse_locations(text)

    assert str(choose_location(locations, "/a.png")) == "location ~* \\.PNG$"
    assert str(choose_location(locations, "/raw/a.png")) == "location ^~ /raw/"
    assert choose_location([], "/") is None
