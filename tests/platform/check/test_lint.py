"""Each rule finds what it is for, says both sides, and is silent where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kirsch.check.case import Case, open_case
from kirsch.check.finding import Finding
from kirsch.check.limits import check_backlog
from kirsch.check.lint import lint
from kirsch.spec import load_stack

Lint = Callable[..., dict[str, Finding]]

STACK = """
[stack]
name = "shop"
[app.shop]
entry = "shop:Root"
config = "shop.conf"
{app}
[pool.web]
workers = 2
{pool}
[vhost.main]
names = ["shop.example"]
listen = ["8080"]
{vhost}
"""


@pytest.fixture
def case(tmp_path: Path) -> Callable[..., Case]:
    """A stack on the disk: the text of the app's configuration, lines for each table, and other files."""

    def make(conf: str = "", *, app: str = "", pool: str = "", vhost: str = "", **files: str) -> Case:
        for name, text in ({"shop.conf": conf, "shop.py": ""} | files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o640)
        file = tmp_path / "kirsch.toml"
        file.write_text(STACK.format(app=app, pool=pool, vhost=vhost))
        file.chmod(0o640)
        return open_case(load_stack(file), str(file), str(tmp_path))

    return make


@pytest.fixture
def found(case: Callable[..., Case]) -> Lint:
    """What is found, by code; the kernel's own queue is another machine's affair."""

    def codes(*args: str, **kwargs: str) -> dict[str, Finding]:
        return {finding.code: finding for finding in lint(case(*args, **kwargs)) if finding.code != "K132"}

    return codes


def test_a_stack_in_order_is_silent(found: Lint) -> None:
    """Whatever is usual."""
    conf = (
        "[global]\nengine.autoreload.on = False\n[/]\ntools.proxy.on = True\ntools.sessions.on = True\n"
        "tools.sessions.storage_class = cherrypy.lib.sessions.FileSession\n"
        "tools.sessions.storage_path = '/srv/shared/sessions'\n"
    )

    assert found(conf) == {}


BIG = 2**30
CASES = {
    "K101": ({"conf": f"[/upload]\nrequest.body.maxbytes = {BIG}\n"}, "error", "max_body", "[/upload] request.body"),
    "K102": ({"conf": "[global]\nserver.max_request_body_size = 1000\n"}, "warning", "max_body", "[global] server.max"),
    "K111": ({"pool": "request_deadline_s = 300\n"}, "warning", "request_deadline_s", "drain_s"),
    "K112": ({"pool": "hold_s = 90\n"}, "error", "request_deadline_s", "hold_s"),
    "K121": ({"pool": 'engine = "gunicorn"\nengine_options = { keepalive = 2 }\n'}, "error", "web", "keepalive"),
    "K122": ({"conf": "[global]\nserver.socket_timeout = 10\n"}, "note", "pool.web", "socket_timeout"),
    "K131": ({"pool": 'engine = "uwsgi"\nengine_options = { listen = 100 }\n'}, "warning", "web", "listen"),
    "K201": ({"conf": "[/]\ntools.proxy.remote = 'CF-Connecting-IP'\n"}, "error", "proxy.conf", "tools.proxy.remote"),
    "K202": ({"conf": "[/]\ntools.proxy.base = 'https://other.example'\n"}, "warning", "names", "tools.proxy.base"),
    "K203": ({"conf": "[global]\nserver.trusted_proxies = ['10.0.0.1']\n"}, "note", "trusted", "trusted_proxies"),
    "K211": ({"shop.py": "ProxyFix(app, x_for=2)\n"}, "error", "one hop", "shop.py:1: ProxyFix"),
    "K221": ({"vhost": 'trusted_proxies = ["128.0.0.0/1"]\n'}, "error", "vhost.main.trusted_proxies", None),
    "K301": ({"conf": "[/a]\ntools.sessions.on = True\n"}, "error", "workers", "[/a] tools.sessions.on"),
    "K302": (
        {
            "conf": "[/]\ntools.sessions.on = True\ntools.sessions.storage_type = 'file'\n"
            "tools.sessions.storage_path = 'sessions'\n"
        },
        "warning",
        "stack",
        "sessions.on",
    ),
    "K311": ({"conf": "[global]\nengine.autoreload.on = True\n"}, "warning", "pool", "autoreload"),
    "K312": ({"conf": "[/]\nrequest.show_tracebacks = True\n"}, "warning", "app.shop", "show_tracebacks"),
    "K321": ({"conf": "[/feed]\nresponse.stream = True\n"}, "warning", "proxy_buffering", "[/feed] response.stream"),
    "K331": ({"conf": "[/s]\ntools.staticdir.dir = 'nowhere'\n"}, "warning", "app.shop", "staticdir.dir"),
}


