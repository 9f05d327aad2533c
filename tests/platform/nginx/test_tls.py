"""TLS as clients meet it: placeholders, several certificates, protocols, tickets, HSTS, challenges."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kirsch.nginx import Nginx, NginxControl, survey
from kirsch.nginx.placeholder import COMMON_NAME
from kirsch.spec import HostPaths, Stack

pytestmark = pytest.mark.nginx

Serve = Callable[..., Any]
Get = Callable[..., tuple[int, dict[str, str], Any]]
VHOST = (
    '[vhost.main]\nnames = ["a.example"]\nlisten = ["127.0.0.1:{port} tls"]\n{more}\n[vhost.main.tls]\n'
    'certificate = "shared/tls/a.pem"\nkey = "shared/tls/a.key"\n'
)


def shown(port: int, **options: Any) -> tuple[x509.Certificate, str | None]:
    """The certificate that a.example shows, and the protocol that was agreed upon."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in options.items():
        method = getattr(context, name)
        method(value) if callable(method) else setattr(context, name, value)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="a.example") as connection:
            der = connection.getpeercert(binary_form=True)
            assert der is not None
            return x509.load_der_x509_certificate(der), connection.selected_alpn_protocol()


def put(paths: HostPaths, name: str, kind: trustme.KeyType = trustme.KeyType.ECDSA) -> trustme.LeafCert:
    """A certificate for a.example where the stack names it."""
    leaf = trustme.CA().issue_cert("a.example", key_type=kind)
    folder = Path(paths.shared, "tls")
    folder.mkdir(parents=True, exist_ok=True)
    for kind_of_file, blob in (("pem", leaf.cert_chain_pems[0]), ("key", leaf.private_key_pem)):
        # another file, as clients of ACME put it: nginx tells files apart by inode and second
        blob.write_to_path(str(folder / "new"))
        os.replace(folder / "new", folder / f"{name}.{kind_of_file}")
    return leaf


def test_a_vhost_answers_before_its_certificate_is_there_and_takes_it_up(
    serve: Serve, get: Get, free_port: Callable[[], int], control: NginxControl, plain_tls: ssl.SSLContext
) -> None:
    """A placeholder first, the own one after the next look, a renewed one after that; nothing else is reloaded."""
    port = free_port()
    serve(VHOST.format(port=port, more=""))
    placeholder, _ = shown(port)
    first = control.generation
    serve(VHOST.format(port=port, more=""))
    unchanged = control.generation
    own = put(control.paths, "a")
    serve(VHOST.format(port=port, more=""))
    taken, _ = shown(port)
    renewed = put(control.paths, "a")
    serve(VHOST.format(port=port, more=""))
    second, _ = shown(port)

    assert COMMON_NAME in placeholder.subject.rfc4514_string()
    names = placeholder.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example"]
    assert first == unchanged
    assert x509.load_pem_x509_certificate(own.cert_chain_pems[0].bytes()) == taken
    assert x509.load_pem_x509_certificate(renewed.cert_chain_pems[0].bytes()) == second
    assert get(port, host="a.example", secure=(plain_tls, "a.example"))[0] == 200


def test_the_placeholder_s_key_is_nobody_else_s(
    stage: HostPaths, stack_from: Callable[[str], Stack], tmp_path: Path
) -> None:
    """It is made once, for its owner alone, and openssl finds it well formed."""
    stack = stack_from(f'[stack]\nname="x"\n[app.a]\nentry="a:b"\n{VHOST.format(port=443, more="")}')
    survey(stack, stage)
    key = Path(stage.nginx, "tls", "main.key")
    first = key.read_bytes()
    survey(stack, stage)

    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_bytes() == first
    openssl = shutil.which("openssl")
    assert openssl, "openssl checks the key and the signature"
    pem = str(key.with_suffix(".pem"))
    checks = ([openssl, "pkey", "-in", str(key), "-check", "-noout"], [openssl, "verify", "-CAfile", pem, pem])
    assert [subprocess.run(check, capture_output=True, check=False).returncode for check in checks] == [0, 0]


