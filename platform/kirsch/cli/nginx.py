"""`kirsch upgrade-nginx`: another binary in the place of the nginx that runs."""

from __future__ import annotations

import os

import click

from kirsch.cli.fleet import follow, reach
from kirsch.cli.place import Place, with_place
from kirsch.errors import NginxError
from kirsch.nginx.binary import Nginx, find_nginx, inspect_nginx


@click.command("upgrade-nginx", short_help="Put another nginx in the place of the one that runs.")
@click.option("--binary", metavar="PATH", help="Which; without it the one that a first deploy would take.")
@with_place
def upgrade_nginx(place: Place, binary: str | None) -> None:
    """Put another nginx in the place of the one that runs: no connection is refused, no request is cut.

    The configuration is written anew for it and tested by it. It gets the listening sockets, serves beside the old one
    until it is proven, and if it is not, the old one serves on as if nothing had been.
    """
    found = inspect_nginx(os.path.abspath(binary)) if binary else find_nginx()
    if not isinstance(found, Nginx):
        raise NginxError("it cannot take nginx's place", lines=[found])
    result = follow(reach(place), "upgrade_nginx", binary=found.path)
    click.echo(f"nginx {result['version']} ({found.path}) serves")
