"""When certificates end, by vhost: read again when they are renewed."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from kirsch.spec import App, HostPaths, Pool, Stack, Tls, Vhost
from kirsch.supervise.certificates import Certificates


def make(folder: Path, days: int) -> None:
    """Write a certificate that ends in *days*."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-subj", "/CN=shop.example", "-days", str(days), "-keyout", f"{folder}/key.pem"]
    subprocess.run([*argv, "-out", f"{folder}/certificate.pem"], check=True, capture_output=True)


@pytest.fixture
def stack() -> Stack:
    tls = Tls(certificate="certificate.pem", key="key.pem")
    absent = Tls(certificate="absent.pem", key="key.pem")
    return Stack(
        name="shop",
        apps={"shop": App(name="shop", entry="shop:Root")},
        pools={"web": Pool(name="web")},
        vhosts={
            "main": Vhost(name="main", tls=tls),
            "plain": Vhost(name="plain"),
            "later": Vhost(name="later", tls=absent),
        },
    )


def test_the_end_is_that_of_the_file(tmp_path: Path, stack: Stack) -> None:
    """Seen again when it is renewed; of a file that is not there, or no certificate, nothing is said."""
    certificates = Certificates(HostPaths(root=str(tmp_path), run=f"{tmp_path}/run"))
    before = certificates.expiries(stack)
    make(tmp_path, 10)
    first = certificates.expiries(stack)
    make(tmp_path, 90)
    os.utime(tmp_path / "certificate.pem", (1, 1))  # the file system's clock may be coarse
    renewed = certificates.expiries(stack)
    (tmp_path / "certificate.pem").write_text("nonsense")
    os.utime(tmp_path / "certificate.pem", (2, 2))
    broken = certificates.expiries(stack)

    assert before == {}
    assert first.keys() == renewed.keys() == {"main"}
    assert abs(first["main"] - time.time() - 10 * 86400) < 600
    assert abs(renewed["main"] - time.time() - 90 * 86400) < 600
    assert broken == {}
