"""What the operator wrote about TLS: certificates, what clients may speak, how browsers are told to stay with it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kirsch.spec.name import Text

HSTS_RULE = "true, or a table { max_age_s = 63072000, subdomains = true, preload = true }"
ACME_RULE = 'true (files below shared/acme), or "ADDRESS:PORT" of a client that answers by itself: "127.0.0.1:8402"'
TWO_YEARS_S = 63072000

AcmeClient = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:[0-9.]{7,15}|\[[0-9A-Fa-f:.]+\]|localhost):[1-9][0-9]{0,4}\Z",
        description=ACME_RULE,
    ),
]


class Certificate(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One chain and its key: PEM files, relative to the deploy root on the host (``shared/tls/shop.pem``)."""

    certificate: Text
    key: Text


class Hsts(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Strict-Transport-Security (RFC 6797): browsers that have seen it once do not come without TLS any more."""

    max_age_s: Annotated[
        int, msgspec.Meta(ge=0, le=315360000, description="seconds, from 0 (forget it) to ten years (315360000)")
    ] = TWO_YEARS_S
    subdomains: bool = False
    preload: bool = False
    """Into the list that browsers are shipped with: needs ``subdomains`` and a year at least, and is hard to undo."""

    @classmethod
    def parse(cls, value: object) -> Hsts:
        """Read ``true``.

        Raises:
            ValueError: with the rule as its text.
        """
        if value is not True:
            raise ValueError(HSTS_RULE)
        return cls()

    @property
    def field(self) -> str:
        """The field's value: ``max-age=63072000; includeSubDomains``."""
        words = [f"max-age={self.max_age_s}"]
        words += ["includeSubDomains"] if self.subdomains else []
        words += ["preload"] if self.preload else []
        return "; ".join(words)


class Tls(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Certificate chain and key of a vhost, and how TLS is spoken there.

    While a file is not there yet, nginx answers with a self-signed certificate of the platform's own.
    """

    certificate: Text
    key: Text
    more: tuple[Certificate, ...] = ()
    """Further certificates for the same names, with another kind of key: RSA beside ECDSA."""
    profile: Literal["intermediate", "modern"] = "intermediate"
    """Mozilla's: TLS 1.2 and 1.3, or 1.3 alone. One for all vhosts of an address."""
    hsts: Hsts | None = None
    stapling: bool = True
    """Send along what the authority says of the certificate (OCSP), where the certificate names whom to ask."""
    tickets: bool = False
    """Sessions resumed by tickets, besides nginx's own memory. Only where nginx changes their keys by itself."""

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """All of them, the first one first."""
        return (Certificate(certificate=self.certificate, key=self.key), *self.more)
