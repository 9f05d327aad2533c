"""Digest authentication."""

from __future__ import annotations

import hashlib
import inspect
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import auth_digest

USERS = {"anna": "geheim", "j\xf6rg": "pa\xdf:wort"}


class Root:
    """A page for users."""

    @cherrypy.expose
    def index(self, **params: str) -> str:
        """Greet."""
        return f"hello {cherrypy.request.login}"

    other = index


def make_digest_site(serve: Callable[..., Any], algorithm: str | None = None, **settings: Any) -> Any:
    """A site behind digest authentication."""
    if algorithm:
        settings["auth_digest__algorithm"] = algorithm
    get_ha1 = auth_digest.get_ha1_dict_plain(USERS, algorithm or "MD5")
    return serve(
        Root(), auth_digest__on=True, auth_digest__realm="here", auth_digest__get_ha1=get_ha1, auth_digest__key="k",
        **settings,
    )  # fmt: skip


def digest(
    browser: Any,
    user: str = "anna",
    password: str = "geheim",
    uri: str = "/",
    algorithm: str = "MD5",
    nc: str = "00000001",
    nonce: str | None = None,
    method: str = "GET",
) -> dict[str, str]:
    """Credentials, for a nonce of the site's own."""
    if nonce is None:
        challenge = browser("/").headers["Www-Authenticate"]
        nonce = re.search('nonce="(.*?)"', challenge)[1]  # type: ignore[index]
    header = (
        f'Digest username="{user}", realm="here", nonce="{nonce}", uri="{uri}", algorithm={algorithm}, '
        f'qop=auth, nc={nc}, cnonce="c", response="%s"'
    )
    unsigned = auth_digest.HttpDigestAuthorization((header % "x").encode().decode("latin-1"), method)
    ha1 = auth_digest.get_ha1_dict_plain({user: password}, algorithm.removesuffix("-sess"))("here", user)
    signed = header % unsigned.request_digest(ha1 or "")
    return {"Authorization": signed.encode().decode("latin-1")}


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256"])
def test_digest_knows_the_hashes_of_rfc_7616(serve: Callable[..., Any], algorithm: str) -> None:
    """The challenge names it, the answer is checked by it."""
    browser = make_digest_site(serve, algorithm)

    assert f'algorithm="{algorithm}"' in browser("/").headers["Www-Authenticate"]
    assert browser("/", headers=digest(browser, algorithm=algorithm)).body == b"hello anna"
    assert browser("/", headers=digest(browser, password="x", algorithm=algorithm)).status == 401


def test_digest_reads_names_in_utf_8(serve: Callable[..., Any]) -> None:
    """As the challenge's charset asks."""
    browser = make_digest_site(serve)

    assert browser("/", headers=digest(browser, "j\xf6rg", "pa\xdf:wort")).body == "hello j\xf6rg".encode()


def test_a_weaker_hash_than_asked_for_is_refused(serve: Callable[..., Any]) -> None:
    """SECURITY: downgrade."""
    browser = make_digest_site(serve, "SHA-256")

    assert browser("/", headers=digest(browser, algorithm="MD5")).status == 401


def test_a_captured_request_cannot_be_sent_again(serve: Callable[..., Any]) -> None:
    """SECURITY: replay; the client is asked for a new nonce, the user not for the password."""
    browser = make_digest_site(serve)
    captured = digest(browser)

    assert browser("/", headers=captured).status == 200
    again = browser("/", headers=captured)
    assert again.status == 401
    assert 'stale="true"' in again.headers["Www-Authenticate"]


def test_counts_may_overtake_each_other(serve: Callable[..., Any]) -> None:
    """A browser asks for several pages at once."""
    browser = make_digest_site(serve)
    nonce = auth_digest.synthesize_nonce("here", "k")

    for count in ("00000002", "00000001", "0000000a"):
        assert browser("/", headers=digest(browser, nonce=nonce, nc=count)).status == 200
    assert browser("/", headers=digest(browser, nonce=nonce, nc="x")).status == 401


