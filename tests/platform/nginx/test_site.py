"""A whole stack as nginx text: golden files, two versions, and every nginx of the machine."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crossplane
import msgspec
import pytest

from kirsch.errors import SpecError
from kirsch.nginx import Nginx, NginxControl, render_site
from kirsch.nginx.site import GENERATION_FILES
from kirsch.nginx.trial import try_files
from kirsch.nginx.version import Version, version_text
from kirsch.spec import App, HostPaths, Pool, Stack, Vhost, load_stack

GOLDEN = Path(__file__).resolve().parents[3] / "nginx" / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/kirsch.toml"))
UPDATE = bool(os.environ.get("KIRSCH_UPDATE_GOLDEN"))
PATHS = HostPaths("/srv/kirsch/shop", "/run/kirsch/shop-1f0c9a2b")

# what the two builds at hand are, without having them
BUILDS: dict[Version, set[str]] = {
    (1, 22, 1): {"http_v2", "http_ssl", "http_realip", "http_stub_status", "http_fastcgi", "http_uwsgi", "http_scgi"},
    (1, 31, 3): {
        *("http_v2", "http_ssl", "http_realip", "http_fastcgi", "http_uwsgi", "http_scgi"),
        *("http_upstream_sticky", "http_upstream_zone"),
    },
}


def rendered(case: str, version: Version, generation: str = "000001") -> dict[str, str]:
    """The files of a golden case, without the pages."""
    stack = load_stack(GOLDEN / case / "kirsch.toml")
    user = "www-data:www-data" if case == "shop" else None
    return render_site(
        stack, PATHS, version, generation=generation, user=user, modules=BUILDS[version], pages={}, open_files=4096
    )


@pytest.mark.parametrize(("case", "version"), list(itertools.product(CASES, BUILDS)))
def test_the_golden_files_are_printed(case: str, version: Version) -> None:
    """Byte for byte; a change shows in review."""
    files = rendered(case, version)
    folder = GOLDEN / case / version_text(version)
    if UPDATE:
        shutil.rmtree(folder, ignore_errors=True)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    golden = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }

    assert files == golden


@pytest.mark.parametrize(("case", "version"), list(itertools.product(CASES, BUILDS)))
def test_the_golden_files_parse_back(case: str, version: Version) -> None:
    """Read by crossplane with all includes, each directive stands where it may and has as many values as it takes."""
    main = GOLDEN / case / version_text(version) / "nginx.conf"

    payload = crossplane.parse(str(main))

    assert payload["errors"] == []
    assert {Path(config["file"]).name for config in payload["config"]} >= {"nginx.conf", "proxy.conf", "marker.conf"}


def walk(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every directive below *nodes*."""
    for node in nodes:
        yield node
        yield from walk(node.get("block", []))


@pytest.mark.parametrize(("case", "version"), list(itertools.product(CASES, BUILDS)))
def test_no_location_forgets_the_trusted_headers(case: str, version: Version) -> None:
    """A proxied location includes both shared sets itself; what it adds stands beside them, not instead."""
    payload = crossplane.parse(str(GOLDEN / case / version_text(version) / "nginx.conf"))
    proxied = [
        [(child["directive"], child["args"]) for child in node["block"]]
        for config in payload["config"]
        for node in walk(config["parsed"])
        if node["directive"] == "location"
        and any(child["directive"] in ("proxy_pass", "uwsgi_pass") for child in node["block"])
    ]

    assert proxied
    for location in proxied:
        included = [args[0].rpartition(".conf")[0].rpartition(".")[2] for name, args in location if name == "include"]
        is_http = "proxy_pass" in {name for name, _ in location}
        assert included[:2] == ["proxy" if is_http else "uwsgi", "fields"]
        assert not {"proxy_set_header", "uwsgi_param"} & {name for name, _ in location}


@pytest.mark.parametrize(("case", "version"), list(itertools.product(CASES, BUILDS)))
def test_a_linter_of_others_finds_nothing(case: str, version: Version) -> None:
    """gixy-ng knows the usual holes; nothing at medium or above."""
    gixy = Path(sys.executable).with_name("gixy")
    main = GOLDEN / case / version_text(version) / "nginx.conf"
    # the variable of a canary holds one of two names of `upstream` blocks, for which nobody asks a DNS server
    skipped = ["--skips", "missing_resolver"] if case == "versions" else []
    ran = subprocess.run([gixy, "-ll", "-f", "json", *skipped, main], capture_output=True, text=True, check=False)

    assert [(found["plugin"], found["reason"]) for found in json.loads(ran.stdout)] == []


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    """It reads, and it judges."""
    gixy = Path(sys.executable).with_name("gixy")
    (tmp_path / "nginx.conf").write_text("http { server { location /a { alias /b/; } } }")
    ran = subprocess.run([gixy, "-ll", "-f", "json", tmp_path / "nginx.conf"], capture_output=True, text=True)

    assert "alias_traversal" in {found["plugin"] for found in json.loads(ran.stdout)}


