"""Who believes whom: header fields, hop counts, names that are allowed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from kirsch.check.case import Case
from kirsch.check.finding import Finding, Place

REPLACED = frozenset(
    {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip", "host"}
)
"""Fields that nginx writes itself; every other one that an application believes is the client's own."""

_HOPS = ("x_for", "x_proto", "x_host", "x_port", "x_prefix")


def check_proxy_tool(case: Case) -> Iterator[Finding]:
    """Fields that `tools.proxy` believes and nginx does not replace; settings that the platform overrides."""
    for setting in case.find("tools.proxy.remote", "tools.proxy.local", "tools.proxy.scheme"):
        if isinstance(setting.value, str) and setting.value and setting.value.lower() not in REPLACED:
            yield Finding(
                "K201",
                "error",
                f"{setting.app.name} believes a field that every client can send",
                case.at("nginx: proxy.conf"),
                setting.place,
                f"nginx replaces X-Forwarded-* and X-Real-IP; {setting.value} goes through as it came",
                "leave the key out: the worker knows its nginx; name the network before it in trusted_proxies of the "
                "vhost",
            )
    for setting in case.find("tools.proxy.base"):
        names = {name for vhost in case.vhosts_of(setting.app) for name in vhost.names}
        host = str(setting.value).rpartition("://")[2].partition(":")[0].partition("/")[0]
        if setting.value and names and host not in names:
            yield Finding(
                "K202",
                "warning",
                f"links of {setting.app.name} may lead to a host that no vhost has",
                case.at(f"vhost.{next(case.vhosts_of(setting.app)).name}.names"),
                setting.place,
                f"{host} is not among {', '.join(sorted(names))}",
                "leave the key out: links begin with the host that was asked for",
            )
    for setting in case.find("server.trusted_proxies"):
        yield Finding(
            "K203",
            "note",
            f"whom {setting.app.name} trusts is the platform's to say",
            case.at("vhost.NAME.trusted_proxies"),
            setting.place,
            "a worker believes its own nginx and nobody else",
            "leave the key out; networks before nginx go into trusted_proxies of the vhost",
        )


def check_frameworks(case: Case) -> Iterator[Finding]:
    """Hop counts of grafted applications (one hop: our nginx), and names that Django would refuse."""
    for line in case.lines:
        if line.name == "ProxyFix":
            counts = {name: line.arguments[name] for name in _HOPS if name in line.arguments}
            counts |= {name: line.arguments[str(at)] for at, name in enumerate(_HOPS, 1) if str(at) in line.arguments}
            wrong = [f"{name}={count}" for name, count in counts.items() if isinstance(count, int) and count > 1]
            if wrong:
                yield Finding(
                    "K211",
                    "error",
                    "a hop count is higher than there are hops",
                    case.at("nginx: one hop in X-Forwarded-*"),
                    line.place,
                    f"with {', '.join(wrong)} the client's address and scheme are not found, and are nginx's own",
                    "ProxyFix(x_for=1, x_proto=1, x_host=1), or none: the environment is right already",
                )
        if line.name == "ALLOWED_HOSTS" and isinstance(line.arguments["0"], list):
            yield from _check_allowed_hosts(case, line.arguments["0"], line.place.file, line.place)


def _check_allowed_hosts(case: Case, allowed: list[object], file: str, place: Place) -> Iterator[Finding]:
    folder = file.partition("/")[0]
    patterns = [str(one).lower() for one in allowed]
    for app in case.stack.apps.values():
        if app.directory is not None and app.directory.partition("/")[0] != folder:
            continue
        if ":" in app.entry and "DJANGO_SETTINGS_MODULE" not in app.env:
            continue
        for vhost in case.vhosts_of(app):
            missing = [name for name in vhost.names if not _is_allowed(name.lower(), patterns)]
            if missing:
                yield Finding(
                    "K212",
                    "error",
                    f"{app.name} answers 400 to names that its vhost has",
                    case.at(f"vhost.{vhost.name}.names"),
                    place,
                    f"Django refuses every Host that is not in ALLOWED_HOSTS: {', '.join(missing)}",
                    f"ALLOWED_HOSTS = {list(vhost.names)!r}",
                )


def check_networks(case: Case) -> Iterator[Finding]:
    """Trust in more than anybody owns."""
    for vhost in case.stack.vhosts.values():
        for network in vhost.trusted_proxies:
            if ipaddress.ip_network(network, strict=False).prefixlen < 3:
                yield Finding(
                    "K221",
                    "error",
                    f"vhost {vhost.name} believes too many",
                    case.at(f"vhost.{vhost.name}.trusted_proxies"),
                    None,
                    f"{network} is half of the internet: anybody there chooses his own address with X-Forwarded-For",
                    "the addresses of the balancer before nginx",
                )


def _is_allowed(name: str, patterns: list[str]) -> bool:
    name = name.removeprefix("*")
    return any(
        pattern in ("*", name) or (pattern.startswith(".") and (name.endswith(pattern) or name == pattern[1:]))
        for pattern in patterns
    )