def test_replay_protection_can_be_turned_off(serve: Callable[..., Any]) -> None:
    """``check_nc = False``."""
    browser = make_digest_site(serve, auth_digest__check_nc=False)
    captured = digest(browser)

    assert browser("/", headers=captured).status == browser("/", headers=captured).status == 200


def test_credentials_are_for_one_page_and_one_method(serve: Callable[..., Any]) -> None:
    """SECURITY: what was captured on one page opens no other."""
    browser = make_digest_site(serve)

    assert browser("/other", headers=digest(browser, uri="/")).status == 401
    assert browser("/other?a=1", headers=digest(browser, uri="/other?a=2")).status == 401
    assert browser("/other?a=1", headers=digest(browser, uri="/other?a=1")).status == 200
    assert browser("/other", headers=digest(browser, uri="/behind/proxy/other")).status == 200
    assert browser("/", "POST", headers=digest(browser), body=b"").status == 401


def test_nonces_are_ours_and_age(serve: Callable[..., Any]) -> None:
    """SECURITY: a forged one is refused, an old one renewed."""
    browser = make_digest_site(serve)
    old = auth_digest.synthesize_nonce("here", "k", int(time.time()) - 601)
    foreign = auth_digest.synthesize_nonce("here", "other key")

    stale = browser("/", headers=digest(browser, nonce=old))
    assert stale.status == 401
    assert "stale" in stale.headers["Www-Authenticate"]
    for forged in (foreign, "x", ":", old + "0", "9" * 30 + ":x"):
        assert browser("/", headers=digest(browser, nonce=forged)).status == 401


@pytest.mark.parametrize(
    "header",
    [
        "Digest", "Digest x", 'Digest username="a"', "Digest =", 'Digest username="a", realm="here", nonce="n", '
        'uri="/", response="r", qop=auth', 'Digest username="a", realm="here", nonce="n", uri="/", response="r", nc=1',
        'Digest username="a", realm="here", nonce="n", uri="/", response="r", algorithm=CRC',
        'Digest username="a", realm="here", nonce="n", uri="/", response="r", qop=x, nc=1, cnonce=c',
    ],
)  # fmt: skip
def test_malformed_digest_credentials_are_a_bad_request(serve: Callable[..., Any], header: str) -> None:
    """Never an internal error."""
    assert make_digest_site(serve)("/", headers={"Authorization": header}).status == 400


@pytest.mark.parametrize("header", ["", "Basic YTpi"])
def test_other_schemes_are_challenged(serve: Callable[..., Any], header: str) -> None:
    """401."""
    assert make_digest_site(serve)("/", headers={"Authorization": header}).status == 401


def test_htdigest_files_are_read(tmp_path: Path) -> None:
    """Lines that are none are passed over."""
    file = tmp_path / "users"
    file.write_text("junk\nanna:there:0\nanna:here:abc\n")
    get_ha1 = auth_digest.get_ha1_file_htdigest(str(file))

    assert get_ha1("here", "anna") == "abc"
    assert get_ha1("here", "nobody") is None
    assert auth_digest.get_ha1_dict({"anna": "abc"})("here", "anna") == "abc"


def test_challenges_refuse_unknown_words() -> None:
    """A typo in the configuration is told."""
    with pytest.raises(ValueError, match="qop"):
        auth_digest.www_authenticate("r", "k", qop="x")
    with pytest.raises(ValueError, match="algorithm"):
        auth_digest.www_authenticate("r", "k", algorithm="x")
    assert "charset" not in auth_digest.www_authenticate("r", "k", accept_charset="ISO-8859-1")