def test_clients_get_the_certificate_that_they_know(
    serve: Serve, free_port: Callable[[], int], stage: HostPaths
) -> None:
    """RSA beside ECDSA for the same name."""
    port = free_port()
    put(stage, "a")
    put(stage, "b", trustme.KeyType.RSA)
    more = 'more = [{ certificate = "shared/tls/b.pem", key = "shared/tls/b.key" }]\n'
    serve(VHOST.format(port=port, more="") + more)
    old = {"maximum_version": ssl.TLSVersion.TLSv1_2}

    assert isinstance(shown(port, **old, set_ciphers="ECDHE-RSA-AES128-GCM-SHA256")[0].public_key(), rsa.RSAPublicKey)
    ecdsa = shown(port, **old, set_ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")[0].public_key()
    assert isinstance(ecdsa, ec.EllipticCurvePublicKey)


@pytest.mark.parametrize(("profile", "is_refused"), [("intermediate", False), ("modern", True)])
def test_a_modern_vhost_speaks_tls_1_3_alone(
    serve: Serve, free_port: Callable[[], int], profile: str, is_refused: bool
) -> None:
    """Also though the address's first server is not the vhost."""
    port = free_port()
    serve(VHOST.format(port=port, more="") + f'profile = "{profile}"\n')

    shown(port)
    if is_refused:
        with pytest.raises(ssl.SSLError):
            shown(port, maximum_version=ssl.TLSVersion.TLSv1_2)
    else:
        shown(port, maximum_version=ssl.TLSVersion.TLSv1_2)


def is_resumed_by_ticket(port: int) -> bool:
    """True when a client of TLS 1.2 is given a ticket."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="a.example") as connection:
            session = connection.session
            assert session is not None
            return session.has_ticket


def test_tickets_are_given_where_their_keys_change(serve: Serve, free_port: Callable[[], int], nginx: Nginx) -> None:
    """Not by default, and never by a version that would keep one key until its next reload."""
    port = free_port()
    serve(VHOST.format(port=port, more=""))
    before = is_resumed_by_ticket(port)
    serve(VHOST.format(port=port, more="") + "tickets = true\n")

    assert before is False
    assert is_resumed_by_ticket(port) is (nginx.version >= (1, 23, 2))


def test_http2_can_be_left_out(serve: Serve, free_port: Callable[[], int]) -> None:
    """It is offered otherwise."""
    port = free_port()
    offers = []
    for more in ("", "http2 = false"):
        serve(VHOST.format(port=port, more=more))
        offers.append(shown(port, set_alpn_protocols=["h2", "http/1.1"])[1])

    assert offers == ["h2", "http/1.1"]


def test_requests_go_through_over_http2(serve: Serve, free_port: Callable[[], int]) -> None:
    """Asked by curl, which nobody here wrote."""
    curl = shutil.which("curl")
    assert curl, "curl speaks HTTP/2"
    port = free_port()
    serve(VHOST.format(port=port, more=""))
    options = ["-sk", "--http2", "--resolve", f"a.example:{port}:127.0.0.1", "-w", " %{http_version}"]
    ran = subprocess.run(
        [curl, *options, f"https://a.example:{port}/x%2Fy"], capture_output=True, text=True, check=True
    )

    assert '"line": "GET /x%2Fy HTTP/1.1"' in ran.stdout
    assert ran.stdout.endswith(" 2")


def test_browsers_are_told_to_stay_with_tls(
    serve: Serve, get: Get, free_port: Callable[[], int], plain_tls: ssl.SSLContext
) -> None:
    """Over TLS, with every answer, nginx's own included; never without it."""
    plain, secure = free_port(), free_port()
    listen = f'listen = ["127.0.0.1:{secure} tls", "127.0.0.1:{plain}"]'
    text = VHOST.format(port=secure, more='apps = ["shop"]\naliases = ["b.example"]\n').replace(
        f'listen = ["127.0.0.1:{secure} tls"]', listen
    )
    serve(text + "hsts = { subdomains = true, max_age_s = 31536000 }\n")
    field, value = "strict-transport-security", "max-age=31536000; includeSubDomains"
    over_tls = (plain_tls, "a.example")

    assert get(secure, host="a.example", secure=over_tls)[1][field] == value
    assert get(secure, "/livez", host="a.example", secure=over_tls)[1][field] == value
    moved = get(secure, host="b.example", secure=(plain_tls, "b.example"))
    assert (moved[0], moved[1][field]) == (308, value)
    assert field not in get(plain, host="a.example")[1]


def test_a_challenge_is_answered_before_anything_else(
    serve: Serve, get: Get, free_port: Callable[[], int], stage: HostPaths
) -> None:
    """From the folder that any client of ACME can write to, though everything else is sent to TLS."""
    plain, secure = free_port(), free_port()
    text = VHOST.format(port=secure, more="acme = true\nredirect_https = true").replace(
        "listen = [", f'listen = ["127.0.0.1:{plain}", '
    )
    serve(text)
    folder = Path(stage.shared, "acme", ".well-known", "acme-challenge")
    folder.mkdir(parents=True)
    (folder / "token-1").write_text("token-1.thumbprint")
    for path in (stage.root, stage.shared):
        os.chmod(path, 0o755)
    found = get(plain, "/.well-known/acme-challenge/token-1", host="a.example")

    assert (found[0], found[2]) == (200, b"token-1.thumbprint")
    assert get(plain, "/.well-known/acme-challenge/other", host="a.example")[0] == 404
    assert get(plain, "/.well-known/acme-challenge/../../../../../etc/passwd", host="a.example")[0] in (308, 400)
    assert get(plain, "/.well-known/x", host="a.example")[0] == 308


def test_a_challenge_can_be_answered_by_a_client_of_acme_itself(
    serve: Serve, get: Get, free_port: Callable[[], int]
) -> None:
    """``certbot certonly --standalone --http-01-port PORT``, for one."""
    port, other = free_port(), free_port()
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\nacme = "127.0.0.1:{other}"\n')
    with socket.create_server(("127.0.0.1", other)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")

        thread = threading.Thread(target=answer)
        thread.start()
        found = get(port, "/.well-known/acme-challenge/t", host="a.example")
        thread.join(10)

    assert (found[0], found[2]) == (200, b"abc")
