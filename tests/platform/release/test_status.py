"""What a supervisor's status says to a deploy."""

from __future__ import annotations

import msgspec
import pytest

from kirsch.release.status import Status, first_failure


@pytest.mark.parametrize(("state", "is_failure"), [("failed", True), ("parked", True), ("ready", False)])
def test_a_worker_that_failed_is_found(state: str, is_failure: bool) -> None:
    """Also one that is parked, since it failed again and again."""
    workers = [{"name": "web.1", "state": "ready"}, {"name": "web.2", "state": state}]
    data = {"stack": "shop", "release": "r", "generation": 1, "pid": 2, "pools": [{"name": "web", "workers": workers}]}
    found = first_failure(msgspec.convert(data, Status))

    assert (found is not None and found.name == "web.2") == is_failure
