"""What the operator sets in all workers while they run: `config`, `flags`, `loglevel`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from kirsch.cli.bus import read_settings, tell
from kirsch.cli.fleet import reach
from kirsch.cli.place import Place, with_place
from kirsch.errors import ControlError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@click.group()
def config() -> None:
    """Change the configuration of all workers while they run; those that come later have it, too."""


def with_app(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb `--app` and `--path`."""
    of_path = click.option("--path", metavar="/PATH", help="With --app: for the pages from there on; else all of it.")
    return click.option("--app", metavar="APP", help="Of this app alone, not of the whole site.")(of_path(command))


@config.command("set")
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...")
@with_app
@with_place
def config_set(place: Place, settings: tuple[str, ...], app: str | None, path: str | None) -> None:
    r"""Set keys of the configuration, to values in JSON, or text. All are taken by all workers, or none by any.

    \b
    kirsch config set tools.gzip.on=true
    kirsch config set server.max_request_body_size 1048576
    kirsch config set --app shop --path /admin tools.allow.on=true 'tools.allow.methods=["GET"]'
    """
    section, prefix = read_scope(app, path)
    values = {prefix + key: value for key, value in read_settings(settings).items()}
    _set(place, section, values, ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()))


@config.command("undo")
@click.argument("key")
@with_app
@with_place
def config_undo(place: Place, key: str, app: str | None, path: str | None) -> None:
    """Give KEY back the value that it had before it was set."""
    section, prefix = read_scope(app, path)
    _take_back(place, section, prefix + key, "as it was")


@config.command("list")
@with_place
def config_list(place: Place) -> None:
    """Show what is set."""
    _list(place, "config", "app_config")


@click.group()
def flags() -> None:
    """Switch features, as `engine.cluster.flag(NAME, visitor)` tells the applications."""


@flags.command("set")
@click.argument("name")
@click.argument("share", metavar="SHARE")
@with_place
def flags_set(place: Place, name: str, share: str) -> None:
    """Have feature NAME on for SHARE of all visitors: "on", "off", or a percentage ("12.5%")."""
    _set(place, "flags", {name: read_share(share)}, f"{name}: {share}")


@flags.command("remove")
@click.argument("name")
@with_place
def flags_remove(place: Place, name: str) -> None:
    """Forget NAME: applications take their own default."""
    _take_back(place, "flags", name, "removed")


@flags.command("list")
@with_place
def flags_list(place: Place) -> None:
    """Show all features."""
    _list(place, "flags")


@click.command()
@click.argument("level", type=click.Choice([*LEVELS, "default"], case_sensitive=False))
@click.argument("logger", default="site")
@with_place
def loglevel(place: Place, level: str, logger: str) -> None:
    """Set the level of a LOGGER in all workers; "site" is CherryPy's error log, "root" the root of all."""
    value = None if level == "default" else level.upper()
    _set(place, "log_level", {logger: value}, f"{logger}: {level}")


VERBS: tuple[click.Command, ...] = (config, flags, loglevel)


def read_scope(app: str | None, path: str | None) -> tuple[str, str]:
    """Return the section of settings that is meant, and what its names begin with.

    Raises:
        BadParameter: there is no such path.
    """
    if app is None:
        if path is not None:
            raise click.BadParameter("--path is a path of an app: say which with --app")
        return "config", ""
    path = path or "/"
    if not path.startswith("/") or not path.isprintable():
        raise click.BadParameter(f"--path {path!r}: allowed: a path that begins with /")
    return "app_config", f"{app} {path.rstrip('/') or '/'} "


def read_share(text: str) -> float | bool:
    """Return a share in per cent: "on", "off", "12.5%".

    Raises:
        BadParameter: it is none.
    """
    if text in {"on", "off"}:
        return text == "on"
    try:
        share = float(text.removesuffix("%"))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 100:
        raise click.BadParameter(f'{text!r}: allowed: "on", "off", or a percentage from 0% to 100%')
    return share


def _set(place: Place, section: str, values: dict[str, Any], what: str) -> None:
    tell(reach(place).call("set", section=section, values=values), what)


def _take_back(place: Place, section: str, key: str, becomes: str) -> None:
    known = reach(place).call("bus")["settings"].get(section, {})
    if key not in known:
        raise ControlError(f"{key} is not set; there are: {', '.join(sorted(known)) or 'none'}", kind="unknown_key")
    _set(place, section, {key: None}, f"{key}: {becomes}")


def _list(place: Place, *sections: str) -> None:
    settings = reach(place).call("bus")["settings"]
    known = [(section, *one) for section in sections for one in sorted(settings.get(section, {}).items())]
    for section, key, value in known:
        shown = f"{value:g}%" if section == "flags" and not isinstance(value, bool) else json.dumps(value)
        click.echo(f"{key} = {shown}")
    if not known:
        click.echo("nothing is set")
