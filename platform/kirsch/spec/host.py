"""What the operator wrote about the machines: an inventory."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kirsch.spec.name import Name, Text

BATCH_RULE = 'a number of hosts, or a share like "25%"'
ADMIN_RULE = '"ADDRESS:PORT" of the admin endpoint; keep it on the loopback: "127.0.0.1:9180"'


class Host(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One machine of the cluster."""

    name: Name
    address: Text = "127.0.0.1"
    connection: Literal["ssh", "local"] = "ssh"
    roles: tuple[Literal["app", "edge"], ...] = ("app",)
    user: Text | None = None
    """Login on the host; None lets OpenSSH decide."""
    root: Text = "/srv/kirsch"
    """Folder of the releases; relative to the folder of the inventory file when the connection is local."""
    python: Text | None = None
    """Interpreter that makes the environments; None takes the one that deploys (local) or python3 (ssh)."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="a port from 1 to 65535")] | None = None
    """SSH port."""


class DeployOptions(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a deploy goes over the hosts."""

    batch: (
        Annotated[str, msgspec.Meta(pattern=r"^(?:100|[1-9][0-9]?)%\Z", description=BATCH_RULE)]
        | Annotated[int, msgspec.Meta(ge=1, description=BATCH_RULE)]
    ) = "25%"
    bake_s: Annotated[float, msgspec.Meta(ge=0, le=86400, description="seconds, from 0 to a day (86400)")] = 0.0
    """How long a batch has to stay healthy before the next."""
    keep_releases: Annotated[int, msgspec.Meta(ge=2, le=100, description="a number from 2 to 100")] = 5


class Inventory(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where a stack is deployed to."""

    hosts: dict[Name, Host]
    deploy: DeployOptions = DeployOptions()
    listen: dict[Name, Text] = {}
    """Other addresses for the vhosts of the stack: vhost name to what ``listen`` would say."""
    port_policy: Literal["exact", "next_free"] = "exact"
    """What to do when a port is in use: refuse, or take the next free one and say so."""
    admin: Annotated[
        str,
        msgspec.Meta(pattern=r"^(?:\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost):[0-9]{1,5}\Z", description=ADMIN_RULE),
    ] = "127.0.0.1:9180"
    """Where the supervisor's status page and metrics are."""
