"""Keys of a vhost that need another one, and vhosts that have to agree; each mistake with its key and its cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from kirsch.errors import SpecError
from kirsch.spec import Hsts, Stack, load_stack

BASE = '[stack]\nname = "x"\n[app.shop]\nentry = "shop:Root"\n'
TLS = 'tls = { certificate = "c", key = "k" }\n'
NAMED = '[vhost.main]\nnames = ["a.example"]\n'
BOTH = 'listen = ["80", "443 tls"]\n' + TLS


def loaded(folder: Path, text: str) -> Stack:
    """The stack of the smallest file and *text*."""
    path = folder / "kirsch.toml"
    path.write_text(BASE + text, encoding="utf-8")
    return load_stack(path)


WRONG = {
    "redirect without tls": ("[vhost.main]\nredirect_https = true\n", "vhost.main.redirect_https", "one with it"),
    "redirect without a plain address": (
        f'[vhost.main]\nredirect_https = true\nlisten = ["443 tls"]\n{TLS}',
        "vhost.main.redirect_https",
        "without tls",
    ),
    "challenges that nobody asks for": (
        f'[vhost.main]\nacme = true\nlisten = ["443 tls"]\n{TLS}',
        "vhost.main.acme",
        "port 80",
    ),
    "challenges answered nowhere": ('[vhost.main]\nacme = "files"\n', "vhost.main.acme", "shared/acme"),
    "quic without tls": ("[vhost.main]\nhttp3 = true\n", "vhost.main.http3", "says"),
    "aliases of nobody": ('[vhost.main]\naliases = ["b.example"]\n', "vhost.main.aliases", "a first name"),
    "aliases of a wildcard": (
        '[vhost.main]\nnames = ["*.a.example"]\naliases = ["b.example"]\n',
        "vhost.main.names[0]",
        "no wildcard",
    ),
    "an alias of itself": (NAMED + 'aliases = ["A.example"]\n', "vhost.main.aliases[0]", "not among names"),
    "www of nobody": ('[vhost.main]\nwww = "add"\n', "vhost.main.www", "no wildcard"),
    "www of a wildcard": ('[vhost.main]\nnames = ["*.a.example"]\nwww = "add"\n', "vhost.main.www", "no wildcard"),
    "www another way": (NAMED + 'www = "added"\n', "vhost.main.www", "did you mean add?"),
    "preload alone": (
        NAMED + 'listen = ["443 tls"]\ntls = { certificate = "c", key = "k", hsts = { preload = true } }\n',
        "vhost.main.tls.hsts.preload",
        "subdomains = true",
    ),
    "hsts as a number": (
        NAMED + 'listen = ["443 tls"]\ntls = { certificate = "c", key = "k", hsts = 300 }\n',
        "vhost.main.tls.hsts",
        "max_age_s",
    ),
    "proxies of nobody": ('[vhost.main]\nlisten = ["80 proxy"]\n', "vhost.main.trusted_proxies", "balancer"),
    "half a proxy": (
        '[vhost.main]\nlisten = ["80 proxy", "81"]\ntrusted_proxies = ["10.0.0.0/8"]\n',
        "vhost.main.listen",
        "vhost of their own",
    ),
    "trust in everybody": ('[vhost.main]\ntrusted_proxies = ["0.0.0.0/0"]\n', "vhost.main.trusted_proxies[0]", "your"),
    "a network with bits behind": (
        '[vhost.main]\ntrusted_proxies = ["10.1.2.3/8"]\n',
        "vhost.main.trusted_proxies[0]",
        "did you mean 10.0.0.0/8?",
    ),
    "no network": ('[vhost.main]\ntrusted_proxies = ["10.1.2"]\n', "vhost.main.trusted_proxies[0]", "is no address"),
    "a name for a network": (
        '[vhost.main]\ntrusted_proxies = ["lb.example"]\n',
        "vhost.main.trusted_proxies[0]",
        "192.0.2.7",
    ),
    "a field that frames": (
        '[vhost.main]\nheaders = { Content-Length = "3" }\n',
        "vhost.main.headers.Content-Length",
        "frames the answer",
    ),
    "a value with a variable": (
        '[vhost.main]\nheaders = { X-A = "$http_cookie" }\n',
        "vhost.main.headers.X-A",
        "for a variable",
    ),
    "a value of two lines": ('[vhost.main]\nheaders = { X-A = "a\\nb" }\n', "vhost.main.headers.X-A", "printable"),
    "nobody to ask a password of": ("[vhost.main]\nauth = {}\n", "vhost.main.auth", "names no users"),
    "a password in the clear": (
        '[vhost.main]\nauth = { users = { ann = "secret" } }\n',
        "vhost.main.auth.users.ann",
        "htpasswd -nB",
    ),
    "a user with a colon": (
        '[vhost.main]\nauth = { users = { "a:b" = "$6$s$h" } }\n',
        'vhost.main.auth.users."a:b"',
        "without ':'",
    ),
    "a realm that is a switch": (
        '[vhost.main]\nauth = { realm = "off", users_file = "u" }\n',
        "vhost.main.auth.realm",
        "the word off",
    ),
    "a rate of hours": ('[vhost.main]\nrate = "10/h"\n', "vhost.main.rate", '"10/s"'),
    "maintenance of a text": ('[vhost.main]\nmaintenance = "on"\n', "vhost.main.maintenance", "true, false"),
    "a page of no error": (
        '[vhost.main]\nerror_pages = { 200 = "x" }\n',
        "vhost.main.error_pages.200",
        '"400" to "599"',
    ),
    "a page that is not there": (
        '[vhost.main]\nerror_pages = { 404 = "x.html" }\n',
        "vhost.main.error_pages.404",
        "there is no file",
    ),
    "a network that may not": ('[vhost.main]\ndeny = ["10.0.0.1/8"]\n', "vhost.main.deny[0]", "mean 10.0.0.0/8?"),
    "a route of a probe": ('[app.shop.routes."/readyz"]\n', 'app.shop.routes."/readyz"', "a probe's"),
    "a route that climbs": ('[app.shop.routes."/a/../b"]\n', 'app.shop.routes."/a/../b"', "'..'"),
    "a route with a slash behind": ('[app.shop.routes."/a/"]\n', 'app.shop.routes."/a/"', "a slash at its end"),
    "a route of nginx's own": ('[app.shop.routes."/.kirsch/x"]\n', 'app.shop.routes."/.kirsch/x"', "nginx's own"),
    "an unknown kind": (
        '[app.shop.routes."/a"]\nkind = "websockets"\n',
        'app.shop.routes."/a".kind',
        "did you mean websocket?",
    ),
    "events that are kept": (
        '[app.shop.routes."/a"]\nkind = "events"\ncache = true\n',
        'app.shop.routes."/a".cache',
        "cannot be kept",
    ),
    "a canary of nobody": (
        'canary = { app = "shp", percent = 5 }\n',
        "app.shop.canary.app",
        "did you mean shop?",
    ),
    "a canary of all": ('canary = { app = "shop", percent = 100 }\n', "app.shop.canary.percent", "under 100"),
    "a mirror in the same pool": ('mirror = { app = "shop" }\n', "app.shop.mirror.app", "in another pool than web"),
    "a folder that is not there": (
        'files = { "/s" = "nowhere" }\n',
        'app.shop.files."/s"',
        "there is no folder",
    ),
    "assets above the stack": ('assets = { "/s" = "../x" }\n', 'app.shop.assets."/s"', "written relative"),
    "a body of nothing": ('[app.shop.routes."/a"]\nmax_body = 0\n', 'app.shop.routes."/a".max_body', "one octet"),
    "a cache of a number": ('[app.shop.routes."/a"]\ncache = 5\n', 'app.shop.routes."/a".cache', "valid_s"),
    "a network of a route": (
        '[app.shop.routes."/a"]\nallow = ["x"]\n',
        'app.shop.routes."/a".allow[0]',
        "192.0.2.7",
    ),
    "an unknown preset": ('[vhost.main]\nsecurity = "stric"\n', "vhost.main.security", "did you mean strict?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named_with_its_key_and_its_cure(tmp_path: Path, case: str) -> None:
    """One mistake gives one problem."""
    text, key, words = WRONG[case]

    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, text)

    assert [problem.key for problem in caught.value.problems] == [key]
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("key", "ours", "allowed"),
    [
        ("tls.profile", 'profile = "modern"', '"intermediate" as in vhost.a'),
        ("http2", "http2 = false", "true as in vhost.a"),
        ("http3", "http3 = true", "false as in vhost.a"),
    ],
)
def test_vhosts_of_one_address_speak_alike(tmp_path: Path, key: str, ours: str, allowed: str) -> None:
    """What is agreed upon before a name is known cannot differ by name."""
    inner, outer = (f", {ours}", "") if key.startswith("tls.") else ("", f"{ours}\n")
    text = f'[vhost.a]\nnames = ["a.example"]\nlisten = ["443 tls"]\n{TLS}'
    text += f'[vhost.b]\nnames = ["b.example"]\nlisten = ["443 tls"]\n{outer}'
    text += f'tls = {{ certificate = "c", key = "k"{inner} }}\n'

    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, text)

    assert [problem.key for problem in caught.value.problems] == [f"vhost.b.{key}"]
    assert allowed in str(caught.value)


def test_a_name_that_only_sends_on_is_taken_as_well(tmp_path: Path) -> None:
    """Nobody else can have the www name of a vhost that redirects it."""
    text = NAMED + 'www = "remove"\n[vhost.b]\nnames = ["www.a.example"]\n'

    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, text)

    assert '"www.a.example" at 0.0.0.0:8080 is taken by vhost.main' in str(caught.value)


def test_what_is_short_is_read_as_what_it_means(tmp_path: Path) -> None:
    """``hsts = true`` is two years for the name itself; words behind an address stay."""
    text = NAMED + BOTH.replace('key = "k"', 'key = "k", hsts = true').replace('"80"', '"80 proxy"').replace(
        '"443 tls"', '"443 tls proxy"'
    )
    vhost = loaded(tmp_path, text + 'trusted_proxies = ["10.0.0.0/8"]\n').vhosts["main"]

    assert vhost.tls is not None
    assert vhost.tls.hsts == Hsts()
    assert Hsts().field == "max-age=63072000"
    assert Hsts(subdomains=True, preload=True).field == "max-age=63072000; includeSubDomains; preload"
    assert [str(listen) for listen in vhost.listen] == ["0.0.0.0:80 proxy", "0.0.0.0:443 tls proxy"]
