"""What several processes, a roll and a proxy's buffer make of an application that was written for one process."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from kirsch.check.case import Case
from kirsch.check.finding import Finding, Place, Severity
from kirsch.check.source import Setting

_SECRET = re.compile(r"(?:SECRET|PASSWORD|PASSWD|TOKEN|PRIVATE|API_?KEY|CREDENTIAL)", re.IGNORECASE)
_OVERRIDDEN = {
    "engine.autoreload.on": ("a stack's workers never reload themselves", "kirsch roll, or kirsch deploy"),
    "server.socket_port": ("workers listen on sockets of their own", "listen of the vhost"),
    "server.socket_host": ("workers listen on sockets of their own", "listen of the vhost"),
    "server.ssl_certificate": ("nginx speaks TLS", "tls of the vhost"),
    "server.ssl_module": ("nginx speaks TLS", "tls of the vhost"),
    "server.thread_pool": ("the pool says how many threads a worker has", "threads of the pool"),
}


def check_sessions(case: Case) -> Iterator[Finding]:
    """Sessions that live in one process, or in a folder that the next release does not have."""
    for setting in case.find("tools.sessions.on"):
        if not setting.value:
            continue
        pool = case.pool_of(setting.app)
        kind = case.value(setting, "tools.sessions.storage_class") or case.value(setting, "tools.sessions.storage_type")
        name = str(getattr(kind, "__name__", kind) or "ram").lower()
        if name.startswith("ram"):
            many = pool.workers.max > 1
            yield Finding(
                "K301",
                "error" if many else "warning",
                f"sessions of {setting.app.name} live in one process",
                case.at(f"pool.{pool.name}.workers"),
                setting.place,
                f"up to {pool.workers.max} workers each have their own: visitors are logged out and in by turns"
                if many
                else "every roll starts a new process: visitors are logged out by each deploy",
                "tools.sessions.storage_class = cherrypy.lib.sessions.RedisSession, or FileSession below shared/",
            )
        path = case.value(setting, "tools.sessions.storage_path")
        if name.startswith("file") and isinstance(path, str) and not os.path.isabs(path):
            yield Finding(
                "K302",
                "warning",
                f"sessions of {setting.app.name} are lost with each release",
                case.at("stack"),
                setting.place,
                f"{path} lies in the release, and each deploy has a new one",
                "a folder below shared/ of the deploy root, which outlives releases",
            )


def check_process_settings(case: Case) -> Iterator[Finding]:
    """Settings of the process that the platform decides, and those that show strangers too much."""
    for setting in case.settings:
        if setting.key in _OVERRIDDEN and setting.section == "global":
            if setting.key == "engine.autoreload.on" and not setting.value:
                continue
            why, cure = _OVERRIDDEN[setting.key]
            severity: Severity = "warning" if setting.key == "engine.autoreload.on" else "note"
            yield Finding("K311", severity, f"{setting.key} does not count", case.at("pool"), setting.place, why, cure)
        if setting.key == "request.show_tracebacks" and setting.value:
            yield Finding(
                "K312",
                "warning",
                f"{setting.app.name} shows tracebacks to visitors",
                case.at(f"app.{setting.app.name}.config"),
                setting.place,
                "they name paths, versions and values",
                "leave the key out: the worker's log has them",
            )


def check_streams(case: Case) -> Iterator[Finding]:
    """Streams that nginx would collect before it hands them on."""
    for setting in case.find("response.stream"):
        has_field = any(
            other.app is setting.app and other.key.lower().endswith("headers.x-accel-buffering")
            for other in case.settings
        )
        if setting.value and not has_field and case.value(setting, "tools.sse.on") is None:
            yield Finding(
                "K321",
                "warning",
                f"a stream of {setting.app.name} may arrive in lumps",
                case.at("nginx: proxy_buffering on"),
                setting.place,
                "nginx collects an answer in its buffers, unless the answer says not to",
                'cherrypy.response.headers["X-Accel-Buffering"] = "no", or tools.sse for events',
            )


def check_files(case: Case) -> Iterator[Finding]:
    """Folders of static files that are not there, or only on this machine."""
    for setting in case.find("tools.staticdir.dir", "tools.staticfile.filename"):
        path = str(setting.value or "")
        root = str(case.value(setting, "tools.staticdir.root") or case.value(setting, "tools.staticfile.root") or "")
        full = Path(case.stack.directory, setting.app.directory or "", root, path)
        if Path(root, path).is_absolute():
            inside = str(Path(root, path)).startswith(os.path.abspath(case.stack.directory) + os.sep)
            if inside:
                yield _static(case, setting, "K332", f"{path} is this machine's copy, not the release's")
        elif path and not full.exists():
            yield _static(case, setting, "K331", f"there is no {full}: every request is answered 404")


def _static(case: Case, setting: Setting, code: str, why: str) -> Finding:
    title = f"static files of {setting.app.name} are not where the release has them"
    cure = "a path relative to tools.staticdir.root, made from __file__ in the application"
    return Finding(code, "warning", title, case.at(f"app.{setting.app.name}"), setting.place, why, cure)


def check_secrets(case: Case) -> Iterator[Finding]:
    """Keys and secrets that other users of this machine can read."""
    for vhost in case.stack.vhosts.values():
        certificates = () if vhost.tls is None else vhost.tls.certificates
        for certificate in certificates:
            path = Path(case.root, certificate.key)
            if _is_readable(path):
                yield _readable(case, Place(str(path), "mode"), f"vhost.{vhost.name}.tls", "a private key", "K341")
    for app in case.stack.apps.values():
        names = sorted(name for name, value in app.env.items() if value and _SECRET.search(name))
        if names and _is_readable(Path(case.file)):
            key = f"app.{app.name}.env.{names[0]}"
            yield _readable(case, Place(case.file, "mode"), key, f"a secret ({', '.join(names)})", "K342")
        if isinstance(app.config, str):
            path = Path(case.stack.directory, app.config)
            keys = [one.key for one in case.settings if one.app is app and one.value and _SECRET.search(one.key)]
            if keys and _is_readable(path):
                place = Place(app.config, keys[0])
                yield _readable(case, place, f"app.{app.name}.config", "a secret", "K342")
    for name in (".env", ".envrc"):
        path = Path(case.stack.directory, name)
        if _is_readable(path):
            yield _readable(case, Place(name, "mode"), "stack", "what is meant for one user", "K342")


def _readable(case: Case, place: Place, key: str, what: str, code: str) -> Finding:
    return Finding(
        code,
        "error" if code == "K341" else "warning",
        f"everybody on this machine can read {what}",
        case.at(key),
        place,
        "a stray account or another application is enough",
        f"chmod o-rwx {place.file}",
    )


def _is_readable(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
