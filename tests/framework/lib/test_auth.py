"""Basic and digest authentication."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import auth_basic, auth_digest

USERS = {"anna": "geheim", "j\xf6rg": "pa\xdf:wort"}


class Root:
    """A page for users."""

    @cherrypy.expose
    def index(self, **params: str) -> str:
        """Greet."""
        return f"hello {cherrypy.request.login}"

    other = index


def basic(user: str, password: str, charset: str = "utf-8") -> dict[str, str]:
    """Credentials."""
    packed = base64.b64encode(f"{user}:{password}".encode(charset)).decode()
    return {"Authorization": f"Basic {packed}"}


@pytest.fixture
def guarded(serve: Callable[..., Any]) -> Any:
    """A site behind basic authentication."""
    return serve(
        Root(), auth_basic__on=True, auth_basic__realm="here",
        auth_basic__checkpassword=auth_basic.checkpassword_dict(USERS),
    )  # fmt: skip


def test_basic_lets_those_in_who_know_the_password(guarded: Any) -> None:
    """In UTF-8, in ISO-8859-1, and whichever way the letters are composed."""
    assert guarded("/", headers=basic("anna", "geheim")).body == b"hello anna"
    assert guarded("/", headers=basic("j\xf6rg", "pa\xdf:wort")).status == 200
    assert guarded("/", headers=basic("jo\u0308rg", "pa\xdf:wort")).status == 200
    assert guarded("/", headers=basic("j\xf6rg", "pa\xdf:wort", "latin-1")).status == 200


@pytest.mark.parametrize("headers", [{}, basic("anna", "Geheim"), basic("nobody", ""), {"Authorization": "Bearer x"}])
def test_basic_challenges_others(guarded: Any, headers: dict[str, str]) -> None:
    """401 with realm and charset."""
    answer = guarded("/", headers=headers)

    assert answer.status == 401
    assert answer.headers["Www-Authenticate"] == 'Basic realm="here", charset="UTF-8"'


@pytest.mark.parametrize("header", ["Basic", "Basic x", "Basic !!!!", "Basic YQ==", "Basic \xfc"])
def test_malformed_basic_credentials_are_a_bad_request(guarded: Any, header: str) -> None:
    """Never an internal error."""
    assert guarded("/", headers={"Authorization": header}).status == 400


def test_a_realm_cannot_break_out_of_its_quotes(serve: Callable[..., Any]) -> None:
    """A mistake of the configuration, told as one."""
    assert serve(Root(), auth_basic__on=True, auth_basic__realm='a"b', auth_basic__checkpassword=id)("/").status == 500


def test_an_error_of_the_checker_is_not_the_client_s(serve: Callable[..., Any]) -> None:
    """A ValueError in the application's code is a 500."""

    def broken(realm: str, user: str, password: str) -> bool:
        raise ValueError

    browser = serve(Root(), auth_basic__on=True, auth_basic__realm="a", auth_basic__checkpassword=broken)

    assert browser("/", headers=basic("a", "b")).status == 500


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


def test_remembered_nonces_are_bounded() -> None:
    """SECURITY: the memory is not the client's to fill."""
    counts = auth_digest.NonceCounts()
    counts.limit = 10
    for number in range(100):
        assert counts.use(str(number), "1")

    assert len(counts._used) == 10
    assert not counts.use("99", "1")
