"""One connection, as a stand-in for OpenSSH's client sees it; the real one is driven by tests/cluster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kirsch.errors import HostUnreachable
from kirsch.release.hosts.ssh import Ssh
from kirsch.spec import Host

HOST = Host(name="web1", address="192.0.2.21", user="deploy", port=2222)


def stand_in(folder: Path, body: str) -> str:
    """A program in the place of ssh, which notes its arguments."""
    path = folder / "ssh"
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/argv\n{body}\n')
    path.chmod(0o755)
    return str(path)


def test_user_port_and_address_come_from_the_inventory(tmp_path: Path) -> None:
    """And nobody is asked for a password."""
    ssh = Ssh(HOST, str(tmp_path), stand_in(tmp_path, 'for last; do :; done; exec /bin/sh -c "$last"'))
    ran = ssh.run(["echo", "two words", "$HOME"])
    argv = (tmp_path / "argv").read_text().splitlines()

    assert ran.output == "two words $HOME\n"
    assert argv[argv.index("-p") + 1] == "2222"
    assert argv[argv.index("-l") + 1] == "deploy"
    assert "BatchMode=yes" in argv
    assert argv[-2] == "192.0.2.21"


def test_connection_lasts_until_it_is_closed(tmp_path: Path) -> None:
    """A greeting by a login script is passed over; closing its input ends it."""
    ssh = Ssh(HOST, str(tmp_path), stand_in(tmp_path, "echo Welcome; echo kirsch-connected; exec cat >/dev/null"))
    ssh.connect()
    assert ssh.master is not None
    pid = ssh.master.pid
    lives = os.path.exists(f"/proc/{pid}")
    ssh.close()

    assert lives
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("deploy@192.0.2.21: Permission denied (publickey).", "ssh-copy-id"),
        ("Host key verification failed.", "known_hosts"),
        ("ssh: connect to host 192.0.2.21 port 2222: Connection refused", "sshd"),
        ("ssh: Could not resolve hostname web1: Name or service not known", "host.NAME.address"),
    ],
)
def test_refusal_is_said_with_its_cure(tmp_path: Path, said: str, cure: str) -> None:
    """In OpenSSH's words, the last line of them, and what helps."""
    ssh = Ssh(HOST, str(tmp_path), stand_in(tmp_path, f"echo @@@@ >&2; echo '{said}' >&2; exit 255"))
    with pytest.raises(HostUnreachable) as caught:
        ssh.connect()
    ssh.close()

    assert str(caught.value).startswith(said)
    assert cure in str(caught.value)
    assert caught.value.host == "web1"


def test_lost_connection_is_no_status_of_the_program(tmp_path: Path) -> None:
    """255 is ssh's own."""
    ssh = Ssh(HOST, str(tmp_path), stand_in(tmp_path, "echo 'Connection closed' ; exit 255"))

    with pytest.raises(HostUnreachable, match="Connection closed"):
        ssh.run(["true"])


def test_program_that_reads_nothing_tells_why(tmp_path: Path) -> None:
    """A full disk ends tar before it has read all: its words count, not the broken pipe."""
    ssh = Ssh(HOST, str(tmp_path), stand_in(tmp_path, "echo 'No space left on device'; exit 2"))
    ran = ssh.feed(["tar"], lambda to: [to.write(b"x" * 65536) for _ in range(64)] and None)

    assert (ran.status, ran.output) == (2, "No space left on device\n")


def test_writer_that_fails_ends_the_program(tmp_path: Path) -> None:
    """What is half sent is never taken for whole, and nobody waits for the rest."""
    ssh = Ssh(HOST, str(tmp_path), stand_in(tmp_path, "exec cat >/dev/null"))

    with pytest.raises(ZeroDivisionError):
        ssh.feed(["tar"], lambda to: 1 // 0 and None)
