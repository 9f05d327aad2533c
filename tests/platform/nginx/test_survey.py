"""What a look at the host finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from kirsch.nginx.survey import nameservers

TEXTS = {
    "search lan\nnameserver 10.0.0.2\nnameserver\t2001:db8::2 # ours\n": ("10.0.0.2", "[2001:db8::2]"),
    "nameserver 127.0.0.53\nnameserver 127.0.0.53\noptions edns0\n": ("127.0.0.53",),
    "nameserver fe80::1%eth0\nnameserver\n# nameserver 10.0.0.3\n": (),
    "": (),
}


@pytest.mark.parametrize("text", TEXTS)
def test_dns_servers_are_those_of_the_system(tmp_path: Path, text: str) -> None:
    """As nginx writes them, each once; those of one link alone are not for it."""
    file = tmp_path / "resolv.conf"
    file.write_text(text)

    assert nameservers(str(file)) == TEXTS[text]


def test_a_machine_without_dns_has_none(tmp_path: Path) -> None:
    """No file, no servers."""
    assert nameservers(str(tmp_path / "none")) == ()
