"""Everything that one kirsch.toml describes, and its form in JSON between processes."""

from __future__ import annotations

import msgspec

from kirsch.spec.app import App
from kirsch.spec.bus import Bus
from kirsch.spec.name import Name, Text
from kirsch.spec.pool import Pool
from kirsch.spec.probe import Health
from kirsch.spec.size import Bytes
from kirsch.spec.upstream import Upstream
from kirsch.spec.vhost import Listen, Vhost


class Stack(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Apps, the pools that run them and the vhosts that show them; the dicts are keyed by name, in the file's order."""

    name: Name
    apps: dict[Name, App]
    pools: dict[Name, Pool]
    vhosts: dict[Name, Vhost]
    upstreams: dict[Name, Upstream] = {}
    health: Health = Health()
    bus: Bus = Bus()
    directory: str = "."
    """The folder of kirsch.toml."""
    requirements: Text | None = None
    """A requirements file for the release's environment, relative to the folder."""
    release_command: Text | None = None
    """A shell command that runs once per deploy, before the new release is current (migrations)."""

    def apps_of(self, pool: str) -> tuple[App, ...]:
        """The apps that the workers of *pool* serve."""
        return tuple(app for app in self.apps.values() if app.pool == pool)

    def with_listen(self, listen: dict[str, tuple[Listen, ...]]) -> Stack:
        """The same stack with other addresses for the vhosts named in *listen*."""
        vhosts = {
            name: msgspec.structs.replace(vhost, listen=listen[name]) if name in listen else vhost
            for name, vhost in self.vhosts.items()
        }
        return msgspec.structs.replace(self, vhosts=vhosts)

    def with_directory(self, directory: str) -> Stack:
        """The same stack, unpacked in another folder (a release on a host)."""
        return msgspec.structs.replace(self, directory=directory)


def dump_json(value: object) -> bytes:
    """JSON of any spec object, or of plain data that holds spec objects."""
    return msgspec.json.encode(value, enc_hook=_encode)


def stack_from_json(data: bytes) -> Stack:
    """The stack that :func:`dump_json` wrote.

    Raises:
        msgspec.ValidationError: the JSON is not such a stack (it was written by another version).
    """
    return msgspec.json.decode(data, type=Stack, dec_hook=decode_special)


def stack_from_data(data: object) -> Stack:
    """The stack from plain data: what ``json.loads`` makes of :func:`dump_json`'s text, or a part of a larger file."""
    return msgspec.convert(data, type=Stack, dec_hook=decode_special)


def decode_special(kind: type, value: object) -> object:
    """The ``dec_hook`` for spec types that msgspec does not know."""
    if kind is Bytes:
        return Bytes.parse(value)
    raise NotImplementedError(kind)


def _encode(value: object) -> object:
    if isinstance(value, Bytes):
        return int(value)
    raise NotImplementedError(type(value))
