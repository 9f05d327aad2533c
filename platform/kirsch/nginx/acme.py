"""The answers to a certificate authority's HTTP-01 challenges (RFC 8555, 8.3), before anything else of a vhost."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.nginx.directives import Block, block, directive
from kirsch.nginx.scope import Scope
from kirsch.nginx.uwsgi import shared_files
from kirsch.spec import Listen, Vhost

CHALLENGES = "/.well-known/acme-challenge/"


def challenge_folder(scope: Scope) -> str:
    """The folder under which a client puts its answers: ``certbot certonly --webroot -w ROOT/shared/acme``."""
    return f"{scope.paths.shared}/acme"


def challenge_location(scope: Scope, vhost: Vhost, listens: Iterable[Listen]) -> list[Block]:
    """Where challenges are answered, in a server on *listens*; only where there is no TLS, as authorities ask there."""
    if vhost.acme is None or all(listen.tls for listen in listens):
        return []
    if vhost.acme is True:
        answer = [
            directive("root", challenge_folder(scope)),
            directive("default_type", "text/plain"),
        ]
    else:
        answer = [*shared_files(scope, vhost), directive("proxy_pass", f"http://{vhost.acme}")]
    # whoever may not see the site: its certificate authority may
    open_to_all = [directive("auth_basic", "off"), directive("allow", "all")]
    return [block("location", "^~", CHALLENGES, body=[*open_to_all, *answer])]
