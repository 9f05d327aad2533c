"""What trusted proxies say."""

from __future__ import annotations

import pytest

from cherrypy.http.forwarded import Origin, Trust, is_host, parse_address

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