@pytest.mark.parametrize("code", CASES)
def test_a_rule_finds_its_fault(found: Lint, code: str) -> None:
    """With its severity and both sides, and nothing else is found."""
    files, severity, front, app = CASES[code]
    findings = found(**files)

    assert list(findings) == [code]
    finding = findings[code]
    assert finding.severity == severity
    assert front in str(finding.front)
    assert (finding.app is None) if app is None else (app in str(finding.app))
    assert finding.why
    assert finding.cure


@pytest.mark.parametrize(
    "conf",
    [
        "[/upload]\nrequest.body.maxbytes = 1000\n",
        "[/]\ntools.sessions.on = True\ntools.sessions.storage_class = cherrypy.lib.sessions.MemcachedSession\n",
        "[/]\ntools.proxy.remote = 'X-Real-IP'\n",
        "[/]\ntools.proxy.base = 'https://shop.example:8443'\n",
        "[/feed]\nresponse.stream = True\nresponse.headers.X-Accel-Buffering = 'no'\n",
        "[/s]\ntools.staticdir.dir = '.'\n",
    ],
)
def test_what_is_right_is_not_found(found: Lint, conf: str) -> None:
    """The other side of each fault."""
    assert found(conf) == {}


def test_names_that_django_refuses(found: Lint) -> None:
    """With the line of its settings; a pattern is understood."""
    django = 'env = { DJANGO_SETTINGS_MODULE = "site.settings" }'
    wrong = found(app=django, **{"site/settings.py": "X = 1\nALLOWED_HOSTS = ['other.example']\n"})

    assert "shop.example" in wrong["K212"].why
    assert str(wrong["K212"].app).startswith("site/settings.py:2")
    for good in ("['.example']", "['*']", "['SHOP.example']"):
        assert found(app=django, **{"site/settings.py": f"ALLOWED_HOSTS = {good}\n"}) == {}


def test_keys_that_everybody_can_read(tmp_path: Path) -> None:
    """The key on the host, secrets in the stack's file and in the application's."""
    (tmp_path / "tls").mkdir()
    vhost = 'tls = { certificate = "tls/a.pem", key = "tls/a.key" }'
    text = STACK.format(app='env = { DB_PASSWORD = "x" }', pool="", vhost=vhost).replace('"8080"', '"8443 tls"')
    (tmp_path / "shop.py").touch()
    (tmp_path / "shop.conf").write_text("[shop]\napi_key = 'x'\n")
    (tmp_path / "tls" / "a.key").write_text("key")
    file = tmp_path / "kirsch.toml"
    file.write_text(text)
    secret = [file, tmp_path / "shop.conf", tmp_path / "tls" / "a.key"]
    codes = []
    for mode in (0o644, 0o640):
        for path in secret:
            path.chmod(mode)
        found = lint(open_case(load_stack(file), str(file), str(tmp_path)))
        codes.append(sorted(finding.code for finding in found if finding.code.startswith("K34")))

    assert codes == [["K341", "K342", "K342"], []]


def test_the_kernels_queue_is_looked_at(case: Callable[..., Case], tmp_path: Path) -> None:
    """A sysctl that cuts all queues; a machine without it is not judged."""
    (tmp_path / "somaxconn").write_text("128\n")
    short = list(check_backlog(case(), str(tmp_path / "somaxconn")))

    assert [finding.code for finding in short] == ["K132"]
    assert list(check_backlog(case(), str(tmp_path / "nowhere"))) == []


def test_errors_come_first(case: Callable[..., Case]) -> None:
    """Then warnings, then notes."""
    conf = "[global]\nserver.socket_timeout = 10\nengine.autoreload.on = True\n[/]\ntools.sessions.on = True\n"

    severities = [finding.severity for finding in lint(case(conf)) if finding.code != "K132"]

    assert severities == ["error", "warning", "note"]
