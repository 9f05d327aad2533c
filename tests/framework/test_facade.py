"""The public names, and the old ones."""

from __future__ import annotations

import importlib
import pydoc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import cherrypy
from cherrypy import _aliases, _wiring, context

LATE = ("session", "_cache", "servers")


def test_all_is_cherrypys() -> None:
    """What ``from cherrypy import *`` brings is documented, and may not hide other names of a program."""
    documented = (
        "HTTPError HTTPRedirect InternalRedirect NotFound CherryPyException dispatch tools Tool Application wsgi "
        "process tree engine quickstart serving request response thread_data log expose popargs url config"
    )

    assert set(cherrypy.__all__) == set(documented.split())
    assert all(hasattr(cherrypy, name) for name in cherrypy.__all__)


def test_the_version_is_that_of_the_interface() -> None:
    """Applications compare it."""
    assert cherrypy.__version__ == "18.10.0"
    assert cherrypy._cprequest.Response().headers["Server"] == "CherryPy/18.10.0"


def test_modules_are_attributes() -> None:
    """Without an import of their own."""
    assert cherrypy.dispatch.Dispatcher is cherrypy._cpdispatch.Dispatcher
    assert cherrypy.wsgi.VirtualHost is cherrypy._cpwsgi.VirtualHost
    assert cherrypy.process.bus is cherrypy.engine
    assert cherrypy.Tool is cherrypy._cptools.Tool
    assert cherrypy.lib.static.serve_file is importlib.import_module("cherrypy.lib.static").serve_file
    assert cherrypy.process.plugins.Monitor is importlib.import_module("cherrypy.process.plugins").Monitor


def test_the_singletons_are_of_their_documented_classes() -> None:
    """What applications make more of by hand."""
    assert isinstance(cherrypy.server, cherrypy._cpserver.Server)
    assert isinstance(cherrypy.tree, cherrypy._cptree.Tree)
    assert isinstance(cherrypy.tools, cherrypy._cptools.Toolbox)
    assert cherrypy.tools.namespace == "tools"
    assert isinstance(cherrypy.log, cherrypy._cplogging.LogManager)
    assert isinstance(cherrypy.config, cherrypy._cpconfig.Config)
    assert isinstance(cherrypy.checker, cherrypy._cpchecker.Checker)
    assert isinstance(cherrypy.engine, cherrypy.process.wspbus.Bus)
    assert isinstance(cherrypy.engine.autoreload, cherrypy.process.plugins.Autoreloader)
    assert isinstance(cherrypy.engine.thread_manager, cherrypy.process.plugins.ThreadManager)
    assert isinstance(cherrypy.engine.signal_handler, cherrypy.process.plugins.SignalHandler)
    assert callable(cherrypy.engine.signals.subscribe)


@pytest.mark.parametrize("name", sorted(_aliases._TABLE))
def test_old_modules_can_be_imported(name: str) -> None:
    """By import and as attribute."""
    module = importlib.import_module(f"cherrypy.{name}")

    assert getattr(cherrypy, name) is module


@pytest.mark.parametrize(
    "dotted",
    [
        "_cpcompat.ntob",
        "_cpconfig.environments",
        "_cpdispatch.Dispatcher",
        "_cperror.get_error_page",
        "_cperror.HTTPRedirect",
        "_cplogging.LogManager",
        "_cplogging.logfmt",
        "_cpnative_server.CPHTTPServer",
        "_cpreqbody.Part",
        "_cpreqbody.SizedReader",
        "_cpreqbody.process_urlencoded",
        "_cprequest.Hook",
        "_cprequest.Request",
        "_cprequest.Response",
        "_cprequest.hookpoints",
        "_cpserver.Server",
        "_cptools.HandlerTool",
        "_cptools.Toolbox",
        "_cptools.XMLRPCController",
        "_cptree.Application",
        "_cptree.Tree",
        "_cpwsgi.CPWSGIApp",
        "_cpwsgi.VirtualHost",
        "_cpwsgi_server.CPWSGIServer",
        "_helper.expose",
        "_helper.url",
        "_json.encode",
    ],
)
def test_old_names_that_applications_use(dotted: str) -> None:
    """From modules that moved."""
    module, name = dotted.split(".")

    assert getattr(getattr(cherrypy, module), name) is not None


def test_replacing_an_old_name_replaces_the_new_one() -> None:
    """And putting it back does, too."""
    from cherrypy.core import logs

    before = logs.LazyRfc3339UtcTime
    with mock.patch("cherrypy._cplogging.LazyRfc3339UtcTime", return_value="now"):
        inside: Any = logs.LazyRfc3339UtcTime

    assert inside() == "now"
    assert logs.LazyRfc3339UtcTime is before


def test_late_names_are_absent_in_a_new_process() -> None:
    """Applications ask for them with hasattr."""
    code = f"import cherrypy; print([hasattr(cherrypy, name) for name in {LATE!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "[False, False, False]", done.stderr


