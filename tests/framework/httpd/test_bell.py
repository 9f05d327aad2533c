"""An eventfd that is rung and closed by different threads."""

from __future__ import annotations

import os
import select

from cherrypy.httpd.bell import Bell


def is_rung(fd: int) -> bool:
    """True when a poll of *fd* returns at once."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def test_it_rings_until_it_is_hushed() -> None:
    """However often it was rung."""
    bell = Bell()
    before = is_rung(bell.fd)
    bell.ring()
    bell.ring()
    between = is_rung(bell.fd)
    bell.hush()
    after = is_rung(bell.fd)
    bell.hush()
    bell.close()

    assert (before, between, after) == (False, True, False)


def test_a_closed_one_touches_nobody_elses_descriptor() -> None:
    """Its number is taken by another one at once."""
    bell = Bell()
    number = bell.fd
    bell.close()
    other = os.eventfd(0, os.EFD_NONBLOCK)
    try:
        bell.ring()
        bell.hush()
        bell.close()

        assert other == number
        assert not is_rung(other)
    finally:
        os.close(other)
