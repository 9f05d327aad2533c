"""The internals that applications and their tests touch, under their old names: each is there, and behaves."""

from __future__ import annotations

import datetime
import io
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import cherrypy
from cherrypy.app.server import Server
from cherrypy.lib import sessions, static
from cherrypy.process import plugins, servers, wspbus


def test_json_yields_utf8() -> None:
    """``encode`` gives chunks of bytes, ``decode`` takes text."""
    assert json.loads(b"".join(cherrypy._json.encode({"a": "ü"}))) == {"a": "ü"}
    assert cherrypy._json.decode('{"a": 1}') == {"a": 1}


def test_text_helpers_convert() -> None:
    """ISO-8859-1 unless said otherwise; the wrong kind is a TypeError."""
    compat = cherrypy._cpcompat

    assert compat.ntob("ü") == b"\xfc"
    assert compat.ntob("ü", "utf-8") == b"\xc3\xbc"
    assert compat.ntou("x") == "x"
    assert compat.tonative(b"\xfc") == "ü"
    assert isinstance("x", compat.text_or_bytes)
    with pytest.raises(TypeError):
        compat.ntob(b"x")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        compat.assert_native(b"x")


def test_hooks_without_a_callback_can_be_sorted() -> None:
    """By priority."""
    first, second = cherrypy._cprequest.Hook(None, priority=2), cherrypy._cprequest.Hook(None, priority=1)

    assert sorted([first, second]) == [second, first]


def test_class_properties_belong_to_the_class() -> None:
    """Above a plain function, and above a class method."""

    class Owner:
        @cherrypy._helper.classproperty
        def plain(cls) -> str:
            return cls.__name__  # type: ignore[attr-defined]

        @cherrypy._helper.classproperty
        @classmethod
        def wrapped(cls) -> str:
            return cls.__name__

    assert (Owner.plain, Owner().plain, Owner.wrapped) == ("Owner", "Owner", "Owner")


def test_the_signature_of_a_page_has_four_parts() -> None:
    """Applications unpack them."""
    arguments, varargs, varkw, defaults = cherrypy._cpdispatch.getargspec(lambda a, b=1, *c, **d: None)

    assert (arguments, varargs, varkw, defaults) == (["a", "b"], "c", "d", (1,))


def test_the_format_of_access_lines_can_be_replaced_on_the_class() -> None:
    """The documented place for it."""
    manager = cherrypy._cplogging.LogManager

    assert manager.access_log_format == '{h} {l} {u} {t} "{r}" {s} {b} "{f}" "{a}"'
    assert cherrypy._cplogging.logfmt is not None


def test_the_clock_of_access_lines_is_looked_up_late() -> None:
    """Tests replace the datetime module's class."""
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    with mock.patch("datetime.datetime") as clock:
        clock.now.return_value = moment
        told = str(cherrypy._cplogging.LazyRfc3339UtcTime())

    assert told.startswith("2026-01-02T03:04:05")


def test_the_memory_of_a_part_is_a_class_attribute() -> None:
    """1000 bytes; applications raise it."""
    assert cherrypy._cpreqbody.Part.maxrambytes == 1000


def test_server_classes_can_be_named_in_the_configuration() -> None:
    """By dotted name, and made by hand from ``cherrypy.server``."""
    adapter = Server()
    adapter.instance = "cherrypy._cpwsgi_server.CPWSGIServer"
    made, _ = adapter.httpserver_from_self()

    assert isinstance(made, cherrypy._cpwsgi_server.CPWSGIServer)
    assert cherrypy._cpnative_server.CPHTTPServer(adapter).server_adapter is adapter


