"""A look at the host before a rendering: which certificates are there, and a placeholder where one is not (live)."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from kirsch.nginx.appconfig import read_sections
from kirsch.nginx.assets import OLD_RELEASES, releases_folder
from kirsch.nginx.placeholder import make_placeholder
from kirsch.nginx.scope import Ground, Scope
from kirsch.nginx.stapling import can_staple
from kirsch.nginx.tls import placeholder, present
from kirsch.nginx.version import OLDEST, Build
from kirsch.spec import Certificate, HostPaths, Stack, Vhost


def survey(stack: Stack, paths: HostPaths) -> Ground:
    """Look at what *stack* names on this host, and make the placeholders and folders that it needs.

    Cheap enough to be repeated: what it returns changes when a certificate comes, goes or is renewed.
    """
    ground = look(stack, paths)
    if any(vhost.acme is True for vhost in stack.vhosts.values()):
        Path(paths.shared, "acme").mkdir(parents=True, exist_ok=True)
    if any(app.assets for app in stack.apps.values()):
        _link_releases(paths)
    for vhost, own in placeholders(stack, paths, ground):
        _make_once(own.certificate, own.key, vhost.all_names)
    return ground


def look(stack: Stack, paths: HostPaths) -> Ground:
    """Look alone: nothing is made."""
    scope = Scope(stack, paths, Build(OLDEST, frozenset()))
    found: dict[str, str] = {}
    stapled = set()
    for vhost in stack.vhosts.values():
        for pair in vhost.tls.certificates if vhost.tls else ():
            for file in (pair.certificate, pair.key):
                # a file that cannot be read is nginx's to complain about: as root it reads more than the supervisor
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    found[scope.on_host(file)] = _fingerprint(Path(scope.on_host(file)))
            with contextlib.suppress(OSError):
                if can_staple(Path(scope.on_host(pair.certificate)).read_bytes()):
                    stapled.add(scope.on_host(pair.certificate))
    sections = {app.name: read_sections(app, stack.directory) for app in stack.apps.values()}
    servers = nameservers() if stack.upstreams else ()
    return Ground(
        certificates=found,
        stapled=frozenset(stapled),
        sections=sections,
        nameservers=servers,
        has_traffic=os.path.exists(paths.traffic_socket),
    )


def certificate_marks(stack: Stack, paths: HostPaths) -> dict[str, tuple[int, ...]]:
    """The files of certificates and keys that are there, each with what a renewal changes: cheap to compare."""
    scope = Scope(stack, paths, Build(OLDEST, frozenset()))
    found: dict[str, tuple[int, ...]] = {}
    for vhost in stack.vhosts.values():
        for pair in vhost.tls.certificates if vhost.tls else ():
            for file in (scope.on_host(pair.certificate), scope.on_host(pair.key)):
                with contextlib.suppress(OSError):
                    status = os.stat(file)
                    found[file] = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def placeholders(stack: Stack, paths: HostPaths, ground: Ground) -> list[tuple[Vhost, Certificate]]:
    """The vhosts whose own certificate is not there, each with the pair that stands in for it."""
    scope = Scope(stack, paths, Build(OLDEST, frozenset()), ground)
    pairs = [(vhost, placeholder(scope, vhost)) for vhost in stack.vhosts.values() if vhost.tls]
    return [(vhost, own) for vhost, own in pairs if own in present(scope, vhost)]


def stand_in(files: Mapping[str, str], stack: Stack, paths: HostPaths, ground: Ground, folder: str) -> dict[str, str]:
    """*files* with the placeholders that are not there yet made in *folder* instead, for a test that makes nothing."""
    changed = dict(files)
    for vhost, own in placeholders(stack, paths, ground):
        if os.path.exists(own.certificate) and os.path.exists(own.key):
            continue
        certificate, key = f"{folder}/{vhost.name}.pem", f"{folder}/{vhost.name}.key"
        _make_once(certificate, key, vhost.all_names)
        name = f"vhosts/{vhost.name}.conf"
        changed[name] = changed[name].replace(own.certificate, certificate).replace(own.key, key)
    return changed


def nameservers(file: str = "/etc/resolv.conf") -> tuple[str, ...]:
    """The DNS servers in *file*, as nginx writes them, which knows none of one link alone (``fe80::1%eth0``)."""
    try:
        lines = [line.split() for line in Path(file).read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ()
    servers = [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1 and "%" not in words[1]]
    return tuple(f"[{server}]" if ":" in server else server for server in dict.fromkeys(servers))


def _link_releases(paths: HostPaths) -> None:
    """Give the current release and the newest ones names that do not change from release to release."""
    folder = Path(releases_folder(paths))
    folder.mkdir(parents=True, exist_ok=True)
    releases = [path for path in Path(paths.releases).glob("*") if path.is_dir()]
    newest = sorted(releases, key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
    targets = {"current": paths.current} | {str(place): str(path) for place, path in enumerate(newest, 1)}
    for name in ("current", *map(str, range(1, OLD_RELEASES + 1))):
        part = folder / f".{name}.part"
        part.unlink(missing_ok=True)
        if name in targets:
            part.symlink_to(targets[name])
            os.rename(part, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def _fingerprint(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except PermissionError:
        return "unread"


def _make_once(certificate: str, key: str, names: tuple[str, ...]) -> None:
    if os.path.exists(certificate) and os.path.exists(key):
        return
    os.makedirs(os.path.dirname(certificate), mode=0o700, exist_ok=True)
    texts = make_placeholder(names, datetime.datetime.now(datetime.UTC))
    for file, text in zip((certificate, key), texts, strict=True):
        # read by nginx's master, which runs as who we are
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="ascii") as stream:
            stream.write(text)
