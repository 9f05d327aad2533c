"""What ``import cherrypy`` leaves on the bus, and how the site lives under another server."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

import cherrypy

# (channel, priority, listener), the whole table
DEFAULT_LISTENERS = [
    ("acquire_thread", 50, "ThreadManager.acquire_thread"),
    ("embed", 50, "_embed"),
    ("graceful", 50, "Monitor.graceful"),
    ("graceful", 50, "ThreadManager.stop"),
    ("graceful", 50, "reopen_all_files"),
    ("log", 50, "log_of_the_bus"),
    ("release_thread", 50, "ThreadManager.release_thread"),
    ("start", 50, "Checker"),
    ("start", 70, "Autoreloader.start"),
    ("start", 75, "Server.start"),
    ("stop", 25, "Server.stop"),
    ("stop", 50, "Monitor.stop"),
    ("stop", 50, "ThreadManager.stop"),
]
SILENT_CHANNELS = ["after_request", "before_request", "exit", "main", "start_thread", "stop_thread"]


def run(program: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """A program that begins with ``import cherrypy``, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", "import cherrypy, json\n" + program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status, done.stderr
    return done


def asked(program: str) -> Any:
    """What *program* prints as JSON."""
    return json.loads(run(program).stdout)


def test_the_default_listeners_are_the_documented_ones() -> None:
    """Every channel, priority and listener."""
    found = asked(
        "e = cherrypy.engine\n"
        "print(json.dumps([[c, e._priorities[c, l], getattr(l, '__qualname__', type(l).__name__)]"
        " for c, ls in e.listeners.items() for l in ls]))"
    )

    assert sorted(map(tuple, found)) == DEFAULT_LISTENERS


def test_channels_without_listeners_exist() -> None:
    """So that plugins with methods of these names can subscribe."""
    found = asked("print(json.dumps(sorted(c for c, ls in cherrypy.engine.listeners.items() if not ls)))")

    assert found == SILENT_CHANNELS


def test_plugins_are_attributes_of_the_engine() -> None:
    """Under their documented names."""
    found = asked(
        "print(json.dumps([type(getattr(cherrypy.engine, n)).__name__"
        " for n in ('autoreload', 'thread_manager', 'signal_handler', 'signals')]))"
    )

    assert found == ["Autoreloader", "ThreadManager", "SignalHandler", "HandleSignals"]


def test_two_hundred_applications_leave_no_listeners() -> None:
    """Upstream kept every one of them on 'graceful', with two loggers each."""
    found = asked(
        "import gc, logging\n"
        "[cherrypy.Application(None) for _ in range(200)]; gc.collect()\n"
        "own = ('cherrypy.error.', 'cherrypy.access.')\n"
        "loggers = [name for name in logging.root.manager.loggerDict if name.startswith(own)]\n"
        "print(json.dumps([len(cherrypy.engine.listeners['graceful']), loggers]))"
    )

    assert found == [3, []]


EMBEDDED = """
import threading
{before}
class Root:
    @cherrypy.expose
    def index(self):
        return str(cherrypy.engine.state)
cherrypy.tree.mount(Root())
{start}
from wsgiref.util import setup_testing_defaults
environ, answers = {{"REMOTE_ADDR": "192.0.2.1"}}, []
setup_testing_defaults(environ)
body = b"".join(cherrypy.tree(environ, lambda status, headers, exc_info=None: answers.append(status)))
config = cherrypy.config
threads = sorted(t.name for t in threading.enumerate())
print(json.dumps([answers, body.decode(), threads, config.get("log.screen"), config.get("tools.log_headers.on")]))
"""


def test_one_call_embeds_the_site() -> None:
    """No socket, no autoreloader, no signals, no warning at the end; requests are served by the other server."""
    done = run(EMBEDDED.format(before="", start="cherrypy.engine.embed(); application = cherrypy.tree"))

    assert json.loads(done.stdout) == [["200 OK"], "states.STARTED", ["Bus main", "MainThread"], False, False]
    assert done.stderr == ""


