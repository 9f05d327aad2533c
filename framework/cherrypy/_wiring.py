"""The one place that builds the site: engine, configuration, logs, server, tree, checker, and connects them.

Law: importing any other module starts and subscribes nothing. What upstream's ``import cherrypy`` does happens here:
server, autoreloader, thread manager, checker and the log listener are on the bus afterwards.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cherrypy import context
from cherrypy.aio.runner import runner
from cherrypy.app import embedded, guestlog
from cherrypy.app.application import Application
from cherrypy.app.checker import Checker
from cherrypy.app.native import NativeResponder
from cherrypy.app.server import CPHTTPServer, Server
from cherrypy.app.tree import Tree
from cherrypy.conf import namespaces, site
from cherrypy.conf.ini import Source
from cherrypy.core import later, urls
from cherrypy.core.host import Host
from cherrypy.core.loghandlers import has_reader
from cherrypy.core.logs import log, reopen_all_files
from cherrypy.core.request import Request
from cherrypy.core.response import Response
from cherrypy.dispatch.objects import Dispatcher
from cherrypy.lib import gctools, standalone
from cherrypy.lib.health import Checks
from cherrypy.process import plugins
from cherrypy.process.servers import ServerAdapter
from cherrypy.process.wspbus import Bus, bus
from cherrypy.toolbox.builtin import tools
from cherrypy.wsgi.app import AppResponse

if TYPE_CHECKING:

    class Engine(Bus):
        """What ``cherrypy.engine`` is to a type checker: the bus with its plugins, and room for more of them."""

        autoreload: plugins.Autoreloader
        thread_manager: plugins.ThreadManager
        signal_handler: plugins.SignalHandler
        signals: HandleSignals

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
        def __delattr__(self, name: str) -> None: ...

    engine: Engine
else:
    engine = bus

ROOT = "cherrypy"


def _public(name: str, default: Any) -> Any:
    """Return what the public name is now: tests and applications rebind ``cherrypy.tree`` and others."""
    return getattr(sys.modules.get(ROOT), name, default)


class HandleSignals:
    """``engine.signals``: the handlers of the process's signals, not subscribed until asked for (quickstart asks)."""

    def __init__(self, bus: Any) -> None:
        self.bus = bus

    def subscribe(self) -> None:
        """Handle signals."""
        for name in ("signal_handler", "console_control_handler"):
            handler = getattr(self.bus, name, None)
            if handler is not None:
                handler.subscribe()

    def unsubscribe(self) -> None:
        """Leave signals to their previous handlers."""
        for name in ("signal_handler", "console_control_handler"):
            handler = getattr(self.bus, name, None)
            if handler is not None:
                handler.unsubscribe()


def _wire_engine() -> None:
    engine.listeners.setdefault("before_request", set())
    engine.listeners.setdefault("after_request", set())
    engine.autoreload = plugins.Autoreloader(engine)
    engine.autoreload.subscribe()
    engine.thread_manager = plugins.ThreadManager(engine)
    engine.thread_manager.subscribe()
    engine.signal_handler = plugins.SignalHandler(engine)
    engine.signals = HandleSignals(engine)
    engine.is_guest = _is_guest
    engine.subscribe("embed", _embed)


def _embed() -> None:
    """Leave to the server that owns the process what is its own: sockets, signals, restarts."""
    template = site.environments["embedded"]
    # What was configured before stands, except for what cannot work here.
    config = site.config
    stated = {key for key in template if key in config and config[key] != config.defaults.get(key)}
    ours = {key: config[key] for key in stated if not key.startswith("engine.")}
    config.update({"environment": "embedded", **ours})
    for one in (_public("server", server), *(_public("servers", None) or {}).values(), engine.signals):
        one.unsubscribe()
    if not has_reader(log.error_log, logging.ERROR):
        guestlog.attach(log.error_log)


def _is_guest() -> bool:
    """True when the site was told so, or has no server of its own: nobody blocks on the engine then."""
    owners = (getattr(listener, "__self__", None) for listener in engine.listeners["start"])
    return site.config.get("environment") == "embedded" or not any(isinstance(one, ServerAdapter) for one in owners)


def log_of_the_bus(msg: str, level: int) -> None:
    """Write what the bus says into the site's log."""
    log.error(msg, "ENGINE", severity=level)


def _wire_log() -> None:
    log.screen = True
    log.error_file = ""
    log.access_file = ""
    engine.subscribe("log", log_of_the_bus)
    engine.subscribe("graceful", reopen_all_files)


def _named_servers() -> dict[str, Server]:
    servers: dict[str, Server] | None = _public("servers", None)
    if servers is None:
        servers = {}
        context.announce("servers", servers)
    return servers


def _wire_config() -> None:
    config = site.config
    config.defaults = {
        "tools.log_tracebacks.on": True,
        "tools.log_headers.on": True,
        "tools.trailing_slash.on": True,
        "tools.encode.on": True,
    }
    config.namespaces.update(
        {
            "server": namespaces.server_namespace(lambda: _public("server", server), _named_servers, Server),
            "engine": namespaces.engine_namespace(engine),
            "tree": namespaces.tree_namespace(lambda: _public("tree", tree), log),
            "log": namespaces.attribute_namespace("log", lambda: log),
            "checker": namespaces.attribute_namespace("checker", lambda: checker),
        }
    )
    config.reset()
    config.file_listeners.append(lambda name: engine.autoreload.files.add(name))
    config.path_listeners.append(lambda: setattr(checker, "global_config_contained_paths", True))


def _wire_requests() -> None:
    Request.dispatch = Dispatcher()
    context.set_defaults(Request(Host("127.0.0.1", 80), Host("127.0.0.1", 1111)), Response())
    context.on_announce(lambda name, value: setattr(sys.modules[ROOT], name, value))
    later.waiter[0] = runner.wait
    urls.default_base[0] = lambda: _public("server", server).base()


def _wire_server() -> None:
    responder = NativeResponder(sys.modules[ROOT])
    Server.current_responder = staticmethod(lambda: responder)
    Server.current_app = staticmethod(lambda: _public("tree", tree))
    CPHTTPServer.default_adapter = server
    Application.answer_shortly = embedded.answer
    server.subscribe()


def quickstart(root: Any = None, script_name: str = "", config: Source | None = None) -> None:
    """Mount *root*, start the engine, and block until it exits: a whole program in one call.

    Args:
        root: an object with pages, or an Application.
        script_name: where to mount it.
        config: a file name, an open file, or a dict; its [global] section is for the site.
    """
    if config:
        site.config.update(config)
    _public("tree", tree).mount(root, script_name, config)
    engine.signals.subscribe()
    # Ctrl-C while it starts: what had started has stopped again
    with suppress(KeyboardInterrupt):
        engine.start()
    engine.block()


def _wire_library() -> None:
    standalone.quickstart.append(quickstart)
    gctools.GCRoot.classes.append((AppResponse, 0, 1, "Should be 1 in this request thread if a WSGI server asked."))


def _wire_checker() -> None:
    Checker.current_tree = staticmethod(lambda: _public("tree", tree))
    Checker.settings = {
        "server": lambda: _public("server", server),
        "engine": lambda: engine,
        "log": lambda: log,
        "request": lambda: context.serving.request,
        "response": lambda: context.serving.response,
    }
    engine.subscribe("start", checker)


tree = Tree()
server = Server()
checker = Checker()
health = Checks(engine)
_wire_engine()
_wire_log()
_wire_config()
_wire_requests()
_wire_server()
_wire_library()
_wire_checker()

__all__ = ["checker", "engine", "health", "log", "quickstart", "server", "tools", "tree"]