def test_the_same_input_gives_the_same_bytes() -> None:
    """A regenerated stack without a change is no change."""
    assert rendered("shop", (1, 22, 1)) == rendered("shop", (1, 22, 1))


def test_a_generation_s_number_stands_in_two_files_only() -> None:
    """Everything else can be compared with the generation before."""
    one, two = rendered("shop", (1, 31, 3), "000001"), rendered("shop", (1, 31, 3), "000002")

    assert {name for name in one if one[name] != two[name]} == GENERATION_FILES


def test_versions_are_told_the_same_in_their_own_words() -> None:
    """HTTP/2, the port of the Host field, and the life of idle connections over a reload."""
    old, new = rendered("shop", (1, 22, 1)), rendered("shop", (1, 31, 3))

    assert "443 ssl http2" in old["vhosts/main.conf"]
    assert "http2 on;" not in old["vhosts/main.conf"]
    assert "443 ssl http2" not in new["vhosts/main.conf"]
    assert "http2 on;" in new["vhosts/main.conf"]
    assert "proxy_set_header Host $host$kirsch_host_port;" in old["proxy.conf"]
    assert "proxy_set_header Host $host$is_request_port$request_port;" in new["proxy.conf"]
    assert "keepalive_min_timeout" not in old["nginx.conf"]
    assert "keepalive_min_timeout 5s;" in new["nginx.conf"]


def test_http3_and_other_compressions_are_told_to_builds_that_have_them(tmp_path: Path) -> None:
    """Neither build at hand does; what is written stands where the modules' own directives may stand."""
    stack = load_stack(GOLDEN / "full" / "kirsch.toml")
    modules = BUILDS[(1, 31, 3)] | {"http_v3", "brotli", "zstd", "http_gzip"}
    files = render_site(stack, PATHS, (1, 31, 3), generation="000001", modules=modules, pages={})
    main = files["vhosts/main.conf"]

    assert "listen 0.0.0.0:443 quic;" in main
    assert "http3 on;" in main
    assert "listen 0.0.0.0:443 quic default_server reuseport;" in files["closing.conf"]
    assert """add_header Alt-Svc 'h3=":443"; ma=86400' always;""" in files["vhosts/main.fields.conf"]
    assert all(f"    {name} on;" in main for name in ("gzip", "brotli", "zstd"))
    assert "reuseport" not in main
    assert "quic" not in rendered("full", (1, 31, 3))["vhosts/main.conf"]


def test_a_path_that_nginx_would_misread_is_refused() -> None:
    """A folder with a dollar in its name cannot be written, and says so."""
    stack = load_stack(GOLDEN / "plain" / "kirsch.toml")

    with pytest.raises(SpecError) as caught:
        render_site(stack, HostPaths("/srv/$x", "/run/x"), (1, 22, 1), generation="000001", pages={})

    assert "/srv/$x" in str(caught.value)


def certificates(folder: Path) -> tuple[str, str]:
    """A self-signed pair made by the system's openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop.example"]
    subprocess.run(
        [openssl, "req", "-x509", *options, "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True
    )
    return pair


@pytest.mark.nginx
@pytest.mark.parametrize("case", CASES)
def test_nginx_accepts_every_golden_case(
    case: str, nginx: Nginx, stage: HostPaths, control: NginxControl, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """Each nginx of the machine tests it without a warning, on this machine's paths and ports."""
    stack = load_stack(GOLDEN / case / "kirsch.toml")
    # one new port for each old one: vhosts that shared an address go on sharing it
    ports: dict[int, int] = {}
    vhosts = {}
    for name, vhost in stack.vhosts.items():
        listen = tuple(
            msgspec.structs.replace(one, port=ports.setdefault(one.port, free_port()))
            for one in vhost.listen
            if ":" not in one.address
        )
        files = dict(zip(("certificate", "key"), certificates(tmp_path), strict=True))
        tls = msgspec.structs.replace(vhost.tls, **files) if vhost.tls else None
        vhosts[name] = msgspec.structs.replace(vhost, listen=listen, tls=tls)
    stack = msgspec.structs.replace(stack, vhosts=vhosts)
    files = render_site(
        stack,
        stage,
        nginx.version,
        generation="000001",
        user=control.user,
        modules=nginx.modules,
        loads=nginx.loads,
    )

    troubles = try_files(stage, nginx, files)

    assert troubles == []


def test_ten_thousand_vhosts_render_in_five_seconds() -> None:
    """The budget of the plan; one file a vhost, and room for all names in nginx's tables."""
    stack = Stack(
        name="many",
        apps={"a": App(name="a", entry="a:b")},
        pools={"web": Pool(name="web")},
        vhosts={f"v{n}": Vhost(name=f"v{n}", names=(f"host{n}.example",), apps=("a",)) for n in range(10_000)},
    )

    began = time.process_time()
    files = render_site(stack, PATHS, (1, 22, 1), generation="000001", pages={})
    took_s = time.process_time() - began

    assert sum(name.startswith("vhosts/") for name in files) == 10_000
    assert "server_names_hash_max_size 65536;" in files["nginx.conf"]
    assert took_s < 5, f"{took_s:.1f} s of the processor"