def test_embedding_leaves_what_was_configured() -> None:
    """The template is for keys that nobody set; the autoreloader cannot be kept."""
    done = run(
        EMBEDDED.format(
            before="cherrypy.config.update({'log.screen': True, 'engine.autoreload.on': True})",
            start="cherrypy.engine.embed()",
        )
    )

    assert json.loads(done.stdout.splitlines()[-1])[2:4] == [["Bus main", "MainThread"], True]


def test_named_servers_are_not_started_either() -> None:
    """All sockets are the other server's."""
    done = run(
        EMBEDDED.format(before="cherrypy.config.update({'server.two.socket_port': 0})", start="cherrypy.engine.embed()")
    )

    assert json.loads(done.stdout)[2] == ["Bus main", "MainThread"]


@pytest.mark.parametrize(
    "steps",
    [
        "cherrypy.config.update({'environment': 'embedded'}); cherrypy.server.unsubscribe(); cherrypy.engine.start()",
        "cherrypy.config.update({'log.screen': False}); cherrypy.server.unsubscribe(); cherrypy.engine.start()",
        "cherrypy.config.update({'environment': 'embedded'})",
    ],
)
def test_the_manuals_steps_leave_without_a_warning(steps: str) -> None:
    """'Bus is in the states.STARTED state' frightened users of other servers for nothing."""
    done = run(EMBEDDED.format(before="", start=steps))

    assert done.stderr == ""


def test_a_site_of_its_own_still_warns() -> None:
    """There, a missing block() is an oversight. Its server, which would keep the process, is stopped here."""
    done = run(
        "import threading\n"
        "cherrypy.config.update({'server.socket_port': 0, 'log.screen': False})\n"
        "cherrypy.engine.start()\n"
        "cherrypy.server.httpserver.stop()"
    )

    assert "RuntimeWarning" in done.stderr
    assert "states.STARTED" in done.stderr


def test_settings_of_the_exit_are_configuration() -> None:
    """Without a warning about unknown keys."""
    done = run(
        "import warnings; warnings.simplefilter('error')\n"
        "cherrypy.config.update({'engine.exit_timeout_s': 20, 'engine.join_timeout_s': 30})\n"
        "print(cherrypy.engine.exit_timeout_s, cherrypy.engine.join_timeout_s)"
    )

    assert done.stdout == "20 30\n"


def test_a_request_is_announced_on_the_bus(site: Any, page: Any) -> None:
    """The thread, the beginning, the page, the end; by the native path and by WSGI alike."""
    seen: list[str] = []
    engine = cherrypy.engine
    listeners = {
        channel: (lambda *index, channel=channel: seen.append(channel))
        for channel in ("acquire_thread", "before_request", "after_request")
    }
    for channel, listener in listeners.items():
        engine.subscribe(channel, listener)
    try:
        app = site.mount(page(lambda: seen.append("page") or "ok"))
        site("/")
        environ: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.1"}
        setup_testing_defaults(environ)
        answer = app(environ, lambda status, headers, exc_info=None: None)
        body = b"".join(answer)
        answer.close()
    finally:
        for channel, listener in listeners.items():
            engine.unsubscribe(channel, listener)

    assert body == b"ok"
    assert seen == ["acquire_thread", "before_request", "page", "after_request"] * 2


def test_signals_are_handled_when_asked_for() -> None:
    """Not by the import; and given back."""
    found = asked(
        "import signal\n"
        "names = ('SIGTERM', 'SIGHUP', 'SIGUSR1')\n"
        "ours = lambda: [signal.getsignal(getattr(signal, n)) == cherrypy.engine.signal_handler._handle_signal"
        " for n in names]\n"
        "found = [ours()]\n"
        "cherrypy.log.screen = False\n"
        "cherrypy.engine.signals.subscribe(); found.append(ours())\n"
        "cherrypy.engine.signals.unsubscribe(); found.append(ours())\n"
        "print(json.dumps(found))"
    )

    assert found == [[False] * 3, [True] * 3, [False] * 3]


def test_the_log_of_the_bus_is_the_sites_error_log() -> None:
    """With the context ENGINE and the level; the screen is stderr."""
    done = run("cherrypy.engine.log('hello'); cherrypy.log.error_log.setLevel('ERROR'); cherrypy.engine.log('quiet')")

    assert done.stderr.endswith("] ENGINE hello\n")
    assert "quiet" not in done.stderr
