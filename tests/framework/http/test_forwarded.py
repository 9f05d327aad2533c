"""What trusted proxies say."""

from __future__ import annotations

import pytest

from cherrypy.http.forwarded import Origin, Trust, is_host, named_hosts, parse_address

PROXY = "10.0.0.1"
TRUST = Trust(["10.0.0.0/8", "fd00::/8"])


def resolve(headers: dict[str, str], peer: str = PROXY, trust: Trust = TRUST) -> Origin | None:
    """Ask *trust*."""
    return trust.resolve(peer, headers)


def test_nobody_is_trusted_by_default() -> None:
    """The headers of a client are only text."""
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil"}

    assert not Trust()
    assert Trust().resolve("127.0.0.1", forged) is None
    assert resolve(forged, peer="192.0.2.1") is None


def test_the_chain_is_walked_from_the_right() -> None:
    """SECURITY: the left end is whatever the client wrote."""
    assert resolve({"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.0.0.9"}) == Origin(None, None, "192.0.2.7")


def test_a_chain_of_proxies_alone_ends_at_its_left() -> None:
    """A health check from inside."""
    assert resolve({"X-Forwarded-For": "10.1.1.1, 10.0.0.9"}) == Origin(None, None, "10.1.1.1")


def test_garbage_ends_the_walk() -> None:
    """What stands behind it to the left is not believed."""
    assert resolve({"X-Forwarded-For": "6.6.6.6, <script>, 10.0.0.9"}) == Origin(None, None, "10.0.0.9")
    assert resolve({"X-Forwarded-For": "unknown"}) is None


def test_scheme_and_host_of_the_hop_that_was_believed() -> None:
    """Aligned at the right: the client's own entries stand further left."""
    headers = {
        "X-Forwarded-For": "192.0.2.7, 10.0.0.9",
        "X-Forwarded-Proto": "gopher, https, http",
        "X-Forwarded-Host": "evil.example, shop.example, inner",
    }

    assert resolve(headers) == Origin("https", "shop.example", "192.0.2.7")


def test_a_replaced_entry_counts_for_the_hops_behind_it() -> None:
    """The edge replaces, inner proxies pass on."""
    headers = {"X-Forwarded-For": "192.0.2.7, 10.0.0.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop"}

    assert resolve(headers) == Origin("https", "shop", "192.0.2.7")


@pytest.mark.parametrize("value", ["ftp", "javascript", "https\r\n", ""])
def test_a_scheme_is_http_or_https(value: str) -> None:
    """Anything else is as if not said."""
    assert resolve({"X-Forwarded-Proto": value}) is None


@pytest.mark.parametrize("host", ["a b", "x\r\nSet-Cookie: a", 'a"b', "a/b", "a:b", "", "user@host", "a" * 300])
def test_a_host_is_checked(host: str) -> None:
    """SECURITY: it goes into Location headers and pages."""
    assert not is_host(host)
    assert resolve({"X-Forwarded-Host": host}) is None


@pytest.mark.parametrize("host", ["a", "shop.example:8080", "my_host", "[::1]:80", "10.0.0.1"])
def test_usual_hosts_are_hosts(host: str) -> None:
    """Underscores occur in the networks of containers."""
    assert is_host(host)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.2.3.4", "1.2.3.4"), ("1.2.3.4:80", "1.2.3.4"), ("[::1]:80", "::1"), ("::1", "::1"), ("[::1]", "::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"), ("1.2.3", None), ("[::1", None), ("1.2.3.4:", None), ("1.2.3.4:x", None),
        ("fe80::1%eth0", None), ("01.2.3.4", None), ("unknown", None), ("_hidden", None), ("", None),
    ],
)  # fmt: skip
def test_addresses_are_read_as_proxies_write_them(text: str, address: str | None) -> None:
    """With ports and brackets; nothing that is not an address."""
    parsed = parse_address(text)

    assert (None if parsed is None else str(parsed)) == address


def test_rfc_7239_is_read() -> None:
    """One header in place of three, with quoted addresses."""
    headers = {"Forwarded": 'for=6.6.6.6, for="[2001:db8::1]:4711";proto=https;host=shop, for=10.0.0.9;proto=http'}

    assert resolve(headers) == Origin("https", "shop", "2001:db8::1")
    assert resolve({"Forwarded": "for=_hidden"}) is None


def test_one_family_of_headers_counts() -> None:
    """SECURITY: a proxy that sets only X-Forwarded-* hands a forged Forwarded through."""
    both = {"Forwarded": "for=6.6.6.6", "X-Forwarded-For": "192.0.2.7"}

    assert resolve(both) == Origin(None, None, "192.0.2.7")
    assert Trust([PROXY], prefer="forwarded").resolve(PROXY, both) == Origin(None, None, "6.6.6.6")
    with pytest.raises(ValueError, match="prefer"):
        Trust([], prefer="both")


@pytest.mark.parametrize("peer", ["", "unix:"])
def test_unix_sockets_are_trusted_by_name(peer: str) -> None:
    """Only where 'unix:' is in the list; in a chain too."""
    headers = {"X-Forwarded-For": "192.0.2.7, unix:"}

    assert resolve(headers, peer=peer) is None
    assert Trust(["unix:"]).resolve(peer, headers) == Origin(None, None, "192.0.2.7")
    assert resolve({"X-Forwarded-For": "192.0.2.7, unix:"}) is None


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "localhost", "10.0.0", "*"])
def test_a_wrong_entry_is_named(entry: str) -> None:
    """A typo must not become trust in nobody, or in everybody."""
    with pytest.raises(ValueError, match="trusted proxy") as caught:
        Trust([entry])
    assert entry in str(caught.value)


