"""`kirsch certificate`: a renewed certificate put where nginx takes it up, as a hook of certbot or by hand."""

from __future__ import annotations

import os
import socket
import ssl
import time
from pathlib import Path

import click

from kirsch.cli.place import Place, with_place
from kirsch.errors import ControlError, NginxError, Problem, SpecError
from kirsch.link.state import load_state
from kirsch.spec import HostPaths, Vhost
from kirsch.supervise.client import ControlClient

CHAIN, KEY = "fullchain.pem", "privkey.pem"
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.2
CONNECT_TIMEOUT_S = 5.0


@click.command(short_help="Put a renewed certificate in place, and wait until it is served.")
@click.argument("vhost")
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help=f"Where {CHAIN} and {KEY} are; certbot tells its hooks: $RENEWED_LINEAGE.",
)
@with_place
def certificate(place: Place, vhost: str, source: Path) -> None:
    """Copy a pair to where `tls` of VHOST names it, and wait until new clients see it; nobody's connection is cut.

    \b
    certbot certonly --webroot -w ROOT/shared/acme -d shop.example \\
        --deploy-hook 'kirsch certificate main -s /srv/kirsch.toml --from "$RENEWED_LINEAGE"'

    A chain and a key that do not belong together are refused, and the pair before serves on.
    """  # noqa: D301 (click wants the character itself)
    paths = place.target.paths
    chain, key = _targets(place, vhost, paths)
    der = _check(source)
    # the key first: nginx goes on with what it has until both fit
    _put(source / KEY, key, 0o600)
    _put(source / CHAIN, chain, 0o644)
    click.echo(f"{chain}, {key}")
    if not ControlClient(paths.control_socket).is_reachable():
        click.echo("the stack does not run: they are served when it does")
        return
    served = load_state(paths.state_file).stack.vhosts[vhost]
    _wait_until_served(served, der)
    click.echo(f"{vhost} serves it")


def _targets(place: Place, vhost: str, paths: HostPaths) -> tuple[Path, Path]:
    found = place.stack.vhosts.get(vhost)
    if found is None or found.tls is None:
        with_tls = [name for name, each in place.stack.vhosts.items() if each.tls is not None]
        raise SpecError(
            [
                Problem(
                    file=place.stack_file,
                    key=f"vhost.{vhost}",
                    message="there is no such vhost with TLS",
                    allowed=", ".join(with_tls) or "none has tls",
                )
            ]
        )
    return Path(paths.root, found.tls.certificate), Path(paths.root, found.tls.key)


def _check(source: Path) -> bytes:
    """The certificate in *source*, as clients get it (DER); it and its key belong together.

    Raises:
        NginxError: they do not, or cannot be read.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(source / CHAIN, source / KEY)
        text = (source / CHAIN).read_text(encoding="ascii", errors="replace")
    except OSError as error:  # ssl.SSLError is one
        raise NginxError(f"{source / CHAIN} and {source / KEY} are no pair", lines=[str(error)]) from error
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN") : text.index(end) + len(end)])


def _put(source: Path, target: Path, mode: int) -> None:
    """Another file of that name in one step, its owner's of the folder it lies in: certbot is root, we may not be."""
    if target.exists() and source.samefile(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as stream:
        stream.write(source.read_bytes())
        stream.flush()
        owner = target.parent.stat()
        if os.geteuid() == 0:
            os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
        os.fsync(stream.fileno())
    os.replace(part, target)


def _wait_until_served(vhost: Vhost, der: bytes) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not all(_shown(listen.url, vhost) == der for listen in vhost.listen if listen.tls and not listen.proxy):
        if time.monotonic() > deadline:
            raise ControlError(
                f"{vhost.name} does not show it after {PATIENCE_S:g} s: kirsch status says why", kind="not_served"
            )
        time.sleep(LOOK_EVERY_S)


def _shown(url: str, vhost: Vhost) -> bytes | None:
    host, _, port = url.removeprefix("https://").rstrip("/").rpartition(":")
    address = (host.strip("[]"), int(port)) if host else (port.strip("[]"), 443)
    name = vhost.names[0].replace("*", "any") if vhost.names else None
    context = ssl.create_default_context()
    # which one it is counts here, not who vouches for it
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(address, CONNECT_TIMEOUT_S) as line:
            with context.wrap_socket(line, server_hostname=name) as secure:
                return secure.getpeercert(binary_form=True)
    except OSError:
        return None
