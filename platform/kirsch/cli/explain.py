"""`kirsch explain URL`: the whole way of a request, from the vhost to the page and the values of its configuration."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

import click
import msgspec
from rich.console import Console
from rich.text import Text

from kirsch.check.probe import Door, ask, asking
from kirsch.check.way import Location, choose_location, choose_vhost, parse_locations
from kirsch.cli.place import Place, with_place
from kirsch.cli.probe import load_running
from kirsch.cli.screen import open_console, show_table
from kirsch.errors import ControlError
from kirsch.link.belief import PROBE_PATH, Belief
from kirsch.nginx.upstream import upstream_name
from kirsch.spec import App, HostPaths, Listen, Pool, Stack, Vhost


@click.command()
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="The same for programs.")
@with_place
def explain(place: Place, url: str, as_json: bool) -> None:
    """Show the way of URL through the stack that runs: vhost, location, upstream, slots, app, page, configuration.

    The page is not called. Exit status 1 if the URL leads to no app.
    """
    stack, paths = load_running(place), place.target.paths
    parts = read_url(url)
    found = follow(stack, paths, parts, place.stack_file)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        show_way(open_console(), url, found)
    if found.get("app") is None:
        raise click.exceptions.Exit(1)


def read_url(url: str) -> SplitResult:
    """Take a URL apart.

    Raises:
        click.BadParameter: it is none of this kind.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    with contextlib.suppress(ValueError):
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    raise click.BadParameter(f"{url} is no http:// or https:// address", param_hint="URL")


def follow(stack: Stack, paths: HostPaths, parts: SplitResult, file: str) -> dict[str, Any]:
    """Return each station of the way, as far as it goes."""
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    host = str(parts.hostname)
    path = parts.path or "/"
    chosen = choose_vhost(stack, host=host, port=port, tls=tls)
    if chosen is None:
        return {"vhost": f"none has {host} at port {port}: nginx closes the connection"}
    vhost, why = chosen
    found: dict[str, Any] = {"vhost": f"{vhost.name}: {why} ({file}: vhost.{vhost.name})"}
    config = Path(paths.nginx_current, "vhosts", f"{vhost.name}.conf")
    location = choose_location(parse_locations(config.read_text(encoding="utf-8")), unquote(path))
    found["location"] = f"{location} ({config})" if location else f"none in {config}"
    if vhost.upstream is not None and location is not None and location.upstream is not None:
        hosts = stack.upstreams[vhost.upstream]
        members = [f"{member.address}{' down' if member.down else ''}" for member in hosts.members]
        found["upstream"] = f"{hosts.name}: {', '.join(members)} ({file}: upstream.{hosts.name})"
        return found
    pool = _pool_of(stack, location)
    if location is None or pool is None:
        found["answer"] = f"nginx answers by itself: {_say(location)}"
        return found
    app = _app_of(stack, vhost, pool, path)
    found["upstream"] = (
        f"{location.upstream}: pool {pool.name}, {pool.engine}, {pool.workers.min} to {pool.workers.max}"
    )
    found["slots"] = _slots(paths, pool)
    if app is None:
        return found
    found["app"] = f"{app.name}: {app.entry} at {app.mount} ({file}: app.{app.name})"
    listen = next(listen for listen in vhost.listen if listen.port == port and listen.tls == tls)
    below = path[len(app.mount.rstrip("/")) :] or "/"
    found.update(_ask_worker(paths, vhost, app, listen, parts, unquote(below)))
    return found


def show_way(console: Console, url: str, found: dict[str, Any]) -> None:
    """Print the stations, then the configuration."""
    console.print(Text(url, style="bold"))
    for name, value in found.items():
        lines = value if isinstance(value, list) else [value]
        for line in [] if name == "config" else lines:
            console.print(Text.assemble((f"  {name:<9} ", "dim"), str(line)))
            name = ""
    console.print()
    if found.get("config"):
        rows = [(value["key"], Text(value["value"]), Text(value["level"], style="dim")) for value in found["config"]]
        show_table(console, "configuration", ("key", "value", "from"), rows)


def _say(location: Location | None) -> str:
    if location is None or "internal" in location.lines:
        return "404, nothing is there for clients"
    return "; ".join(location.lines)


def _pool_of(stack: Stack, location: Location | None) -> Pool | None:
    wanted = location.upstream if location else None
    return next((pool for pool in stack.pools.values() if upstream_name(pool.name) == wanted), None)


def _app_of(stack: Stack, vhost: Vhost, pool: Pool, path: str) -> App | None:
    apps = [stack.apps[name] for name in vhost.apps if stack.apps[name].pool == pool.name]
    fitting = [app for app in apps if f"{path}/".startswith(f"{app.mount.rstrip('/')}/")]
    return max(fitting, key=lambda app: len(app.mount), default=None)


def _slots(paths: HostPaths, pool: Pool) -> list[str]:
    lines = []
    for slot in range(1, pool.workers.max + 1):
        link = paths.slot_socket(pool.name, slot)
        with contextlib.suppress(OSError):
            lines.append(f"{os.path.basename(link)} -> {os.path.basename(os.readlink(link))}")
    return lines


def _ask_worker(
    paths: HostPaths, vhost: Vhost, app: App, listen: Listen, parts: SplitResult, below: str
) -> dict[str, Any]:
    host = parts.netloc.rpartition("@")[2]
    door = Door(vhost.name, app.name, listen, host, app.mount)
    try:
        with asking(paths) as token:
            target = f"{app.mount.rstrip('/')}{PROBE_PATH}?token={token}&explain={quote(below, safe='')}"
            answer = ask(door, None, target)
    except OSError as error:
        raise ControlError(f"the stack cannot be asked: {error}", kind="unreachable") from error
    if not isinstance(answer, Belief):
        return {"worker": f"did not say: {answer or 'no answer'}"}
    found: dict[str, Any] = {
        "worker": f"{answer.worker}: base {answer.base}, remote {answer.remote}, scheme {answer.scheme}"
    }
    if answer.explained is not None:
        arguments = ", ".join(repr(argument) for argument in answer.explained.arguments)
        found["handler"] = answer.explained.handler + (f" ({arguments})" if arguments else "")
        found["config"] = [msgspec.to_builtins(value) for value in answer.explained.config]
    else:
        found["handler"] = f"{app.entry} dispatches by itself"
    return found
