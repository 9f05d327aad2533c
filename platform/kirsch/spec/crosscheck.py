"""What no single key shows: references, two things in one place, files that are not there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from kirsch.spec.app import App
from kirsch.spec.host import ADMIN_RULE, Inventory
from kirsch.spec.pool import Pool
from kirsch.spec.shape import Shaper, join, nearest, show
from kirsch.spec.stack import Stack
from kirsch.spec.vhost import LISTEN_RULE, Listen, Vhost
from kirsch.spec.webcheck import check_address, check_routes, check_upstreams, check_vhost


def check_stack(
    shaper: Shaper, stack: Stack, *, apps: list[str], pools: list[str], upstreams: list[str], whole: bool
) -> None:
    """Report what does not fit together in *stack*.

    *apps*, *pools* and *upstreams* are the names that the file mentions (also of tables that are wrong themselves),
    *whole* says that no table was left out of *stack* because it is wrong.
    """
    for app in stack.apps.values():
        if pools:
            _check_reference(shaper, f"app.{app.name}.pool", app.pool, pools)
        if app.mount in stack.health.paths:
            allowed = "a path that is not a probe's (health.ready.path, health.live.path, /startupz)"
            shaper.report(f"app.{app.name}.mount", given=show(app.mount), allowed=allowed)
        for name, check in app.checks.items():
            if (check.call is None) == (check.path is None):
                allowed = 'one of call = "package.module:function" and path = "/health"'
                shaper.report(f"app.{app.name}.checks.{name}", message="what is asked is not clear", allowed=allowed)
        _check_files(shaper, app, stack.directory)
    for vhost in stack.vhosts.values():
        for place, name in enumerate(vhost.apps):
            _check_reference(shaper, f"vhost.{vhost.name}.apps[{place}]", name, apps)
        _check_vhost(shaper, vhost)
        for status, page in vhost.error_pages.items():
            _check_path(shaper, f"vhost.{vhost.name}.error_pages.{status}", page, stack.directory, "file")
        check_vhost(shaper, vhost)
    for pool in stack.pools.values():
        _check_pool(shaper, pool)
        if whole and not stack.apps_of(pool.name):
            shaper.report(
                f"pool.{pool.name}",
                message="no app runs in this pool",
                allowed=f'pool = "{pool.name}" in a table [app.NAME], or no such pool',
            )
    if stack.requirements is not None:
        _check_path(shaper, "stack.requirements", stack.requirements, stack.directory, "file")
    _check_mounts(shaper, stack)
    check_routes(shaper, stack)
    check_upstreams(shaper, stack, upstreams)
    check_vhosts(shaper, stack)


def check_inventory(shaper: Shaper, inventory: Inventory) -> None:
    """Report what does not fit together in *inventory*."""
    for name, text in inventory.listen.items():
        try:
            parse_listens(text)
        except ValueError as error:
            shaper.report(join("listen", name), given=show(text), allowed=str(error))
    if not 0 <= int(inventory.admin.rpartition(":")[2]) <= 65535:
        shaper.report("admin", given=show(inventory.admin), allowed=ADMIN_RULE)
    for host in inventory.hosts.values():
        if host.connection == "ssh" and not host.root.startswith("/"):
            shaper.report(f"host.{host.name}.root", given=show(host.root), allowed="an absolute path on the host")


def check_vhosts(shaper: Shaper, stack: Stack) -> None:
    """Report vhosts that meet on one address: there each name may exist once, and TLS is on for all or for none."""
    bound: dict[str, tuple[Listen, str]] = {}
    owners: dict[str, Vhost] = {}
    names: dict[tuple[str, str], str] = {}
    for vhost in stack.vhosts.values():
        for place, listen in enumerate(vhost.listen):
            key = f"vhost.{vhost.name}.listen[{place}]"
            other, where = bound.setdefault(listen.endpoint, (listen, key))
            if other.tls != listen.tls:
                shaper.report(key, given=show(str(listen)), allowed=f'TLS as at {where}, which says "{other}"')
            if other.proxy != listen.proxy:
                shaper.report(key, given=show(str(listen)), allowed=f'the PROXY protocol as at {where} ("{other}")')
            check_address(shaper, vhost, owners.setdefault(listen.endpoint, vhost), listen)
            for name in vhost.all_names or ("",):
                taken = names.setdefault((listen.endpoint, name.lower()), vhost.name)
                if taken != vhost.name or (where != key and where.startswith(f"vhost.{vhost.name}.")):
                    what = f'the name "{name}"' if name else "every name"
                    shaper.report(key, message=f"{what} at {listen.endpoint} is taken by vhost.{taken}", allowed=_FREE)


_FREE = "another address, another port, or names of its own for each vhost"


def parse_listens(text: str) -> tuple[Listen, ...]:
    """Several addresses in one text: ``"127.0.0.1:8080, 127.0.0.1:8443 tls"``.

    Raises:
        ValueError: with the rule as its text.
    """
    try:
        return tuple(Listen.parse(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{LISTEN_RULE}; several with commas between") from error


def _check_files(shaper: Shaper, app: App, directory: str) -> None:
    if isinstance(app.config, str):
        _check_path(shaper, f"app.{app.name}.config", app.config, directory, "file")
    if app.directory is not None:
        _check_path(shaper, f"app.{app.name}.directory", app.directory, directory, "folder")
    for key, folders in (("files", app.files), ("assets", app.assets)):
        for path, folder in folders.items():
            _check_path(shaper, join(f"app.{app.name}.{key}", path), folder, directory, "folder")
    if ":" not in app.entry:  # a project's manage.py
        manage = str(PurePosixPath(app.directory or "", app.entry))
        _check_path(shaper, f"app.{app.name}.entry", manage, directory, "file")


def _check_reference(shaper: Shaper, key: str, name: str, known: list[str]) -> None:
    if name not in known:
        shaper.report(key, given=show(name), allowed=", ".join(known), hint=nearest(name, known))


def _check_path(shaper: Shaper, key: str, text: str, directory: str, kind: str) -> None:
    """A path has to lie in the stack's folder: only that folder is copied to the hosts."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not text.isprintable():
        shaper.report(key, given=show(text), allowed=f"a {kind} below {directory}, written relative to it")
        return
    full = Path(directory, text)
    if not (full.is_file() if kind == "file" else full.is_dir()):
        near = nearest(path.name, _siblings(full, kind))
        hint = str(path.with_name(near)) if near else None
        shaper.report(key, message=f"there is no {kind} {full}", allowed=f"a {kind} below {directory}", hint=hint)


