"""Basic authentication.

Source: RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log

CheckPassword = Callable[[str, str, str], object]

_FALLBACK_CHARSET = "ISO-8859-1"


def checkpassword_dict(user_password_dict: Mapping[str, str]) -> Callable[[str, str, str], bool]:
    """Return a *checkpassword* that looks names and plain passwords up in a dict."""

    def checkpassword(realm: str, user: str, password: str) -> bool:
        known = user_password_dict.get(user)
        # SECURITY: the time taken must not tell how much of a guess was right, nor whether the name exists
        is_equal = hmac.compare_digest(_octets(known or ""), _octets(password))
        return bool(known) and is_equal

    return checkpassword


def _octets(text: str) -> bytes:
    # some charsets can spell lone surrogates
    return text.encode("utf-8", "surrogatepass")


def _try_decode(subject: bytes, charsets: Iterable[str]) -> str:
    """Decode *subject* in the first of *charsets* that fits.

    Raises:
        ValueError: none does.
    """
    failure: ValueError | LookupError = ValueError("no charset to try")
    for charset in charsets:
        try:
            return subject.decode(charset)
        except (ValueError, LookupError) as error:
            failure = error
    raise ValueError(str(failure)) from failure


def parse_credentials(header: str, accept_charset: str) -> tuple[str, str] | None:
    """Read an Authorization header; None when it is of another scheme.

    Raises:
        ValueError: malformed.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        octets = base64.b64decode(encoded.strip(" ").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from error
    # two spellings of one accented letter are one user
    text = unicodedata.normalize("NFC", _try_decode(octets, (accept_charset, _FALLBACK_CHARSET)))
    user, colon, password = text.partition(":")
    if not colon:
        raise ValueError("no colon between user and password")
    return user, password


def basic_auth(realm: str, checkpassword: CheckPassword, debug: bool = False, accept_charset: str = "utf-8") -> None:
    """Let only clients in whose name and password *checkpassword* accepts; ``request.login`` is then the name.

    Args:
        realm: shown to the user.
        checkpassword: called with realm, user and password; true lets the client in. It may count failures and raise
            an HTTPError of its own, 429 for instance.
        debug: log what is decided (never the password).
        accept_charset: of the credentials; ISO-8859-1 is tried next.

    Raises:
        ValueError: *realm* contains a quote.
        HTTPError: 400 for malformed credentials, 401 for wrong or missing ones.
    """
    if '"' in realm:
        raise ValueError('Realm cannot contain the " (quote) character.')
    request = serving.request
    header = request.headers.get("Authorization")
    if header is not None:
        with HTTPError.handle(ValueError, 400, "Bad Request"):
            credentials = parse_credentials(header, accept_charset)
        if credentials is not None and checkpassword(realm, *credentials):
            if debug:
                log(f"Auth succeeded: {credentials[0]!r}", "TOOLS.AUTH_BASIC")
            request.login = credentials[0]
            return
    charset = accept_charset.upper()
    declaration = "" if charset == _FALLBACK_CHARSET else f', charset="{charset}"'
    serving.response.headers["WWW-Authenticate"] = f'Basic realm="{realm}"{declaration}'
    raise HTTPError(401, "You are not authorized to access that resource")