def test_a_text_is_a_list() -> None:
    """Configuration files write it so."""
    assert "10.0.0.1" in Trust("10.0.0.0/8, unix:")
    assert "" in Trust("10.0.0.0/8 unix:")


def test_endless_chains_are_not_read() -> None:
    """SECURITY: time is not the client's to spend."""
    assert resolve({"X-Forwarded-For": "10.0.0.1," * 1000}) is None
    assert resolve({"Forwarded": "for=10.0.0.1," * 1000}) is None


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({"X-Forwarded-Port": "8443"}, "shop:8443"),
        ({"X-Forwarded-Port": "443"}, None),
        ({"X-Forwarded-Port": "8443", "X-Forwarded-Host": "www"}, "www"),
        ({"X-Forwarded-Port": "8443", "Host": "shop:9"}, None),
        ({"X-Forwarded-Port": "0"}, None),
        ({"X-Forwarded-Port": "65536"}, None),
        ({"X-Forwarded-Port": "84\uff14\uff13"}, None),
        ({"X-Forwarded-Port": "1e3"}, None),
        ({"X-Forwarded-Port": "9" * 4000}, None),
        ({"X-Forwarded-Port": "6666, 8443"}, "shop:8443"),
        ({"X-Forwarded-Port": "8443", "Host": "a b"}, None),
    ],
)
def test_a_port_completes_a_host_that_no_proxy_names(headers: dict[str, str], host: str | None) -> None:
    """Load balancers pass Host on and say the port beside it; X-Forwarded-Host has its port, or the usual one."""
    origin = resolve({"Host": "shop", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", **headers})

    assert origin == Origin("https", host, "192.0.2.7")


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("/shop", "/shop"),
        ("/shop/", "/shop"),
        ("/a/b.c", "/a/b.c"),
        ("/evil, /shop", "/shop"),
        ("/", None),
        ("shop", None),
        ("//evil.example", None),
        ("/a/../b", None),
        ("/.", None),
        ("/a?b", None),
        ("/a\r\nX: y", None),
        ("/a%2Fb", None),
        ("/" + "a" * 300, None),
    ],
)
def test_a_prefix_is_a_plain_path(value: str, prefix: str | None) -> None:
    """SECURITY: links begin with it; "//evil.example" would be another site."""
    assert resolve({"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Prefix": value}) == Origin(
        None, None, "192.0.2.7", prefix
    )


def test_prefixes_of_several_proxies_are_joined() -> None:
    """Each took off the front of what the next one got; the client's own entry stands further left."""
    headers = {"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.0.0.9", "X-Forwarded-Prefix": "/evil, /shop, /v1"}

    assert resolve(headers) == Origin(None, None, "192.0.2.7", "/shop/v1")


def test_x_real_ip_counts_where_there_is_no_chain() -> None:
    """SECURITY: beside a chain it may be the client's own, which a proxy that keeps the chain hands through."""
    forged = {"X-Real-Ip": "6.6.6.6"}

    assert resolve({"X-Real-Ip": "192.0.2.7", "X-Forwarded-Proto": "https"}) == Origin("https", None, "192.0.2.7")
    assert resolve({"X-Real-Ip": "192.0.2.7, 6.6.6.6"}) is None
    assert resolve({"X-Forwarded-For": "192.0.2.7", **forged}) == Origin(None, None, "192.0.2.7")
    assert resolve({"Forwarded": "for=192.0.2.7", **forged}) == Origin(None, None, "192.0.2.7")
    assert resolve({"X-Forwarded-For": "garbage", **forged}) is None


def test_a_field_of_one_s_own_is_the_only_one() -> None:
    """A proxy that sets X-Real-IP alone hands X-Forwarded-For and Forwarded through as the client wrote them."""
    trust = Trust([PROXY], remote="X-Real-IP", host=None, scheme="X-Forwarded-Ssl")
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "for=6.6.6.6;proto=http;host=evil",
        "X-Forwarded-Proto": "http",
    }

    assert trust.resolve(PROXY, {"X-Real-Ip": "192.0.2.7", "X-Forwarded-Ssl": "on", **forged}) == Origin(
        "https", None, "192.0.2.7"
    )
    assert trust.resolve(PROXY, {"X-Real-Ip": "192.0.2.7, 6.6.6.6", **forged}) is None
    assert trust.resolve(PROXY, forged) is None


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("shop.example", ("shop.example",)),
        ("Shop.Example:8080", ("shop.example:8080", "shop.example")),
        ("shop.example., inner", ("shop.example",)),
        ("[::1]:80", ("[::1]:80", "[::1]")),
        ("[::1]", ("[::1]",)),
        ("a b", ()),
        ("", ()),
    ],
)
def test_a_host_is_looked_up_with_its_port_and_without(value: str, names: tuple[str, ...]) -> None:
    """In lower case, the first of a list."""
    assert named_hosts(value) == names
