"""Configuration and log levels that change in a running worker, and change back."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.app.server import LIVE
from cherrypy.app.server_limits import LIMIT_KEYS
from cherrypy.core.entity import RequestBody
from cherrypy.process.wspbus import Bus
from kirsch.link.cluster import Cluster
from kirsch.link.setting import CHECK_SETTINGS
from kirsch.spec import App
from kirsch.worker.settingcheck import BODY_KEYS, SERVER_KEYS
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


class Shop:
    """A page, and one below."""

    @cherrypy.expose
    def index(self) -> str:
        """Greet."""
        return "hello"

    @cherrypy.expose
    def admin(self, page: str = "") -> str:
        """Greet."""
        return "admin"


@pytest.fixture
def shop() -> Iterator[cherrypy.Application]:
    """An application that is mounted, with a section of its own."""
    before = dict(cherrypy.tree.apps)
    config = {"/": {}, "/admin": {"tools.response_headers.headers": [("X-Was", "1")]}}
    cherrypy.tree.mount(Shop(), "/shop", config)
    yield cherrypy.tree.apps["/shop"]
    cherrypy.tree.apps.clear()
    cherrypy.tree.apps.update(before)


APPS = (App(name="shop", entry="shop:Root", mount="/shop"),)


def headers_of(path: str) -> dict[str, str]:
    """What a page answers."""
    answered: list[Any] = []
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "h",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "192.0.2.1", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "HTTP_HOST": "h",
        "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip
    body = cherrypy.tree(environ, lambda status, headers, exc=None: answered.extend(headers))
    assert b"".join(body)
    return dict(answered)


def test_one_path_of_one_app(shop: cherrypy.Application) -> None:
    """From its next request on, at and below that path; taken back, it is what the application has written."""
    live = LiveSettings(APPS)
    live.apply("app_config", "shop /admin tools.response_headers.headers", [["X-Live", "1"]])
    live.apply("app_config", "shop /admin tools.response_headers.on", True)
    live.apply("app_config", "shop / response.headers.X-All", "1")
    during = [headers_of(path) for path in ("/shop/", "/shop/admin", "/shop/admin/page")]
    for key in (
        "/admin tools.response_headers.headers",
        "/admin tools.response_headers.on",
        "/ response.headers.X-All",
    ):
        live.apply("app_config", f"shop {key}", None)
        live.apply("app_config", f"shop {key}", None)
    after = headers_of("/shop/admin")

    assert ["X-Live" in headers for headers in during] == [False, True, True]
    assert all("X-All" in headers for headers in during)
    assert not {"X-Live", "X-Was", "X-All"} & after.keys()
    assert shop.config["/admin"] == {"tools.response_headers.headers": [("X-Was", "1")]}


def test_a_section_that_was_not_there_is_gone_again(shop: cherrypy.Application) -> None:
    """With its last setting; settings of apps that are elsewhere are nothing to this worker."""
    live = LiveSettings(APPS)
    live.check("app_config", {"other /x nonsense": 1})
    live.apply("app_config", "other /x nonsense", 1)
    live.apply("app_config", "shop /new request.show_tracebacks", True)
    during = dict(shop.config["/new"])
    live.apply("app_config", "shop /new request.show_tracebacks", None)

    assert during == {"request.show_tracebacks": True}
    assert "/new" not in shop.config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"/admin tools.gzipp.on": True}, "Did you mean 'gzip'"),
        ({"/admin tools.gzip.compres_level": 3}, "compress_level"),
        ({"/admin tools.gzip.compress_level": "high"}, "from 0 to 9"),
        ({"/admin tools.auth_basic.on": True}, "realm"),
        ({"/admin tools.staticdir.on": True, "/admin tools.staticdir.section": "x"}, "dir"),
        ({"/ tools.sessions.on": True, "/ tools.sessions.timeout": "long"}, "a number of minutes"),
        ({"/ tools.sessions.on": True, "/ tools.sessions.storage_class": "no.such"}, "storage_class"),
        ({"/ request.show_traceback": True}, "Did you mean 'show_tracebacks'"),
        ({"/ request.body.maxbytes": "all"}, "maxbytes"),
        ({"/ response.streem": True}, "Did you mean 'stream'"),
        ({"/ error_page.404": "/no/such/file"}, "a file that is there"),
        ({"/ error_page.200": __file__}, "400 to 599"),
        ({"/ server.max_connections": 5}, "cannot be set for /"),
        ({"/ tools": True}, "cannot be set for /"),
        ({"admin tools.gzip.on": True}, "APP /PATH KEY"),
    ],
)
def test_what_could_not_work_is_refused_before(
    shop: cherrypy.Application, values: dict[str, Any], message: str
) -> None:
    """All of a question together; and asking changes nothing."""
    live = LiveSettings(APPS)
    before = shop.config.copy()
    with pytest.raises((ValueError, TypeError), match=message):
        live.check("app_config", {f"shop {key}": value for key, value in values.items()})

    assert dict(shop.config) == dict(before)


def test_what_works_together_is_not_refused(shop: cherrypy.Application, tmp_path: Any, live: LiveSettings) -> None:
    """Of an app, and of the site; what is taken back never is."""
    mine = LiveSettings(APPS)
    static = {"on": True, "dir": str(tmp_path), "section": "/admin"}
    mine.check("app_config", {f"shop /admin tools.staticdir.{key}": value for key, value in static.items()})
    mine.check("app_config", {"shop /admin nonsense": None})
    live.check("config", {"tools.gzip.on": True, "tools.gzip.compress_level": 3, "server.max_connections": 5})
    live.check("config", {"nonsense": None, "log.screen": False, "request.show_tracebacks": False})
    live.check("log_level", {"root": "DEBUG", "shop": None})

    assert "tools.gzip.on" not in cherrypy.config


def test_what_may_change_of_the_server_is_what_it_looks_at_while_it_runs() -> None:
    """The platform's list of keys is the framework's."""
    assert {*LIVE, *LIMIT_KEYS} == SERVER_KEYS
    assert all(hasattr(RequestBody, key) or key in {"attempt_charsets", "default_content_type"} for key in BODY_KEYS)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("config", {"tools.gzip.on": True, "server.socket_timeout": "soon"}, "socket_timeout"),
        ("config", {"server.thread_pool": 5}, "can change while it runs"),
        ("config", {"server.max_conections": 5}, "Did you mean 'max_connections'"),
        ("config", {"log.screeen": True}, "Did you mean 'screen'"),
        ("config", {"tools.auth_basic.on": True}, "realm"),
        ("log_level", {"root": "LOUD"}, "allowed: DEBUG"),
    ],
)
def test_of_the_site_as_well(
    shop: cherrypy.Application, live: LiveSettings, section: str, values: dict[str, Any], message: str
) -> None:
    """Keys that nothing reads, values that cannot be, and what is only read at the start."""
    with pytest.raises((ValueError, TypeError), match=message):
        live.check(section, values)


def test_a_foreign_app_has_no_configuration() -> None:
    """It is said, not passed over."""
    with pytest.raises(ValueError, match="no CherryPy application at /elsewhere"):
        LiveSettings([App(name="django", entry="x:y", mount="/elsewhere")]).check(
            "app_config", {"django / tools.gzip.on": True}
        )


def test_the_bus_asks_and_sets(live: LiveSettings) -> None:
    """A worker answers what it would do, and does it."""
    cluster = Cluster(Bus())
    cluster.subscribe()
    live.follow(cluster)
    refused = cluster.inbox._publish(CHECK_SETTINGS, "config", {"tools.gzip.on": True})
    with pytest.raises(Exception, match="cannot be set while workers run"):
        cluster.inbox._publish(CHECK_SETTINGS, "config", {"engine.x": 1})
    cluster.leave()

    assert refused == [None]
    assert CHECK_SETTINGS in cluster.inbox.opened
