"""The hub's socket: who may speak, what may be said, and what a hub's death costs."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kirsch.errors import BusError
from kirsch.link import wire
from kirsch.link.post import Limits

Wait = Callable[..., None]

STRANGER = """
import socket, sys, time
from kirsch.link import wire
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.sendall(wire.encode(wire.Hello(member=wire.Member(name="web.9", pool="web", pid=1, state="ready"))))
line.sendall(wire.encode(wire.Take(id="1", lease="job", ttl_s=3600)))
print(line.makefile("rb").readline() and "in", flush=True)
time.sleep(60)
"""


class Raw:
    """A member that says whatever it likes."""

    def __init__(self, path: str, name: str = "web.7") -> None:
        self.line = socket.socket(socket.AF_UNIX)
        self.line.settimeout(10)
        self.line.connect(path)
        self.say(wire.encode(wire.Hello(member=wire.Member(name=name, pool="web", state="ready"), opened=("x",))))
        self.file = self.line.makefile("rb")
        welcome = wire.read_from_hub(self.file.readline())
        assert isinstance(welcome, wire.Welcome)
        self.me = welcome.member

    def say(self, data: bytes) -> None:
        self.line.sendall(data)

    def hear(self, kind: type) -> Any:
        """The next frame of a kind."""
        while line := self.file.readline():
            frame = wire.read_from_hub(line)
            if isinstance(frame, kind):
                return frame
        raise EOFError

    def close(self) -> None:
        self.file.close()
        self.line.close()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"no json\n", "bad_frame"),
        (b'{"op":"exec","code":"1"}\n', "bad_frame"),
        (b'{"op":"hello","member":{"name":"root"}}\n', "bad_frame"),
        (b'{"op":"send","id":"1","channel":"x","args":[1\n', "bad_frame"),
        (b'{"op":"send","id":"1","channel":"\\u0000"}\n', "bad_channel"),
        (b'{"op":"done","ids":["nobody/1"]}\n', "unasked"),
    ],
)
def test_what_is_wrong_is_counted_and_named(
    local: Any, line: bytes, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is dropped, the log names who said it, and everything else goes on."""
    member = local.join("web.1")
    heard: list[Any] = []
    member.subscribe_to("x", heard.append)
    local.settle()
    wrong = Raw(local.socket("alpha"))
    with caplog.at_level(logging.WARNING):
        wrong.say(line)
        wrong.say(wire.encode(wire.Count(id="1", key="k", window_s=1)))
        wrong.hear(wire.Counted)

    assert local.hub().wrong == {kind: 1}
    assert wrong.me.id in caplog.text
    assert heard == []
    wrong.close()


def test_endless_lines_are_cut(local: Any) -> None:
    """A member that never ends its line costs no more than the limit."""
    wrong = Raw(local.socket("alpha"))
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        wrong.say(b"x" * 8_000_000)

    assert local.hub().wrong == {"too_large": 1}
    wrong.close()


def test_strangers_do_not_get_in(local: Any, eventually: Wait, caplog: pytest.LogCaptureFixture) -> None:
    """The kernel's word counts; who speaks before a greeting is cut, too."""

    def refuse(pid: int, uid: int, member: wire.Member) -> wire.Member:
        raise BusError(f"process {pid} is no worker", kind="stranger")

    local.identify = refuse
    with caplog.at_level(logging.WARNING), socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(local.socket("alpha"))
        line.sendall(wire.encode(wire.Hello(member=wire.Member(name="web.1"))))
        refused = line.recv(100)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(local.socket("alpha"))
        line.sendall(wire.encode(wire.Bye()))
        early = line.recv(100)

    assert refused == early == b""
    assert f"process {os.getpid()} is no worker" in caplog.text
    assert local.hub().members == ()
    assert local.hub().wrong == {"stranger": 2}


