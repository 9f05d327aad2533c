"""What the rules look at: a stack, the file it stands in, and what its applications say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kirsch.check.finding import Place
from kirsch.check.source import Line, Setting, lines_of, settings_of
from kirsch.nginx.binary import Nginx
from kirsch.spec import App, Pool, Stack, Vhost

CODE_NAMES = frozenset({"ProxyFix", "ALLOWED_HOSTS"})


@dataclass(frozen=True)
class Case:
    """All that is read, once."""

    stack: Stack
    file: str
    settings: tuple[Setting, ...]
    lines: tuple[Line, ...]
    root: str
    """The deploy root on this machine, for files that are relative to it."""
    nginx: Nginx | None = None
    """The binary that serves the stack; None where nobody has looked."""

    def at(self, key: str) -> Place:
        """A place in the stack's file."""
        return Place(self.file, key)

    def pool_of(self, app: App) -> Pool:
        """The workers that serve *app*."""
        return self.stack.pools[app.pool]

    def vhosts_of(self, app: App) -> Iterator[Vhost]:
        """The vhosts that show *app*."""
        return (vhost for vhost in self.stack.vhosts.values() if app.name in vhost.apps)

    def find(self, *keys: str) -> Iterator[Setting]:
        """The settings of these keys, whosever they are."""
        return (setting for setting in self.settings if setting.key in keys)

    def value(self, setting: Setting, key: str) -> object:
        """What *key* is where *setting* stands: in its section, or in those that it inherits from."""
        wanted = [section for section in (setting.section, "/", "global") if section]
        for section in wanted:
            for other in self.settings:
                if other.app is setting.app and other.section == section and other.key == key:
                    return other.value
        return None


def open_case(stack: Stack, file: str, root: str = "", nginx: Nginx | None = None) -> Case:
    """Read everything.

    Raises:
        OSError, ValueError: an application's configuration cannot be read.
    """
    return Case(stack, file, tuple(settings_of(stack, file)), tuple(lines_of(stack, CODE_NAMES)), root, nginx)
