"""The whole way of a URL through a real nginx to real workers, and what is told of each station."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.cli.explain import follow, read_url
from kirsch.spec import HostPaths, Stack, load_stack

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]

STACK = """
[stack]
name = "way"
[app.shop]
entry = "way_site_under_test:Root"
config = {{ "/" = {{ "request.show_tracebacks" = false }}, "/cart" = {{ "tools.gzip.on" = true }} }}
[app.flask]
entry = "flask_site_under_test:make('flask')"
directory = "flask"
mount = "/flask"
[pool.web]
workers = 1
[vhost.main]
names = ["shop.example"]
listen = ["127.0.0.1:{port}"]
"""
SITE = """
import cherrypy
class Cart:
    _cp_config = {"tools.expires.on": True}
    @cherrypy.expose
    @cherrypy.config(**{"tools.expires.secs": 60})
    def default(self, number):
        raise RuntimeError("explaining calls no page")
class Root:
    cart = Cart()
    @cherrypy.expose
    def index(self):
        return "shop"
"""


def test_every_station_is_told(
    stage: HostPaths, foreign_folder: Path, serve: Any, behind_unix: Any, free_port: Callable[[], int]
) -> None:
    """Vhost, location, upstream, slot, app, page with its arguments, and each value with where it stands."""
    (foreign_folder / "way_site_under_test.py").write_text(SITE)
    port = free_port()
    file = foreign_folder / "kirsch.toml"
    file.write_text(STACK.format(port=port))
    stack: Stack = load_stack(file)
    os.symlink(foreign_folder, stage.workers)  # where the worker of this test has its socket
    behind_unix(stack, stage)
    serve(stack, stage)
    base = f"http://shop.example:{port}"

    page = follow(stack, stage, read_url(f"{base}/cart/7?x=1"), "kirsch.toml")
    foreign = follow(stack, stage, read_url(f"{base}/flask/link"), "kirsch.toml")
    nobody = follow(stack, stage, read_url(f"{base}/livez"), "kirsch.toml")
    strange = follow(stack, stage, read_url(f"http://other.example:{port}/"), "kirsch.toml")
    config = {value["key"]: (value["value"], value["level"]) for value in page["config"]}

    assert page["vhost"] == "main: names has shop.example (kirsch.toml: vhost.main)"
    assert page["location"].startswith("location / (")
    assert page["upstream"] == "pool_web: pool web, native, 1 to 1"
    assert page["slots"][0].startswith("web.1.sock -> web.1.")
    assert page["app"] == "shop: way_site_under_test:Root at / (kirsch.toml: app.shop)"
    assert page["worker"].startswith(f"web.1: base {base}, remote 127.0.0.1, scheme http")
    assert page["handler"].endswith("Cart.default ('7')")
    assert config["tools.gzip.on"] == ("True", "[/cart]")
    assert config["request.show_tracebacks"] == ("False", "[/]")
    assert config["tools.expires.on"][1] == "_cp_config of way_site_under_test.Cart"
    assert config["tools.expires.secs"][0] == "60"
    assert config["tools.expires.secs"][1].endswith("Cart.default")
    assert foreign["app"].startswith("flask: ")
    assert foreign["handler"].endswith("dispatches by itself")
    assert nobody["answer"] == "nginx answers by itself: 404, nothing is there for clients"
    assert strange == {"vhost": f"none has other.example at port {port}: nginx closes the connection"}