def _siblings(path: Path, kind: str) -> list[str]:
    if not path.parent.is_dir():
        return []
    return sorted(entry.name for entry in path.parent.iterdir() if entry.is_dir() == (kind == "folder"))


def _check_vhost(shaper: Shaper, vhost: Vhost) -> None:
    wanted = any(listen.tls for listen in vhost.listen)
    if wanted and vhost.tls is None:
        shaper.report(
            f"vhost.{vhost.name}.tls",
            allowed='{ certificate = "shared/tls/NAME.pem", key = "shared/tls/NAME.key" }, as an address says tls',
        )
    if vhost.tls is not None and not wanted:
        shaper.report(
            f"vhost.{vhost.name}.tls",
            message="no address of this vhost says tls",
            allowed='" tls" behind an address in listen',
        )
    if not vhost.max_body:
        # nginx reads 0 as "no limit", which nobody means who writes 0
        shaper.report(f"vhost.{vhost.name}.max_body", given="0", allowed="a size of at least one octet")
    if not vhost.listen:
        shaper.report(f"vhost.{vhost.name}.listen", given="[]", allowed=f"at least one of {LISTEN_RULE}")


def _check_pool(shaper: Shaper, pool: Pool) -> None:
    if pool.engine == "native" and pool.engine_options:
        allowed = (
            'engine = "gunicorn" or "uwsgi" beside it, or settings of CherryPy\'s server in an app\'s config, [global]'
        )
        shaper.report(f"pool.{pool.name}.engine_options", message="is for other engines than native", allowed=allowed)
    if pool.preload and pool.engine == "uwsgi":
        message = "uWSGI has to run before the apps are imported, and its threads cannot be forked"
        shaper.report(f"pool.{pool.name}.preload", message=message, allowed='engine = "native" or "gunicorn"')
    if pool.protocol == "uwsgi" and pool.engine != "uwsgi":
        shaper.report(f"pool.{pool.name}.protocol", given='"uwsgi"', allowed='engine = "uwsgi" beside it, or "http"')
    if pool.workers.min > pool.workers.max:
        shaper.report(
            f"pool.{pool.name}.workers",
            given=f"{{ min = {pool.workers.min}, max = {pool.workers.max} }}",
            allowed="min at most as large as max",
        )
    if pool.memory_soft and pool.memory_hard and pool.memory_soft > pool.memory_hard:
        shaper.report(
            f"pool.{pool.name}.memory_soft",
            given=show(str(pool.memory_soft)),
            allowed=f"at most memory_hard ({pool.memory_hard})",
        )


def _check_mounts(shaper: Shaper, stack: Stack) -> None:
    """A path leads to one app: in a vhost, because nginx has to choose, and in a pool, because the worker has to."""
    reported: set[frozenset[str]] = set()
    groups: list[tuple[str, Iterable[str], str]] = [
        (f"vhost.{vhost.name}", vhost.apps, "a mount of its own for each app of a vhost")
        for vhost in stack.vhosts.values()
    ]
    groups += [
        (f"pool.{pool}", [app.name for app in stack.apps_of(pool)], "a mount of its own, or a pool of its own")
        for pool in stack.pools
    ]
    for where, members, allowed in groups:
        first: dict[str, str] = {}
        for name in dict.fromkeys(members):
            app = stack.apps.get(name)
            if app is None:
                continue
            taken = first.setdefault(app.mount, name)
            pair = frozenset((taken, name))
            if taken != name and pair not in reported:
                reported.add(pair)
                message = f"{show(app.mount)} is taken by app.{taken} in {where}"
                shaper.report(f"app.{name}.mount", message=message, allowed=allowed)