def test_the_server_object_has_what_applications_set_and_read() -> None:
    """Before it has a socket."""
    server: Any = cherrypy._cpwsgi_server.CPWSGIServer(Server())
    names = (
        "start stop ready wsgi_app timeout interrupt socket stats ssl_adapter requests numthreads bind_addr "
        "server_name version software max_request_header_size max_request_body_size shutdown_timeout protocol nodelay "
        "error_log ConnectionClass keep_alive_conn_limit expiration_interval"
    )
    pool = "idle qsize _threads grow shrink min max"

    assert not [name for name in names.split() if not hasattr(server, name)]
    assert not [name for name in pool.split() if not hasattr(server.requests, name)]
    assert server.keep_alive_conn_limit == 10
    assert server.version.startswith("CherryPy/")
    server.timeout = 3
    assert server.timeout == 3


def test_a_server_forgets_its_object_when_told() -> None:
    """The idiom before a restart."""
    adapter = Server()
    adapter.httpserver, _ = adapter.httpserver_from_self()
    adapter.httpserver = None
    adapter.instance = None

    assert adapter.httpserver_from_self()[0] is not None


def test_sessions_show_their_stores() -> None:
    """Class attributes that tests look into."""
    assert sessions.FileSession.SESSION_PREFIX == "session-"
    assert sessions.FileSession.LOCK_SUFFIX == ".lock"
    assert sessions.Session.clean_thread is None
    assert isinstance(sessions.RamSession.cache, dict)
    assert isinstance(sessions.RamSession.locks, dict)


@pytest.mark.parametrize("kind", ["ram", "file"])
def test_sessions_by_their_old_storage_type(site: Any, tmp_path: Path, kind: str) -> None:
    """``storage_type`` instead of ``storage_class``."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            cherrypy.session["x"] = 1
            return type(cherrypy.serving.session).__name__

    settings = {
        "tools.sessions.on": True,
        "tools.sessions.storage_type": kind,
        "tools.sessions.storage_path": str(tmp_path),
    }
    site.mount(Root(), "", {"/": settings})

    assert site("/").body.decode().lower() == f"{kind}session"


def test_served_files_show_their_input(tmp_path: Path, site: Any) -> None:
    """``serve_file`` returns what has the open file as ``input``."""
    (tmp_path / "x.txt").write_text("hello")
    seen: list[Any] = []

    class Root:
        @cherrypy.expose
        def index(self) -> Any:
            seen.append(static.serve_file(str(tmp_path / "x.txt")))
            return seen[0]

    site.mount(Root())

    assert site("/").body == b"hello"
    assert seen[0].input.closed


def test_file_generators_have_the_old_method() -> None:
    """``next`` of Python 2 days."""
    chunks: Any = cherrypy.lib.file_generator(io.BytesIO(b"abc"), 2)

    assert chunks.input.tell() == 0
    assert (chunks.next(), next(chunks)) == (b"ab", b"c")
    with pytest.raises(StopIteration):
        chunks.next()


def test_the_autoreloader_takes_modules_without_a_file() -> None:
    """Namespace packages have ``__file__`` None."""
    assert plugins.Autoreloader._file_for_file_module(mock.Mock(__file__=None)) is None


def test_a_timeout_of_portend_is_only_a_warning_on_any_address() -> None:
    """By the name of its class: the package itself is not needed."""
    timeout = type("Timeout", (OSError,), {"__module__": "portend"})
    with pytest.warns(UserWarning, match="Unable to verify that the server is bound on 9"):
        with servers._safe_wait("0.0.0.0", 9):
            raise timeout("late")


def test_listeners_can_be_walked_and_channels_are_free() -> None:
    """Iteration of ``engine.listeners``; a publish on a channel of nobody gives nothing."""
    bus = wspbus.Bus()

    assert {"start", "stop", "exit", "graceful", "log", "main"} <= set(bus.listeners)
    assert bus.publish("Autoreloader", "mtimes") == []


def test_a_tool_shows_what_it_is_made_of() -> None:
    """Point, name, priority, callable, merged arguments."""
    tool = cherrypy.Tool("before_handler", lambda a=1: None, "mine", 20)
    with mock.patch.object(cherrypy.serving, "request", mock.Mock(toolmaps={"tools": {"mine": {"on": True, "a": 2}}})):
        merged = tool._merged_args({"b": 3})

    assert (tool._point, tool._name, tool._priority) == ("before_handler", "mine", 20)
    assert merged == {"a": 2, "b": 3}


def test_a_configuration_file_can_name_what_a_test_put_on_the_root() -> None:
    """``cherrypy.X`` in an expression is looked up when it is read."""
    with mock.patch.object(cherrypy, "_test_dict", {"a": 1}, create=True):
        assert cherrypy.lib.reprconf.unrepr("cherrypy._test_dict") == {"a": 1}


def test_environments_can_be_added() -> None:
    """A dict to put one's own into."""
    assert {"staging", "production", "embedded", "test_suite"} <= set(cherrypy._cpconfig.environments)
    assert cherrypy._cpconfig.environments is cherrypy.config.environments


