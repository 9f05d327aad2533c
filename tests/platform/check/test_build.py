"""What is asked for and not there: one finding each, with what is used instead; the same on every screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kirsch.check.build import lacks
from kirsch.check.finding import Finding
from kirsch.nginx.binary import Nginx
from kirsch.nginx.version import STANDARD_MODULES, Version
from kirsch.spec import load_stack

OLD, NEW = (1, 22, 1), (1, 31, 3)
USUAL = frozenset({"http_ssl", "http_v2", "http_v3", "http_realip"})
STACK = """
[stack]
name = "shop"
[app.shop]
entry = "shop:Root"
[pool.web]
[vhost.main]
names = ["a.example"]
listen = ["443 tls"]
{keys}
[vhost.main.tls]
certificate = "a.pem"
key = "a.key"
{tls}
"""
Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """What a binary lacks of a stack, by code."""

    def found(
        version: Version,
        keys: str = "",
        tls: str = "",
        *,
        without: frozenset[str] = frozenset(),
        unloadable: tuple[str, ...] = (),
    ) -> dict[str, Finding]:
        file = tmp_path / "kirsch.toml"
        file.write_text(STACK.format(keys=keys, tls=tls))
        nginx = Nginx("/opt/nginx", version, (USUAL | STANDARD_MODULES) - without, unloadable=unloadable)
        return {finding.code: finding for finding in lacks(load_stack(file), "kirsch.toml", nginx)}

    return found


@pytest.mark.parametrize("version", [OLD, NEW])
def test_what_is_usual_lacks_nothing(look: Look, version: Version) -> None:
    """HTTP/2, gzip and the rest of the defaults are in every build at hand."""
    assert look(version) == {}


@pytest.mark.parametrize(
    ("code", "severity", "key", "instead", "case"),
    [
        ("K401", "warning", "vhost.main.http3", "HTTP/2", (OLD, "http3 = true", "", frozenset())),
        ("K401", "warning", "vhost.main.http3", "HTTP/1.1", (NEW, "http3 = true\nhttp2 = false", "", {"http_v3"})),
        ("K402", "note", "vhost.main.http2", "HTTP/1.1", (NEW, "", "", {"http_v2"})),
        ("K403", "warning", "vhost.main.tls.tickets", "memory", (OLD, "", "tickets = true", set())),
        ("K411", "warning", "vhost.main.compress", "as they are", (NEW, "", "", {"http_gzip"})),
        ("K421", "error", "vhost.main.tls", "nothing", (NEW, "", "", {"http_ssl"})),
        (
            "K422",
            "error",
            "vhost.main.trusted_proxies",
            "nothing",
            (NEW, 'trusted_proxies = ["::1"]', "", {"http_realip"}),
        ),
    ],
)
def test_what_is_not_there_is_said_once(
    look: Look, code: str, severity: str, key: str, instead: str, case: tuple[Version, str, str, frozenset[str]]
) -> None:
    """Code, severity, where it stands, what is used instead, which binary it is, and a cure."""
    version, keys, tls, without = case
    found = look(version, keys, tls, without=frozenset(without))

    assert list(found) == [code]
    finding = found[code]
    assert (finding.severity, str(finding.front)) == (severity, f"kirsch.toml: {key}")
    assert "/opt/nginx" in finding.why
    assert instead in finding.why.partition("used instead: ")[2]
    assert finding.cure


def test_a_build_that_can_is_silent(look: Look) -> None:
    """The same wishes where they are fulfilled."""
    assert look(NEW, "http3 = true", "tickets = true") == {}


def test_a_module_of_another_version_is_named(look: Look) -> None:
    """With nginx's own words; where nothing is compressed nobody asked for it."""
    words = ("/usr/lib/nginx/modules/x.so: version 1022001 instead of 1031003",)

    assert words[0] in look(NEW, unloadable=words)["K412"].why
    assert look(NEW, "compress = false", unloadable=words) == {}
