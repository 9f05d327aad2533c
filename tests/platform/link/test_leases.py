"""Leases by a clock of the test's own."""

from __future__ import annotations

from kirsch.link.leases import LeaseTable


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 1_700_000_000.0

    def table(self, last_token: int = 0) -> LeaseTable:
        return LeaseTable(lambda: self.now, lambda: self.wall, last_token)


def test_one_holder_at_a_time() -> None:
    """The second one is told who has it; when it runs out it is the next one's, with a higher token."""
    clock = Clock()
    table = clock.table()
    first = table.take("job", "a", 10)
    refused = table.take("job", "b", 10)
    again = table.take("job", "a", 10)
    clock.now += 10
    second = table.take("job", "b", 10)

    assert first.granted
    assert (refused.granted, refused.holder, refused.why) == (False, "a", "held")
    assert not again.granted
    assert second.granted
    assert second.token > first.token
    assert not table.renew("job", "a", first.token, 10).granted
    assert not table.release("job", "a", first.token).granted
    assert table.held()["job"].holder == "b"


def test_renewed_it_lasts() -> None:
    """As long as it is renewed in time; what ran out is lost though nobody else took it."""
    clock = Clock()
    table = clock.table()
    token = table.take("job", "a", 10).token
    for _ in range(5):
        clock.now += 9
        assert table.renew("job", "a", token, 10).granted
    clock.now += 10

    assert table.renew("job", "a", token, 10).why == "ran out"


def test_the_same_question_has_the_same_answer() -> None:
    """Asked again, since the answer was lost with the hub; another question of the same member is another one."""
    table = Clock().table()
    first = table.take("job", "a", 10, ask="1")

    assert table.take("job", "a", 10, ask="1") == first
    assert not table.take("job", "a", 10, ask="2").granted
    assert not table.take("job", "b", 10, ask="1").granted


def test_once_in_a_period() -> None:
    """Whoever asks: not before the period is over; a hundredth of it is what timers may be early."""
    clock = Clock()
    table = clock.table()
    token = table.take("job", "a", 10, every_s=60).token
    table.release("job", "a", token)
    clock.now += 59
    early = table.take("job", "b", 10, every_s=60)
    clock.now += 0.5
    late = table.take("job", "b", 10, every_s=60)

    assert early.why == "not yet"
    assert late.granted


def test_once_for_each_slot() -> None:
    """A slot is given once, also when the clock goes back; one of a wrong clock's future does not block the others."""
    clock = Clock()
    table = clock.table()

    def run(slot: float) -> bool:
        grant = table.take("job", "a", 10, slot=slot)
        if grant.granted:
            table.release("job", "a", grant.token)
        return grant.granted

    assert run(clock.wall)
    assert not run(clock.wall)
    assert run(clock.wall + 60)
    assert not run(clock.wall - 3600)
    assert run(clock.wall + 86400 * 365)
    assert run(clock.wall + 120)


def test_the_leases_of_the_dead_are_free() -> None:
    """All of theirs, nobody else's."""
    table = Clock().table()
    table.take("a", "dead", 10)
    table.take("b", "dead", 10)
    table.take("c", "alive", 10)

    assert table.release_all("dead") == ["a", "b"]
    assert table.take("a", "alive", 10).granted
    assert not table.take("c", "dead", 10).granted


def test_tokens_go_on_after_a_restart() -> None:
    """Where the one before has ended."""
    assert Clock().table(last_token=41).take("job", "a", 10).token == 42