def test_signal_handlers_are_a_dict_by_name() -> None:
    """Applications add their own."""
    assert set(cherrypy.engine.signal_handler.handlers) == {"SIGTERM", "SIGHUP", "SIGUSR1"}


def test_the_log_of_the_bus_can_be_taken_off() -> None:
    """``engine.unsubscribe('log', cherrypy._buslog)``, and put back."""
    listener = cherrypy._buslog  # type: ignore[attr-defined]

    assert listener in cherrypy.engine.listeners["log"]
    assert cherrypy._ThreadLocalProxy is type(cherrypy.request)  # type: ignore[attr-defined]
    assert cherrypy._Serving is type(cherrypy.serving)  # type: ignore[attr-defined]
    assert cherrypy._httputil is cherrypy.lib.httputil  # type: ignore[attr-defined]


# What applications touch while a request is served


def test_the_cache_is_announced_and_shows_its_store(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """``cherrypy._cache.store[url].clear()``."""
    monkeypatch.delattr(cherrypy, "_cache", raising=False)
    site.mount(type("Root", (), {"index": cherrypy.expose(lambda self: "x")})(), "", {"/": {"tools.caching.on": True}})
    assert not hasattr(cherrypy, "_cache")

    site("/")

    assert "http://site.test/" in cherrypy._cache.store
    cherrypy._cache.store["http://site.test/"].clear()


def test_a_session_shows_its_data_and_stores_show_theirs(site: Any) -> None:
    """``cherrypy.session._data``, ``.cache``, ``.locks``."""
    seen: dict[str, Any] = {}

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            cherrypy.session["x"] = 1
            seen.update(data=dict(cherrypy.session._data), cache=cherrypy.session.cache, locks=cherrypy.session.locks)
            return "x"

    site.mount(Root(), "", {"/": {"tools.sessions.on": True}})
    site("/")

    assert seen["data"] == {"x": 1}
    assert seen["cache"] is sessions.RamSession.cache
    assert seen["locks"] is sessions.RamSession.locks


def test_the_environ_of_a_request_names_the_server(site: Any) -> None:
    """Also on the native path, which has none until somebody looks."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            environ = cherrypy.request.wsgi_environ
            return f"{environ['SERVER_PORT']} {environ['REQUEST_METHOD']} {environ['wsgi.url_scheme']}"

    site.mount(Root())

    assert site("/").body == b"8080 GET http"


def test_headers_can_be_added_to_the_finished_list(site: Any) -> None:
    """In bytes, at on_end_resource."""

    def extend() -> None:
        cherrypy.serving.response.header_list.extend([(b"X-Late", b"1")])

    site.mount(
        type("Root", (), {"index": cherrypy.expose(lambda self: "x")})(), "", {"/": {"hooks.on_end_resource": extend}}
    )

    assert site("/").headers["X-Late"] == "1"


def test_the_current_request_takes_attributes_and_so_does_serving(site: Any) -> None:
    """They live as long as the request does."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            known = hasattr(cherrypy.request, "mine") or hasattr(cherrypy.serving, "own")
            cherrypy.request.mine = cherrypy.serving.own = "x"
            return f"{known} {cherrypy.serving.request.mine} {cherrypy.serving.own}"

    site.mount(Root())

    assert [site("/").body for _ in range(2)] == [b"False x x"] * 2


def test_the_page_below_json_out_can_be_reached(site: Any) -> None:
    """``request._json_inner_handler``."""

    class Root:
        @cherrypy.expose
        @cherrypy.tools.json_out()
        def index(self) -> Any:
            return [callable(cherrypy.request._json_inner_handler)]

    site.mount(Root())

    assert site("/").body == b"[true]"


def test_dispatchers_toolboxes_and_stores_can_be_subclassed(site: Any) -> None:
    """Under the names that applications import."""

    class Lower(cherrypy._cpdispatch.Dispatcher):
        def find_handler(self, path: str) -> Any:
            return super().find_handler(path.lower())

    class Store(sessions.RamSession):
        def generate_id(self) -> str:
            return f"own{super().generate_id()}"

    class Refuse(cherrypy._cptools.HandlerTool):
        pass

    def refuse(code: int) -> bool:
        cherrypy.response.body = [b"refused %d" % code]
        return True

    box = cherrypy._cptools.Toolbox("own")
    box.refuse = Refuse(refuse)

    class Root:
        @cherrypy.expose
        def page(self) -> str:
            cherrypy.session["x"] = 1
            return str(cherrypy.session.id)

        @cherrypy.expose
        @cherrypy.config(**{"own.refuse.on": True, "own.refuse.code": 7})
        def never(self) -> str:
            return "answered"

    settings = {"request.dispatch": Lower(), "tools.sessions.on": True, "tools.sessions.storage_class": Store}
    site.mount(Root(), "", {"/": settings}).toolboxes = {"tools": cherrypy.tools, "own": box}

    assert site("/PAGE").body.startswith(b"own")
    assert site("/never").body == b"refused 7"


def test_the_body_of_a_response_can_be_looked_at(site: Any) -> None:
    """``response._body`` is what a handler's value became."""
    seen: list[Any] = []
    site.mount(
        type("Root", (), {"index": cherrypy.expose(lambda self: "x")})(),
        "",
        {"/": {"hooks.before_finalize": lambda: seen.append(cherrypy.response._body)}},
    )
    site("/")

    assert list(seen[0]) == [b"x"]


def test_loggers_are_plain_loggers() -> None:
    """Handlers, level and propagation are set on them."""
    assert cherrypy.log.error_log.name == "cherrypy.error"
    assert cherrypy.log.access_log.name == "cherrypy.access"
    assert cherrypy.Application(None).log.error_log.name.startswith("cherrypy.error.")


def test_the_leak_page_counts_requests_responses_and_their_wsgi_twins() -> None:
    """The classes that tests of applications expect it to look for."""
    counted = [entry[0] for entry in cherrypy.lib.gctools.GCRoot.classes]  # type: ignore[attr-defined]

    assert counted == [cherrypy._cprequest.Request, cherrypy._cprequest.Response, cherrypy._cpwsgi.AppResponse]


def test_an_application_class_may_have_its_configuration() -> None:
    """Each application has a copy, and what it is given is merged into it."""

    class Configured(cherrypy.Application):
        config = {"/": {"a": 1}}

    app = Configured(None, "", {"/": {"b": 2}})

    assert app.config["/"] == {"a": 1, "b": 2}
    assert Configured.config == {"/": {"a": 1}}
    app.config["/"]["c"] = 3
    assert app.find_config("/deep", "c") == 3


def test_outside_of_a_request_there_is_no_base() -> None:
    """``cherrypy.request.base or ...`` is how applications ask."""
    assert cherrypy.request.base == ""
    assert cherrypy._cprequest.Request.base == ""
