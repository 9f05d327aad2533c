"""Which engines there are, what they need, and which of their settings are a pool's to say."""

from __future__ import annotations

import configparser
import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kirsch.errors import SuperviseError
from kirsch.link.order import Limits
from kirsch.worker.engines import ENGINES, find_engine
from kirsch.worker.engines.gunicorn import SeatApplication
from kirsch.worker.engines.uwsgi import render_ini
from kirsch.worker.options import refuse_options
from kirsch.worker.voice import Voice

MakeVoice = Callable[..., Voice]


@pytest.mark.parametrize("name", list(ENGINES))
def test_every_engine_is_found(name: str) -> None:
    """All packages are installed here; each class says whether the interpreter may end in good order."""
    assert find_engine(name).may_finalize is (name != "uwsgi")


def test_an_unknown_engine_is_refused() -> None:
    """With those that are there."""
    with pytest.raises(SuperviseError, match="engine 'waitress' is not there; allowed: native, gunicorn, uwsgi"):
        find_engine("waitress")


@pytest.mark.parametrize(("name", "package"), [("gunicorn", "gunicorn"), ("uwsgi", "pyuwsgi")])
def test_a_missing_package_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    """What to type, and where else to write it."""
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    for module in [found for found in sys.modules if found.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, f"kirsch.worker.engines.{name}")

    with pytest.raises(SuperviseError, match=rf"needs the package {package}.*pip install 'kirsch\[{name}\]'"):
        find_engine(name)

    monkeypatch.undo()
    importlib.import_module(f"kirsch.worker.engines.{name}")


def test_a_mistake_in_an_engine_itself_is_no_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is optional is told as such."""
    monkeypatch.setitem(sys.modules, "cherrypy", None)
    monkeypatch.delitem(sys.modules, "kirsch.worker.engines.gunicorn")

    with pytest.raises(ModuleNotFoundError, match="cherrypy"):
        find_engine("gunicorn")

    monkeypatch.undo()
    importlib.import_module("kirsch.worker.engines.gunicorn")


def test_a_worker_without_its_engine_says_so(start_worker: Callable[..., Any], folder: str) -> None:
    """As any failed boot: step, message, status 3, no socket left."""
    worker = start_worker(engine="gunicorn", engine_options={"workers": 4})
    report = worker.wait_until("ready", "failed")

    assert (report["state"], report["step"]) == ("failed", "engine")
    assert "write workers in the pool" in report["message"]
    assert worker.process.wait(10) == 3


def test_gunicorn_is_told_what_a_proxy_in_front_needs(make_voice: MakeVoice) -> None:
    """Threads and times are the pool's; kept connections outlive nginx's patience; nothing is believed of strangers."""
    order = make_voice(threads=7, limits=Limits(idle_s=75.0), engine_options={"limit_request_fields": 50}).order
    cfg = SeatApplication(lambda environ, start: [], order).cfg

    assert (cfg.threads, cfg.keepalive, cfg.limit_request_fields) == (7, 75, 50)
    assert not getattr(cfg, "forwarder_headers", None)  # older releases believe none of them
    assert cfg.secure_scheme_headers == {}
    assert cfg.accesslog is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bind": "0.0.0.0:80"}, "engine_options.bind is not the pool's to say with engine 'gunicorn': the worker's"),
        ({"timeout": 3}, "write request_deadline_s"),
        ({"limit_request_feilds": 3}, "is no setting of gunicorn; did you mean limit_request_fields?"),
    ],
)
def test_gunicorns_settings_are_checked(make_voice: MakeVoice, options: dict[str, Any], said: str) -> None:
    """Those that the platform decides on, and those that do not exist."""
    order = make_voice(engine_options=options).order

    with pytest.raises(SuperviseError) as caught:
        SeatApplication(None, order)
    assert said in str(caught.value)


def read_ini(text: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return dict(parser["uwsgi"])


def test_uwsgi_is_told_what_its_defaults_get_wrong(make_voice: MakeVoice) -> None:
    """SIGTERM ends it, the bus's threads run, heads and queues are as large as nginx's, misspelt options are errors."""
    order = make_voice(threads=7, limits=Limits(request_deadline_s=90), engine_options={"log-5xx": True}).order
    ini = read_ini(render_ini(order, 5))

    assert ini["http-socket"] == "fd://5"
    assert ini["threads"] == "7"
    assert ini["socket-timeout"] == "90"
    assert int(ini["listen"]) > 100
    assert int(ini["buffer-size"]) >= 32768
    assert {ini[name] for name in ("die-on-term", "strict", "enable-threads", "need-app", "log-5xx")} == {"true"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"processes": 4}, "write workers in the pool"),
        ({"http-socket": ":80"}, "the worker's socket is the platform's"),
        ({"harakiri": 30}, "write request_deadline_s"),
        ({"log-format": "x\nexec-asap = reboot"}, "must not contain line breaks"),
    ],
)
def test_uwsgis_options_are_checked(make_voice: MakeVoice, options: dict[str, Any], said: str) -> None:
    """Whether there is such an option only uWSGI knows: it is strict."""
    with pytest.raises(SuperviseError) as caught:
        render_ini(make_voice(engine_options=options).order, 5)
    assert said in str(caught.value)


def test_an_option_that_uwsgi_does_not_know_ends_the_boot(start_worker: Callable[..., Any]) -> None:
    """In its own words, in the worker's log."""
    worker = start_worker(engine="uwsgi", engine_options={"no-such-option": 1})
    status = worker.process.wait(20)

    assert status not in (0, None)
    assert b"no-such-option" in worker.process.stderr.read()


def test_the_native_engine_has_no_options() -> None:
    """Its settings are CherryPy's, in an app's configuration."""
    with pytest.raises(SuperviseError, match=r"engine 'native' has no options.*\[global\]"):
        refuse_options("native", {"threads": 3})