def test_the_documented_parameters_and_names() -> None:
    """Names, order and defaults; what is ours comes behind."""
    names = {
        auth_digest.digest_auth: ["realm", "get_ha1", "key", "debug", "accept_charset"],
        auth_digest.www_authenticate: ["realm", "key", "algorithm", "nonce", "qop", "stale", "accept_charset"],
        auth_digest.HttpDigestAuthorization: ["auth_header", "http_method", "debug", "accept_charset"],
        auth_digest.synthesize_nonce: ["s", "key", "timestamp"],
    }
    for function, parameters in names.items():
        assert list(inspect.signature(function).parameters)[: len(parameters)] == parameters

    assert (auth_digest.qop_auth, auth_digest.qop_auth_int) == ("auth", "auth-int")
    assert auth_digest.valid_qops == ("auth", "auth-int")
    assert auth_digest.valid_algorithms[:2] == ("MD5", "MD5-sess")
    assert (auth_digest.DEFAULT_CHARSET, auth_digest.FALLBACK_CHARSET) == ("UTF-8", "ISO-8859-1")
    assert auth_digest.H("a") == auth_digest.md5_hex("a") == hashlib.md5(b"a").hexdigest()


def test_the_example_of_rfc_7616() -> None:
    """Section 3.9.1, MD5 and SHA-256."""
    for algorithm, response in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        auth = auth_digest.HttpDigestAuthorization(
            'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
            f'algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
            'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
            f'response="{response}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
            "GET",
        )
        ha1 = auth_digest.get_ha1_dict_plain({"Mufasa": "Circle of Life"}, algorithm)("http-auth@example.org", "Mufasa")
        assert auth.request_digest(ha1 or "") == response


def test_the_parts_of_credentials() -> None:
    """Attributes that applications read."""
    auth = auth_digest.HttpDigestAuthorization(
        'Digest username="a", realm="r", nonce="n", uri="/x", response="q", opaque="o", qop=auth, nc=1, cnonce="c"',
        "GET",
    )

    assert (auth.username, auth.realm, auth.nonce, auth.uri, auth.response) == ("a", "r", "n", "/x", "q")
    assert (auth.opaque, auth.qop, auth.nc, auth.cnonce, auth.algorithm) == ("o", "auth", "1", "c", "MD5")
    assert str(auth).startswith("authorization : Digest username=")
    assert auth.errmsg("x") == "Digest Authorization header: x"
    assert auth.HA2() == auth_digest.md5_hex("GET:/x")
    auth.qop = "auth-int"
    assert auth.HA2("body") == auth_digest.md5_hex("GET:/x:" + auth_digest.md5_hex("body"))
    auth.qop = "x"
    with pytest.raises(ValueError, match="Unrecognized value for qop"):
        auth.HA2()


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("username*=UTF-8''J%C3%B6rg", "J\xf6rg"),
        ("username*=utf-8'de'Jo%CC%88rg", "J\xf6rg"),
        ('username="jo\u0308rg"', "j\xf6rg"),
    ],
)
def test_names_in_every_spelling_are_one_user(sent: str, name: str) -> None:
    """Composed or not, quoted or extended (RFC 7616, 3.4)."""
    header = f'Digest {sent}, realm="r", nonce="n", uri="/x", response="q"'.encode().decode("latin-1")

    assert auth_digest.HttpDigestAuthorization(header, "GET").username == name


@pytest.mark.parametrize("sent", ["username*=J", "username*=latin-1''a", "username*=UTF-8''%ff"])
def test_malformed_extended_names_are_a_bad_request(serve: Callable[..., Any], sent: str) -> None:
    """Never an internal error."""
    header = f'Digest {sent}, realm="here", nonce="n", uri="/", response="q"'

    assert make_digest_site(serve)("/", headers={"Authorization": header}).status == 400


