"""Basic authentication."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import auth_basic

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


def test_the_documented_parameters() -> None:
    """Names, order and defaults."""
    import inspect

    assert str(inspect.signature(auth_basic.basic_auth)).startswith(
        "(realm: 'str', checkpassword: 'CheckPassword', debug: 'bool' = False, accept_charset: 'str' = 'utf-8')"
    )


def test_the_charset_is_declared_unless_it_is_the_old_one(serve: Callable[..., Any]) -> None:
    """ISO-8859-1 is what clients without a hint send."""
    declared = {}
    for charset in ("utf-8", "ISO-8859-1", "iso-8859-1", "cp1252"):
        browser = serve(
            Root(), auth_basic__on=True, auth_basic__realm="here", auth_basic__accept_charset=charset,
            auth_basic__checkpassword=auth_basic.checkpassword_dict(USERS),
        )  # fmt: skip
        declared[charset] = browser("/").headers["Www-Authenticate"].removeprefix('Basic realm="here"')
        assert browser("/", headers=basic("j\xf6rg", "pa\xdf:wort", charset)).body == "hello j\xf6rg".encode()

    assert declared == {
        "utf-8": ', charset="UTF-8"', "ISO-8859-1": "", "iso-8859-1": "", "cp1252": ', charset="CP1252"',
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"), [("realm", None), ("realm", 5), ("checkpassword", {"a": "b"}), ("accept_charset", "utf-88")]
)
def test_a_wrong_argument_is_named_with_its_key(serve: Callable[..., Any], key: str, value: Any) -> None:
    """Nobody is let in meanwhile."""
    settings = {"realm": "here", "checkpassword": auth_basic.checkpassword_dict(USERS), key: value}
    browser = serve(
        Root(), auth_basic__on=True, **{f"auth_basic__{name}": one for name, one in settings.items()},
    )  # fmt: skip
    answer = browser("/", headers=basic("anna", "geheim"))

    assert answer.status == 500
    assert f"tools.auth_basic.{key} = ".encode() in answer.body


def test_a_missing_argument_is_named_with_its_key(serve: Callable[..., Any]) -> None:
    """Also without credentials."""
    answer = serve(Root(), auth_basic__on=True, auth_basic__realm="a")("/")

    assert answer.status == 500
    assert b"tools.auth_basic.checkpassword: missing" in answer.body


def test_guesses_may_be_answered_otherwise(serve: Callable[..., Any]) -> None:
    """A checker that counts failures may refuse to go on: damping of brute force is one HTTPError away."""
    failures: list[str] = []

    def checkpassword(realm: str, user: str, password: str) -> bool:
        if len(failures) >= 2:
            raise cherrypy.HTTPError(429)
        failures.append(user)
        return False

    browser = serve(Root(), auth_basic__on=True, auth_basic__realm="a", auth_basic__checkpassword=checkpassword)

    assert [browser("/", headers=basic("anna", str(guess))).status for guess in range(3)] == [401, 401, 429]


def test_passwords_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """SECURITY: also for names that do not exist, and whatever a charset can spell."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    check = auth_basic.checkpassword_dict({"anna": "geheim", "empty": ""})

    assert check("r", "anna", "geheim")
    assert not check("r", "nobody", "")
    assert not check("r", "empty", "")
    assert not check("r", "anna", "\ud800")
    assert len(compared) == 4


def test_what_is_decided_is_logged_without_the_password(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``debug``."""
    told: list[str] = []
    monkeypatch.setattr("cherrypy.lib.auth_basic.log", lambda message, *args, **kwargs: told.append(message))
    browser = serve(
        Root(), auth_basic__on=True, auth_basic__realm="here", auth_basic__debug=True,
        auth_basic__checkpassword=auth_basic.checkpassword_dict(USERS),
    )  # fmt: skip
    browser("/", headers=basic("anna", "geheim"))

    assert told == ["Auth succeeded: 'anna'"]
