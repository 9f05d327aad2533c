"""What no single key of a vhost shows: keys that need another one, and vhosts that have to agree on an address."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.spec.app import App
from kirsch.spec.guard import Auth
from kirsch.spec.network import NETWORK_RULE, why_no_network
from kirsch.spec.shape import Shaper, join, nearest, show
from kirsch.spec.stack import Stack
from kirsch.spec.upstream import ADDRESS_RULE
from kirsch.spec.vhost import Listen, Vhost

PRELOAD_AGE_S = 31536000


def check_vhost(shaper: Shaper, vhost: Vhost) -> None:
    """Report what does not fit together in *vhost*."""
    here = f"vhost.{vhost.name}"
    plain = [listen for listen in vhost.listen if not listen.tls]
    secure = [listen for listen in vhost.listen if listen.tls]
    if vhost.redirect_https and not (plain and secure):
        needed = f"{here}.listen with an address without tls, which sends people on, and one with it"
        shaper.report(f"{here}.redirect_https", given="true", allowed=needed)
    if vhost.acme is not None and not plain:
        allowed = 'an address without tls in listen: authorities ask on port 80 ("0.0.0.0:80")'
        shaper.report(f"{here}.acme", message="nobody could ask", allowed=allowed)
    if vhost.http3 and not secure:
        shaper.report(f"{here}.http3", given="true", allowed='an address in listen that says " tls"')
    _check_names(shaper, vhost, here)
    _check_tls(shaper, vhost, here)
    _check_proxies(shaper, vhost, here)
    check_networks(shaper, f"{here}.trusted_proxies", vhost.trusted_proxies)
    check_networks(shaper, f"{here}.maintenance.bypass", vhost.maintenance.bypass)
    check_networks(shaper, f"{here}.allow", vhost.allow)
    check_networks(shaper, f"{here}.deny", vhost.deny)
    _check_auth(shaper, f"{here}.auth", vhost.auth)


def check_address(shaper: Shaper, vhost: Vhost, first: Vhost, listen: Listen) -> None:
    """Report where *vhost* wants to speak another way on *listen* than *first*, which came there before it."""
    if not listen.tls or vhost.tls is None or first.tls is None:
        return
    settings: dict[str, tuple[object, object]] = {
        "tls.profile": (vhost.tls.profile, first.tls.profile),
        "http2": (vhost.http2, first.http2),
        "http3": (vhost.http3, first.http3),
    }
    for key, (ours, theirs) in settings.items():
        if ours != theirs:
            allowed = f"{show(theirs)} as in vhost.{first.name}, which has {listen.endpoint} too"
            shaper.report(f"vhost.{vhost.name}.{key}", given=show(ours), allowed=allowed)


def check_routes(shaper: Shaper, stack: Stack) -> None:
    """Report routes of apps that do not fit together, or are taken by something else."""
    probes = stack.health.paths
    for app in stack.apps.values():
        for key, behind in (("canary", app.canary), ("mirror", app.mirror)):
            if behind is not None:
                _check_behind(shaper, stack, app, f"app.{app.name}.{key}.app", behind.app)
        for path in app.assets:
            if path in app.files:
                allowed = "one of files and assets for a path"
                shaper.report(join(f"app.{app.name}.assets", path), given=show(path), allowed=allowed)
        for path, route in app.routes.items():
            here = join(f"app.{app.name}.routes", path)
            full = app.mount.rstrip("/") + path
            if path in app.files or path in app.assets:
                allowed = "a path that is not among files or assets, which nginx serves by itself"
                shaper.report(here, given=show(path), allowed=allowed)
            if full in probes:
                shaper.report(here, given=show(full), allowed="a path that is not a probe's")
            for other in stack.apps.values():
                if other.mount == full:
                    allowed = f"a path of its own: {show(full)} is where app.{other.name} is mounted"
                    shaper.report(here, given=show(path), allowed=allowed)
            pool = stack.pools.get(app.pool)
            if route.cache is not None and pool is not None and pool.protocol != "http":
                allowed = f'protocol = "http" in pool.{pool.name} for what is kept'
                shaper.report(f"{here}.cache", message=f"not with protocol {show(pool.protocol)}", allowed=allowed)
            if route.cache is not None and route.kind != "page":
                allowed = 'kind = "page" for what is kept'
                shaper.report(f"{here}.cache", message=f"{route.kind} cannot be kept", allowed=allowed)
            if route.max_body is not None and not route.max_body:
                shaper.report(f"{here}.max_body", given="0", allowed="a size of at least one octet")
            check_networks(shaper, f"{here}.allow", route.allow)
            check_networks(shaper, f"{here}.deny", route.deny)
            _check_auth(shaper, f"{here}.auth", route.auth)


def check_upstreams(shaper: Shaper, stack: Stack, upstreams: list[str]) -> None:
    """Report hosts that could not be asked, and vhosts that name none of *upstreams*, or apps besides."""
    for vhost in stack.vhosts.values():
        key = f"vhost.{vhost.name}.upstream"
        if vhost.upstream is None:
            continue
        if vhost.upstream not in upstreams:
            hint = nearest(vhost.upstream, upstreams)
            known = ", ".join(upstreams) or "a table [upstream.NAME]"
            shaper.report(key, given=show(vhost.upstream), allowed=known, hint=hint)
        if vhost.apps:
            shaper.report(key, message="apps are named beside it", allowed="one of apps and upstream")
    for upstream in stack.upstreams.values():
        here = f"upstream.{upstream.name}"
        seen: set[str] = set()
        for place, member in enumerate(upstream.members):
            key = f"{here}.members[{place}]"
            looks_so = member.address.startswith("[") or member.host.rpartition(".")[2].isdigit()
            if member.port > 65535 or looks_so == member.is_name:
                shaper.report(key, given=show(member.address), allowed=ADDRESS_RULE)
            if member.address.lower() in seen:
                shaper.report(key, message=f"{show(member.address)} is there already", allowed="each host once")
            seen.add(member.address.lower())
        if all(member.down or member.backup for member in upstream.members):
            allowed = "at least one host that is neither down nor backup"
            shaper.report(f"{here}.members", message="nobody is there to be asked", allowed=allowed)
        if not any(vhost.upstream == upstream.name for vhost in stack.vhosts.values()):
            allowed = f'upstream = "{upstream.name}" in a table [vhost.NAME], or no such table'
            shaper.report(here, message="no vhost hands anything on to it", allowed=allowed)


def check_networks(shaper: Shaper, key: str, networks: Iterable[str]) -> None:
    """Report what is no network, or is one only because nginx would overlook some of its bits."""
    for place, network in enumerate(networks):
        wrong = why_no_network(network)
        if wrong:
            message, meant = wrong
            shaper.report(f"{key}[{place}]", message=f"{show(network)} {message}", allowed=NETWORK_RULE, hint=meant)


def _check_behind(shaper: Shaper, stack: Stack, app: App, key: str, name: str) -> None:
    """Report an app behind another one that could not take its place."""
    other = stack.apps.get(name)
    if other is None:
        shaper.report(key, given=show(name), allowed=", ".join(stack.apps), hint=nearest(name, list(stack.apps)))
    elif other.pool == app.pool or other.mount != app.mount:
        allowed = f"an app with mount = {show(app.mount)} in another pool than {app.pool}"
        shaper.report(key, given=show(name), allowed=allowed)
    elif other.canary is not None or other.mirror is not None:
        shaper.report(key, given=show(name), allowed="an app without a canary or mirror of its own")
    elif key.endswith(".canary.app") and _protocol(stack, other) != _protocol(stack, app):
        allowed = f"an app in a pool with protocol = {show(_protocol(stack, app))}, as that of {app.name}"
        shaper.report(key, given=show(name), allowed=allowed)


def _protocol(stack: Stack, app: App) -> str:
    return stack.pools[app.pool].protocol if app.pool in stack.pools else "http"


def _check_auth(shaper: Shaper, key: str, auth: Auth | None) -> None:
    if auth is not None and bool(auth.users) == (auth.users_file is not None):
        message = "names its users twice" if auth.users else "names no users"
        shaper.report(key, message=message, allowed='users = { NAME = "HASH" } or users_file = "shared/users"')


def _check_names(shaper: Shaper, vhost: Vhost, here: str) -> None:
    if vhost.aliases and not vhost.served_names:
        shaper.report(f"{here}.aliases", message="there is no name to send them to", allowed="a first name in names")
    if vhost.aliases and vhost.served_names and vhost.served_names[0].startswith("*."):
        allowed = "a first name in names that is no wildcard, to send them to"
        shaper.report(f"{here}.names[0]", given=show(vhost.names[0]), allowed=allowed)
    for place, alias in enumerate(vhost.aliases):
        if alias.lower() in {name.lower() for name in vhost.served_names}:
            shaper.report(f"{here}.aliases[{place}]", given=show(alias), allowed="a name that is not among names")
    if vhost.www is not None and not vhost.redirected_names:
        shaper.report(f"{here}.www", given=show(vhost.www), allowed="at least one name in names that is no wildcard")


def _check_tls(shaper: Shaper, vhost: Vhost, here: str) -> None:
    hsts = vhost.tls.hsts if vhost.tls else None
    if hsts is not None and hsts.preload and not (hsts.subdomains and hsts.max_age_s >= PRELOAD_AGE_S):
        allowed = f"subdomains = true and max_age_s from {PRELOAD_AGE_S} beside it"
        shaper.report(f"{here}.tls.hsts.preload", given="true", allowed=allowed)


def _check_proxies(shaper: Shaper, vhost: Vhost, here: str) -> None:
    kinds = {listen.proxy for listen in vhost.listen}
    if True in kinds and not vhost.trusted_proxies:
        allowed = "the networks of the balancer that sends the PROXY headers, as an address of listen says proxy"
        shaper.report(join(here, "trusted_proxies"), allowed=allowed)
    if kinds == {True, False}:
        allowed = '" proxy" at all addresses or at none; others in a vhost of their own'
        shaper.report(f"{here}.listen", message="the PROXY protocol is spoken on some addresses only", allowed=allowed)
    for place, network in enumerate(vhost.trusted_proxies):
        if network.endswith("/0"):
            allowed = "the networks of your own proxies: everybody could say to be anybody"
            shaper.report(f"{here}.trusted_proxies[{place}]", given=show(network), allowed=allowed)
