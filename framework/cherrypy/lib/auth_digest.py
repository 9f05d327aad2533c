"""Digest authentication, with MD5, SHA-256 and SHA-512-256.

Source: RFC 7616.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import unicodedata
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Never
from urllib.request import parse_http_list, parse_keqv_list

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log
from cherrypy.http.text import to_bytes as ntob
from cherrypy.http.text import to_native as tonative
from cherrypy.lib.noncecounts import NonceCounts

GetHA1 = Callable[[str, str], str | None]

DEFAULT_CHARSET = "UTF-8"
FALLBACK_CHARSET = "ISO-8859-1"
qop_auth = "auth"
qop_auth_int = "auth-int"
valid_qops = (qop_auth, qop_auth_int)

# {name as in the challenge: (hash, whether the session variant is meant)}
_ALGORITHMS = {
    "MD5": ("md5", False),
    "MD5-sess": ("md5", True),
    "SHA-256": ("sha256", False),
    "SHA-256-sess": ("sha256", True),
    "SHA-512-256": ("sha512_256", False),
    "SHA-512-256-sess": ("sha512_256", True),
}
valid_algorithms = tuple(_ALGORITHMS)
_CANONICAL = {name.lower(): name for name in _ALGORITHMS}

NONCE_LIFETIME_S = 600


def TRACE(msg: str) -> None:
    """Log *msg* for this tool."""
    log(msg, context="TOOLS.AUTH_DIGEST")


def digest_hex(s: str, algorithm: str = "MD5") -> str:
    """The hash of *s*, in UTF-8, by one of ``valid_algorithms``, as hexadecimal digits."""
    return hashlib.new(_ALGORITHMS[algorithm][0], s.encode("utf-8"), usedforsecurity=False).hexdigest()


def md5_hex(s: str) -> str:
    """The MD5 of *s* in hexadecimal."""
    return digest_hex(s)


H = md5_hex


def get_ha1_dict_plain(user_password_dict: Mapping[str, str], algorithm: str = "MD5") -> GetHA1:
    """Return a *get_ha1* that looks plain passwords up in a dict."""

    def get_ha1(realm: str, username: str) -> str | None:
        password = user_password_dict.get(username)
        return digest_hex(f"{username}:{realm}:{password}", algorithm) if password else None

    return get_ha1


def get_ha1_dict(user_ha1_dict: Mapping[str, str]) -> GetHA1:
    """Return a *get_ha1* that looks hashes of 'user:realm:password' up in a dict of one realm."""

    def get_ha1(realm: str, username: str) -> str | None:
        return user_ha1_dict.get(username)

    return get_ha1


def get_ha1_file_htdigest(filename: str) -> GetHA1:
    """Return a *get_ha1* that reads a file as Apache's htdigest writes it: lines of ``user:realm:hash``."""

    def get_ha1(realm: str, username: str) -> str | None:
        # one name in another charset must not lock everybody out
        with open(filename, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields = line.rstrip().split(":")
                if len(fields) == 3 and fields[:2] == [username, realm]:
                    return fields[2]
        return None

    return get_ha1


def synthesize_nonce(s: str, key: str, timestamp: int | str | None = None) -> str:
    """Return a nonce, 'time.salt:signature', that ``validate_nonce`` will know again.

    Args:
        s: the realm.
        key: the server's secret.
        timestamp: seconds since the epoch, with or without a salt; default: now, and a new salt, since clients who
            come in the same second must not share the counts of one nonce.
    """
    moment = f"{int(time.time())}.{secrets.token_hex(8)}" if timestamp is None else timestamp
    signature = hmac.new(key.encode("utf-8"), f"{moment}:{s}".encode(), hashlib.sha256).hexdigest()
    return f"{moment}:{signature}"


def _try_decode_header(header: str, charset: str) -> str:
    """Read the octets of *header*, decoded as ISO-8859-1 so far, in *charset* if they fit it."""
    octets = ntob(tonative(header))
    try:
        return octets.decode(charset)
    except (ValueError, LookupError):
        return octets.decode(FALLBACK_CHARSET)


class HttpDigestAuthorization:
    """The credentials of a request.

    Args:
        auth_header: the Authorization header.
        http_method: of the request.
        debug: log what is decided.
        accept_charset: of the header.

    Raises:
        ValueError: malformed, incomplete, or of an unknown algorithm.
    """

    scheme = "digest"

    def __init__(
        self, auth_header: str, http_method: str, debug: bool = False, accept_charset: str = DEFAULT_CHARSET
    ) -> None:
        self.http_method = http_method
        self.debug = debug
        if not self.matches(auth_header):
            raise ValueError('Authorization scheme is not "Digest"')
        self.auth_header = _try_decode_header(auth_header, accept_charset)
        _, _, given = self.auth_header.partition(" ")
        try:
            params = parse_keqv_list(parse_http_list(given))
        except (ValueError, IndexError) as error:
            raise ValueError(self.errmsg(str(error))) from error
        self.realm = params.get("realm")
        username = params.get("username") or self._extended_username(params.get("username*"))
        # two spellings of one accented letter are one user
        self.username = username and unicodedata.normalize("NFC", username)
        self.nonce = params.get("nonce", "")
        self.uri = params.get("uri")
        self.method = params.get("method")
        self.response = params.get("response", "")
        self.cnonce = params.get("cnonce")
        self.opaque = params.get("opaque")
        self.qop = params.get("qop")
        self.nc = params.get("nc")
        algorithm = params.get("algorithm", "MD5")
        if algorithm.lower() not in _CANONICAL:
            raise ValueError(self.errmsg(f"Unsupported value for algorithm: '{algorithm}'"))
        self.algorithm = _CANONICAL[algorithm.lower()]
        self._check()

    def _extended_username(self, value: str | None) -> str | None:
        """Read ``username*``, how names are sent that do not fit ASCII (RFC 7616, 3.4; RFC 8187)."""
        if value is None:
            return None
        charset, _, rest = value.partition("'")
        _, mark, escaped = rest.partition("'")
        if not mark or charset.lower() != "utf-8":
            raise ValueError(self.errmsg(f"Unsupported value for username*: {value!r}"))
        return urllib.parse.unquote(escaped, errors="strict")

    def _check(self) -> None:
        if not (self.username and self.realm and self.nonce and self.uri and self.response):
            raise ValueError(self.errmsg("Not all required parameters are present."))
        if self.qop:
            if self.qop not in valid_qops:
                raise ValueError(self.errmsg(f"Unsupported value for qop: '{self.qop}'"))
            if not (self.cnonce and self.nc):
                raise ValueError(self.errmsg("If qop is sent then cnonce and nc MUST be present"))
        elif self.cnonce or self.nc:
            raise ValueError(self.errmsg("If qop is not sent, neither cnonce nor nc can be present"))

    @classmethod
    def matches(cls, header: str) -> bool:
        """True when *header* is of this scheme."""
        return header.partition(" ")[0].lower() == cls.scheme

    def errmsg(self, s: str) -> str:
        """*s* as a message about this header."""
        return f"Digest Authorization header: {s}"

    def __str__(self) -> str:
        return f"authorization : {self.auth_header}"

    def _hash(self, s: str) -> str:
        return digest_hex(s, self.algorithm)

    def validate_nonce(self, s: str, key: str) -> bool:
        """True when the nonce is one of ours, made for the realm *s* with *key*."""
        timestamp, colon, _ = self.nonce.partition(":")
        is_ours = bool(colon) and hmac.compare_digest(
            synthesize_nonce(s, key, timestamp).encode("utf-8"), self.nonce.encode("utf-8")
        )
        if self.debug:
            TRACE(f"validate_nonce: {is_ours}")
        return is_ours

    def is_nonce_stale(self, max_age_seconds: int = NONCE_LIFETIME_S) -> bool:
        """True when the nonce is older than that; the client is then told to take a new one, without asking again."""
        timestamp = self.nonce.partition(":")[0].partition(".")[0]
        is_fresh = (
            timestamp.isascii() and timestamp.isdigit() and int(timestamp[:20]) + max_age_seconds > int(time.time())
        )
        if not is_fresh and self.debug:
            TRACE("nonce is stale")
        return not is_fresh

    def HA2(self, entity_body: str = "") -> str:
        """The hash of what is asked for.

        Raises:
            ValueError: the qop is unknown.
        """
        if self.qop is None or self.qop == qop_auth:
            return self._hash(f"{self.http_method}:{self.uri}")
        if self.qop == qop_auth_int:
            return self._hash(f"{self.http_method}:{self.uri}:{self._hash(entity_body)}")
        raise ValueError(self.errmsg("Unrecognized value for qop!"))

    def request_digest(self, ha1: str, entity_body: str = "") -> str:
        """The response that a client who knows the password sends.

        Args:
            ha1: hash of 'user:realm:password', by the algorithm of this header.
            entity_body: of the request, for qop auth-int.
        """
        ha2 = self.HA2(entity_body)
        if self.qop:
            request = f"{self.nonce}:{self.nc}:{self.cnonce}:{self.qop}:{ha2}"
        else:
            request = f"{self.nonce}:{ha2}"
        if _ALGORITHMS[self.algorithm][1]:
            ha1 = self._hash(f"{ha1}:{self.nonce}:{self.cnonce}")
        return self._hash(f"{ha1}:{request}")

    def is_for(self, path_info: str, query_string: str) -> bool:
        """True when the credentials were made for this page (RFC 7616, 3.4.6).

        A proxy in front may have added or removed a prefix of the path; some clients leave the query out.
        """
        path, mark, query = (self.uri or "").partition("?")
        return urllib.parse.unquote(path).endswith(urllib.parse.unquote(path_info)) and (
            not mark or query == query_string
        )


_counts = NonceCounts()


def _get_charset_declaration(charset: str) -> str:
    charset = charset.upper()
    return "" if charset == FALLBACK_CHARSET else f', charset="{charset}"'


def www_authenticate(
    realm: str,
    key: str,
    algorithm: str = "MD5",
    nonce: str | None = None,
    qop: str = qop_auth,
    stale: bool = False,
    accept_charset: str = DEFAULT_CHARSET,
) -> str:
    """Return the challenge, a WWW-Authenticate header.

    Raises:
        ValueError: *qop* or *algorithm* is unknown.
    """
    if qop not in valid_qops:
        raise ValueError(f"Unsupported value for qop: '{qop}'")
    if algorithm not in valid_algorithms:
        raise ValueError(f"Unsupported value for algorithm: '{algorithm}'")
    if nonce is None:
        nonce = synthesize_nonce(realm, key)
    stale_parameter = ', stale="true"' if stale else ""
    charset = _get_charset_declaration(accept_charset)
    # RFC 9110, 5.6.4: what would end the quotes is escaped
    realm = realm.replace("\\", "\\\\").replace('"', '\\"')
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm="{algorithm}", qop="{qop}"{stale_parameter}{charset}'


def digest_auth(
    realm: str,
    get_ha1: GetHA1,
    key: str,
    debug: bool = False,
    accept_charset: str = "utf-8",
    algorithm: str = "MD5",
    check_nc: bool = True,
) -> None:
    """Let only clients in who prove that they know the password; ``request.login`` is then the name.

    Args:
        realm: shown to the user.
        get_ha1: called with realm and user name; returns the hash of 'user:realm:password', None for unknown users.
        key: a secret of the server.
        debug: log what is decided.
        accept_charset: of the header.
        algorithm: one of ``valid_algorithms``; *get_ha1* must return hashes by it. No other is taken.
        check_nc: refuse a request that was seen before.

    Raises:
        ValueError: *algorithm* is unknown, or *key* no text.
        HTTPError: 400 for malformed credentials, 401 for wrong or missing ones.
    """
    if algorithm not in valid_algorithms:
        allowed = ", ".join(map(repr, valid_algorithms))
        raise ValueError(f"tools.auth_digest.algorithm must be one of {allowed}, not {algorithm!r}")
    if not (isinstance(key, str) and key):
        raise ValueError("tools.auth_digest.key must be a text that nobody can guess")
    request = serving.request
    header = request.headers.get("Authorization") or ""

    def refuse(stale: bool = False) -> Never:
        _respond_401(realm, key, accept_charset, debug, stale=stale, algorithm=algorithm)

    if not HttpDigestAuthorization.matches(header):
        refuse()
    with HTTPError.handle(ValueError, 400, "The Authorization header could not be parsed."):
        auth = HttpDigestAuthorization(header, request.method, debug=debug, accept_charset=accept_charset)
    if debug:
        TRACE(str(auth.username))
    # SECURITY: taking MD5 where SHA-256 was asked for would be a downgrade
    if not _is_same_hash(auth.algorithm, algorithm) or auth.realm != realm or not auth.validate_nonce(realm, key):
        refuse()
    if auth.qop == qop_auth_int or not auth.is_for(request.path_info, request.query_string):
        refuse()
    ha1 = get_ha1(realm, auth.username or "")
    # SECURITY: hashed for unknown names as well, so that the time taken does not tell them
    is_equal = hmac.compare_digest(auth.request_digest(ha1 or "").encode("ascii"), auth.response.encode("utf-8"))
    if ha1 is None or not is_equal:
        refuse()
    if auth.is_nonce_stale(NONCE_LIFETIME_S):
        refuse(stale=True)
    if check_nc and auth.nc and not _counts.use(auth.nonce, auth.nc):
        refuse(stale=True)
    request.login = auth.username
    if debug:
        TRACE(f"authentication of {auth.username} successful")


def _is_same_hash(given: str, expected: str) -> bool:
    return _ALGORITHMS[given][0] == _ALGORITHMS[expected][0]


def _respond_401(realm: str, key: str, accept_charset: str, debug: bool, **kwargs: Any) -> Never:
    """Send the challenge; keywords are those of ``www_authenticate``."""
    header = www_authenticate(realm, key, accept_charset=accept_charset, **kwargs)
    if debug:
        TRACE(header)
    serving.response.headers["WWW-Authenticate"] = header
    raise HTTPError(401, "You are not authorized to access that resource")
