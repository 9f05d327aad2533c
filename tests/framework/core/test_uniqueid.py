"""The identifier of a request."""

from __future__ import annotations

import uuid
from typing import Any
from unittest import mock

import cherrypy
from cherrypy.core.uniqueid import LazyUUID4


def test_it_stays_the_same() -> None:
    """As text and as an object of the standard library."""
    identifier = LazyUUID4()

    assert str(identifier) == str(identifier)
    assert isinstance(identifier.uuid4, uuid.UUID)
    assert identifier.uuid4 is identifier.uuid4
    assert str(identifier.uuid4) == f"{identifier}"


def test_it_is_made_when_somebody_looks() -> None:
    """Random numbers cost."""
    with mock.patch("uuid.uuid4") as make:
        identifier = LazyUUID4()
        assert not make.called
        str(identifier)

    make.assert_called_once_with()


def test_each_request_has_its_own(site: Any) -> None:
    """Stable while it lasts."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            return f"{cherrypy.request.unique_id} {cherrypy.request.unique_id}"

    site.mount(Root())
    first, second = (site("/").body.split() for _ in range(2))

    assert first[0] == first[1]
    assert second[0] == second[1]
    assert first[0] != second[0]