def test_a_message_cannot_bear_anothers_name(local: Any) -> None:
    """Ids are the hub's: they begin with who really sends."""
    member = local.join("web.1")
    senders: list[str] = []
    member.subscribe_to("x", lambda: senders.append(member.message.sender))
    local.settle()
    wrong = Raw(local.socket("alpha"))
    wrong.say(wire.encode(wire.Send(id=f"{member.me.id}/1", channel="x", to=("web.1",))))
    receipt = wrong.hear(wire.Receipted)

    assert receipt.delivered == (member.me.id,)
    assert senders == [wrong.me.id]
    wrong.close()


def test_nothing_is_delivered_twice_when_the_hub_dies(local: Any, eventually: Wait) -> None:
    """In the middle of messages: all receipts come, true ones, and every listener has run once."""
    members = [local.join(f"web.{number}") for number in range(1, 5)]
    heard: list[list[int]] = [[] for _ in members]
    for member, list_ in zip(members, heard, strict=True):
        member.subscribe_to("count", list_.append)
    local.settle()
    receipts = []
    for number in range(400):
        receipts.append(members[number % 4].publish("count", number, timeout_s=20))
        if number in {100, 200, 300}:
            local.run(local.end_hub("alpha"))
            local.run(local.start_hub("alpha"))

    assert [str(receipt) for receipt in receipts] == ["4 of 4"] * 400
    assert [sorted(list_) for list_ in heard] == [list(range(400))] * 4


def test_a_handed_over_socket_refuses_nobody(local: Any, eventually: Wait) -> None:
    """Who comes between two hubs waits in the queue of the socket; leases stay, tokens rise."""
    member = local.join("web.1")
    lease = member.take("job")

    async def replace() -> None:
        number = await local.servers["alpha"].hand_over()
        await local.start_hub("alpha", socket.socket(fileno=number))

    local.run(replace())
    eventually(lambda: member._line.breaks)
    other = local.join("web.2")
    refused = other.take("job")
    member.keeper.renew(lease)
    lease.release()
    taken = other.take("job")

    assert refused is None
    assert taken.token == lease.token + 1


def test_the_leases_of_a_killed_process_are_free_at_once(local: Any, eventually: Wait) -> None:
    """The kernel says that it is dead; nobody waits an hour. One that is only stopped keeps what it has."""
    member = local.join("web.1")
    process = subprocess.Popen(
        [sys.executable, "-c", STRANGER, local.socket("alpha")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    eventually(lambda: "job" in local.hub().leases.held())
    process.send_signal(signal.SIGSTOP)
    stopped = member.take("job")
    process.kill()
    process.communicate()
    taken: list[Any] = []
    eventually(lambda: taken or taken.append(member.take("job")) or taken[-1] or taken.clear())

    assert stopped is None
    assert taken[0].token == 2
    eventually(lambda: len(member.members) == 1)


@pytest.mark.parametrize("when_full", ["refuse", "drop_oldest"])
def test_a_queue_has_a_bound(when_full: Any, make_world: Callable[[Limits], Any]) -> None:
    """Who is behind gets the first or the last of all messages, by the policy; each sender is told."""
    world = make_world(Limits(queue=10, when_full=when_full))
    try:
        first, second = world.join("web.1"), world.join("web.2")
        go = threading.Event()
        heard: list[int] = []

        def listen(number: int) -> None:
            go.wait(20)
            heard.append(number)

        second.subscribe_to("x", listen)
        world.settle()
        receipts = [first.publish("x", number, timeout_s=20) for number in range(200)]
        first.count("sent", 1)
        go.set()
        failed = [number for number, receipt in enumerate(receipts) if receipt.failed]
    finally:
        world.close()

    expected = list(range(138, 200)) if when_full == "refuse" else list(range(128, 190))
    assert failed == expected
    assert heard == [number for number in range(200) if number not in expected]
    assert "queue is full" in receipts[failed[0]].failed[second.me.id] or when_full != "refuse"