def test_what_an_import_subscribes() -> None:
    """The end state that applications rely on."""
    code = """
import cherrypy
engine = cherrypy.engine
assert cherrypy.server.start in engine.listeners["start"]
assert cherrypy.checker in engine.listeners["start"]
assert engine.autoreload.start in engine.listeners["start"]
assert engine.thread_manager.acquire_thread in engine.listeners["acquire_thread"]
assert {"before_request", "after_request"} <= set(engine.listeners)
assert cherrypy.log.screen
assert cherrypy.config["tools.encode.on"]
assert str(engine.state) == "states.STOPPED" or repr(engine.state) == "states.STOPPED"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


def test_proxies_are_their_objects() -> None:
    """Attributes, truth and dir go through."""
    response = cherrypy._cprequest.Response()
    cherrypy.serving.load(cherrypy.serving.request, response)
    cherrypy.response.extra = 1

    assert response.extra == 1  # type: ignore[attr-defined]
    assert "extra" in cherrypy.response.__dict__
    assert "finalize" in dir(cherrypy.response)
    assert bool(cherrypy.response)
    del cherrypy.response.extra
    assert not hasattr(response, "extra")
    cherrypy.serving.clear()


def test_a_proxy_of_a_mapping_is_one() -> None:
    """Items, containment, length, iteration: what ``cherrypy.session`` is used for."""
    proxy: Any = context.ThreadLocalProxy("basket")
    cherrypy.serving.basket = {"a": 1}
    proxy["b"] = 2
    del proxy["a"]

    assert (proxy["b"], "b" in proxy, "a" in proxy, len(proxy), list(proxy)) == (2, True, False, 1, ["b"])
    cherrypy.serving.basket = {}
    assert not proxy
    cherrypy.serving.clear()
    with pytest.raises(AttributeError, match="Nothing is called 'basket' in the request of this thread"):
        proxy["b"]


def test_a_proxy_is_an_instance_of_what_it_stands_for() -> None:
    """Functions that check their arguments take it."""
    assert isinstance(cherrypy.request, cherrypy._cprequest.Request)
    assert isinstance(cherrypy.response, cherrypy._cprequest.Response)
    assert type(cherrypy.request) is context.ThreadLocalProxy  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(("proxy", "name"), [(cherrypy.request, "Request"), (cherrypy.response, "Response")])
def test_help_describes_what_a_proxy_stands_for(proxy: Any, name: str) -> None:
    """And pydoc stays as it is: CherryPy replaced one of its functions for all programs."""
    text = pydoc.plain(pydoc.render_doc(proxy))

    assert f"class {name}(" in text
    assert getattr(cherrypy._cprequest, name).__doc__.splitlines()[0] in text
    assert pydoc.resolve.__module__ == "pydoc"


def test_a_missing_session_is_explained() -> None:
    """By what has to be turned on."""
    proxy: Any = context.ThreadLocalProxy("session")

    with pytest.raises(AttributeError, match=r"tools\.sessions\.on is not set for this page"):
        proxy.get("x")


def test_serving_belongs_to_its_thread() -> None:
    """With defaults outside of a request; load, attributes of one's own, clear."""
    default = cherrypy.serving.request
    mine = cherrypy._cprequest.Request(None, None)
    cherrypy.serving.load(mine, cherrypy._cprequest.Response())
    cherrypy.serving.note = "x"
    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(lambda: (cherrypy.serving.request, hasattr(cherrypy.serving, "note"))).result()

    assert cherrypy.serving.request is mine
    assert elsewhere == (default, False)
    cherrypy.serving.clear()
    assert cherrypy.serving.request is default
    assert not hasattr(cherrypy.serving, "note")


def test_outside_of_a_request_there_is_a_default_one() -> None:
    """Plugins and shells look at it."""
    assert (cherrypy.request.method, cherrypy.request.path_info, cherrypy.request.app) == ("GET", "/", None)
    assert (cherrypy.request.remote.ip, cherrypy.request.local.port) == ("127.0.0.1", 80)
    assert cherrypy.request.params == {}
    assert cherrypy.response.headers["Content-Type"] == "text/html"


def test_thread_data_belongs_to_its_thread() -> None:
    """A plain name space."""
    cherrypy.thread_data.x = 1
    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(hasattr, cherrypy.thread_data, "x").result()

    assert cherrypy.thread_data.x == 1
    del cherrypy.thread_data.x


