"""The way of a URL that is other hosts' to answer."""

from __future__ import annotations

from pathlib import Path

from kirsch.cli.explain import follow, read_url
from kirsch.nginx import render_site
from kirsch.spec import HostPaths, load_stack

TEXT = """
[stack]
name = "x"
[app.a]
entry = "a:b"
[vhost.main]
listen = ["127.0.0.1:8080"]
upstream = "web"
[upstream.web]
members = ["10.0.0.1:80", { address = "10.0.0.2:80", down = true }]
"""


def test_the_way_ends_at_the_hosts(tmp_path: Path) -> None:
    """With all of them, and where they are written; nobody is asked."""
    file = tmp_path / "kirsch.toml"
    file.write_text(TEXT)
    stack, paths = load_stack(file), HostPaths(str(tmp_path), str(tmp_path))
    for name, text in render_site(stack, paths, (1, 22, 1), generation="000001", pages={}).items():
        place = Path(paths.nginx_current, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    found = follow(stack, paths, read_url("http://127.0.0.1:8080/cart"), "kirsch.toml")

    assert found["upstream"] == "web: 10.0.0.1:80, 10.0.0.2:80 down (kirsch.toml: upstream.web)"
    assert "app" not in found