def test_old_clients_send_no_qop(serve: Callable[..., Any]) -> None:
    """RFC 2069: without counts."""
    browser = make_digest_site(serve)
    nonce = auth_digest.synthesize_nonce("here", "k")
    header = f'Digest username="anna", realm="here", nonce="{nonce}", uri="/", response="%s"'
    ha1 = auth_digest.get_ha1_dict_plain(USERS)("here", "anna")
    response = auth_digest.HttpDigestAuthorization(header % "x", "GET").request_digest(ha1 or "")

    assert browser("/", headers={"Authorization": header % response}).status == 200


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("realm", None, "tools.auth_digest.realm = "), ("get_ha1", {}, "tools.auth_digest.get_ha1 = "),
        ("key", None, "tools.auth_digest.key must be a text"), ("key", "", "tools.auth_digest.key must be a text"),
        ("key", b"k", "tools.auth_digest.key must be a text"),
        ("algorithm", "SHA-1", "tools.auth_digest.algorithm must be one of"),
        ("accept_charset", "utf-88", "tools.auth_digest.accept_charset = "),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named_with_its_key(serve: Callable[..., Any], key: str, value: Any, text: str) -> None:
    """Nobody is let in meanwhile."""
    settings = {"realm": "here", "get_ha1": auth_digest.get_ha1_dict_plain(USERS), "key": "k", key: value}
    browser = serve(
        Root(), auth_digest__on=True, **{f"auth_digest__{name}": one for name, one in settings.items()},
    )  # fmt: skip
    answer = browser("/")

    assert answer.status == 500
    assert text.encode() in answer.body


def test_a_realm_with_quotes_arrives_whole(serve: Callable[..., Any]) -> None:
    """Escaped in the challenge, and read back."""
    challenge = auth_digest.www_authenticate('a "b" \\ c', "k", nonce="n")

    assert r'realm="a \"b\" \\ c"' in challenge
    auth = auth_digest.HttpDigestAuthorization(
        r'Digest username="u", realm="a \"b\" \\ c", nonce="n", uri="/", response="q"', "GET"
    )
    assert auth.realm == 'a "b" \\ c'


def test_a_password_file_may_have_lines_in_another_charset(tmp_path: Path) -> None:
    """One of them must not lock everybody out."""
    file = tmp_path / "users"
    file.write_bytes(b"j\xf6rg:here:1\nanna:here:abc\n")

    assert auth_digest.get_ha1_file_htdigest(str(file))("here", "anna") == "abc"


def test_unknown_names_take_as_long_as_known_ones(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """SECURITY: the hash is made and compared for both."""
    browser = make_digest_site(serve)
    known, unknown = digest(browser, password="x"), digest(browser, user="nobody")
    compared: list[int] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    browser("/", headers=known)
    for_known = compared[:]
    compared.clear()
    browser("/", headers=unknown)

    assert compared == for_known


def test_the_header_that_declares_the_charset() -> None:
    """As for basic authentication."""
    for charset, declared in (("utf-8", ', charset="UTF-8"'), ("iso-8859-1", ""), ("cp1252", ', charset="CP1252"')):
        challenge = auth_digest.www_authenticate("r", "k", nonce="n", accept_charset=charset)
        assert challenge == f'Digest realm="r", nonce="n", algorithm="MD5", qop="auth"{declared}'


def test_traces_are_logged(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """``debug``; never the password."""
    told: list[str] = []
    monkeypatch.setattr("cherrypy.lib.auth_digest.log", lambda message, *args, **kwargs: told.append(message))
    browser = make_digest_site(serve, auth_digest__debug=True)
    browser("/", headers=digest(browser))
    browser("/", headers=digest(browser, nonce=auth_digest.synthesize_nonce("here", "k", 1)))

    assert "authentication of anna successful" in told
    assert "nonce is stale" in told
    assert not any("geheim" in line for line in told)


def test_a_quality_of_protection_that_was_not_offered_is_refused(serve: Callable[..., Any]) -> None:
    """auth-int would need the body's hash; the challenge offers auth alone."""
    browser = make_digest_site(serve)
    headers = {name: value.replace("qop=auth", "qop=auth-int") for name, value in digest(browser).items()}

    assert browser("/", headers=headers).status == 401
    assert 'qop="auth"' in browser("/").headers["Www-Authenticate"]