def test_session_appears_with_the_first_request_that_has_one(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again after a test has deleted it."""

    @cherrypy.expose
    def index(self: Any) -> str:
        cherrypy.session["x"] = 1
        return str(cherrypy.session["x"])

    site.mount(type("Root", (), {"index": index})(), "", {"/": {"tools.sessions.on": True}})
    monkeypatch.setattr(cherrypy, "session", None, raising=False)
    monkeypatch.delattr(cherrypy, "session")
    assert not hasattr(cherrypy, "session")

    assert site("/").body == b"1"
    assert hasattr(cherrypy, "session")


def test_servers_appear_with_the_first_named_one() -> None:
    """``server.NAME.KEY`` makes it."""
    code = """
import cherrypy
assert not hasattr(cherrypy, "servers")
cherrypy.config.update({"server.two.socket_port": 1234, "server.socket_port": 5678})
assert cherrypy.servers["two"].socket_port == 1234 and cherrypy.server.socket_port == 5678
assert cherrypy.servers["two"].start in cherrypy.engine.listeners["start"]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


def test_tree_can_be_replaced() -> None:
    """Tests of applications give each class its own."""
    tree = cherrypy._cptree.Tree()
    with mock.patch.object(cherrypy, "tree", tree):
        cherrypy.config.update({"tree.x": cherrypy.Application(None, "/x")})
        with mock.patch.object(cherrypy, "engine"), mock.patch.object(_wiring, "engine") as engine:
            cherrypy.quickstart(None, "/y")

    assert set(tree.apps) == {"/x", "/y"}
    assert [call[0] for call in engine.method_calls] == ["signals.subscribe", "start", "block"]


def test_an_interrupt_at_the_very_end_of_the_start_is_an_ordinary_end() -> None:
    """Whoever waits for 'Bus STARTED' may press Ctrl-C before ``block`` has begun."""
    tree = cherrypy._cptree.Tree()
    with mock.patch.object(cherrypy, "tree", tree), mock.patch.object(_wiring, "engine") as engine:
        engine.start.side_effect = KeyboardInterrupt
        cherrypy.quickstart(None, "/z")

    assert [call[0] for call in engine.method_calls] == ["signals.subscribe", "start", "block"]


def test_quickstart_configures_mounts_and_runs(tmp_path: Path) -> None:
    """From a file: its [global] section for the site, the others for the application."""
    (tmp_path / "x.conf").write_text("[global]\nx.y = 5\n[/]\na.b = 6\n")
    tree = cherrypy._cptree.Tree()
    with mock.patch.object(cherrypy, "tree", tree), mock.patch.object(_wiring, "engine"):
        cherrypy.quickstart(None, "/app", str(tmp_path / "x.conf"))

    assert cherrypy.config.pop("x.y") == 5
    assert tree.apps["/app"].config["/"] == {"a.b": 6}


def test_config_is_a_decorator_that_stacks_with_tools() -> None:
    """On functions and classes; a class does not write into that of its base."""

    @cherrypy.config(**{"response.stream": True})
    @cherrypy.tools.gzip(compress_level=9)
    @cherrypy.config(a=1)
    def page() -> None: ...

    @cherrypy.config(b=1)
    class Base: ...

    @cherrypy.tools.etags(autotags=True)
    @cherrypy.config(c=2)
    class Derived(Base): ...

    expected = {"response.stream": True, "tools.gzip.on": True, "tools.gzip.compress_level": 9, "a": 1}
    assert page._cp_config == expected  # type: ignore[attr-defined]
    assert Base._cp_config == {"b": 1}  # type: ignore[attr-defined]
    assert {"c": 2, "tools.etags.on": True}.items() <= Derived._cp_config.items()  # type: ignore[attr-defined]


def test_log_writes_to_the_application_that_is_served(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Outside of a request to the site."""
    app = site.mount(type("Root", (), {"index": cherrypy.expose(lambda self: str(cherrypy.log("inside")))})())
    cherrypy.log("outside", context="X", severity=30)
    site("/")

    told = {record.getMessage().split("] ", 1)[1]: record for record in caplog.records if "side" in record.getMessage()}
    assert told["X outside"].name == "cherrypy.error"
    assert told["X outside"].levelno == 30
    assert told[" inside"].name == f"cherrypy.error.{id(app)}"


def test_the_statistics_tool_exists_once_its_module_is_imported() -> None:
    """Not before: it costs something."""
    code = """
import cherrypy
assert not hasattr(cherrypy.tools, "cpstats")
from cherrypy.lib import cpstats
assert isinstance(cherrypy.tools.cpstats, cpstats.StatsTool)
assert cherrypy.tools.cpstats is cherrypy.tools.cpstats
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["profiler", "covercp"])
def test_profiles_and_coverage_serve_themselves(module: str, tmp_path: Path) -> None:
    """By ``quickstart``, which a lower room cannot import."""
    code = f"""
import sys
from unittest import mock
sys.modules["coverage"] = mock.MagicMock()
import cherrypy
from cherrypy import _wiring
from cherrypy.lib import {module}
with mock.patch.object(_wiring, "engine") as engine:
    {module}.serve(path={str(tmp_path)!r}, port=1234)
assert list(cherrypy.tree.apps) == [""]
assert cherrypy.server.socket_port == 1234
engine.block.assert_called_once_with()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
