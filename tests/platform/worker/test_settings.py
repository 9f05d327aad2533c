"""Configuration and log levels that change in a running worker, and change back."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

import cherrypy
from cherrypy.process.wspbus import Bus
from kirsch.link.cluster import Cluster
from kirsch.worker.settings import LiveSettings


@pytest.fixture
def live() -> Iterator[LiveSettings]:
    """Settings over the site's configuration, which is as it was afterwards."""
    before = dict(cherrypy.config)
    yield LiveSettings()
    assert dict(cherrypy.config) == before


def test_a_default_comes_back(live: LiveSettings) -> None:
    """Though the configuration has never said it; set twice, it is the value before the first that comes back."""
    default = cherrypy.server.max_request_body_size
    live.apply("config", "server.max_request_body_size", 1000)
    live.apply("config", "server.max_request_body_size", 2000)
    during = cherrypy.server.max_request_body_size
    live.apply("config", "server.max_request_body_size", None)
    live.apply("config", "server.max_request_body_size", None)

    assert during == 2000
    assert cherrypy.server.max_request_body_size == default


def test_what_is_wrong_changes_nothing(live: LiveSettings) -> None:
    """The framework refuses it, and has its value of before."""
    default = cherrypy.server.socket_timeout
    with pytest.raises(ValueError, match="socket_timeout"):
        live.apply("config", "server.socket_timeout", "soon")

    assert cherrypy.server.socket_timeout == default


@pytest.mark.parametrize("key", ["engine.autoreload.on", "tree.x", "hooks.before_handler", "environment", "x"])
def test_what_makes_objects_cannot_be_set(live: LiveSettings, key: str) -> None:
    """Nor what ends or mounts something."""
    with pytest.raises(ValueError, match="cannot be set while workers run"):
        live.apply("config", key, True)


def test_levels_come_back(live: LiveSettings) -> None:
    """Of any logger."""
    logger = logging.getLogger("shop.test")
    logger.setLevel(logging.ERROR)
    live.apply("log_level", "shop.test", "DEBUG")
    live.apply("log_level", "shop.test", "INFO")
    during = logger.level
    live.apply("log_level", "shop.test", None)
    with pytest.raises(ValueError, match="allowed: DEBUG"):
        live.apply("log_level", "shop.test", "LOUD")

    assert during == logging.INFO
    assert logger.level == logging.ERROR


def test_what_was_set_before_is_taken_over(live: LiveSettings, caplog: pytest.LogCaptureFixture) -> None:
    """One that cannot be is said, and the others hold."""
    cluster = Cluster(Bus())
    cluster.settings["config"] = {"engine.x": 1, "tools.gzip.on": True}
    live.follow(cluster)
    during = cherrypy.config.get("tools.gzip.on")
    live.apply("config", "tools.gzip.on", None)

    assert during is True
    assert "engine.x cannot be set" in caplog.text
