"""How a process runs itself anew: the command line it was started with, and what it must not hand on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Mapping, MutableMapping, Sequence

# Where the interpreter was started: a re-executed program must find its relative paths again.
STARTUP_DIRECTORY = os.getcwd()

SYSTEMD_FIRST_FD = 3
# Listening sockets that this process hands to its fresh run: {"pid": ..., "sockets": {address: descriptor}} as JSON.
HELD_SOCKETS = "CHERRYPY_HELD_SOCKETS"


def true_argv() -> list[str]:
    """The command line of this process: executable, interpreter options, program and arguments.

    ``sys.orig_argv`` holds what the kernel was given, so ``-m``, ``-c``, ``-O`` and ``-X`` come back as they were.
    In an embedded interpreter, which has none, it is rebuilt from what the interpreter knows of itself.

    Raises:
        RuntimeError: the interpreter does not know its own path, or read the program from standard input.
    """
    original = list(sys.orig_argv)
    if not original:
        return interpreter_argv()
    executable = sys.executable or shutil.which(original[0])
    if not executable:
        raise RuntimeError(
            f"The process cannot be run anew: where its interpreter ({original[0]!r}) lies is not known. Start it by "
            "its full path, or switch the autoreloader off (engine.autoreload.on = False)."
        )
    if _came_from_stdin():
        raise RuntimeError(
            "The process cannot be run anew: its program came from standard input. Run it from a file, as a module "
            "(-m) or with -c, or switch the autoreloader off (engine.autoreload.on = False)."
        )
    return [executable, *_with_found_program(original[1:])]


def _came_from_stdin() -> bool:
    return sys.argv[:1] in ([], [""], ["-"]) and not _program_file()


def _program_file() -> str:
    """The file of the program; '' if it has none ("<stdin>" is none)."""
    file = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    return "" if file.startswith("<") else file


def _with_found_program(arguments: list[str]) -> list[str]:
    """*arguments*, with the program by its full path if the start-up directory does not have it.

    The directory was noted when this module was imported; the program may have left its own before.
    """
    file = _program_file()
    is_module = getattr(sys.modules.get("__main__"), "__spec__", None) is not None
    if not file or is_module or not sys.argv or sys.argv[0] not in arguments:
        return arguments
    place = arguments.index(sys.argv[0])
    if not os.path.isabs(file) or os.path.exists(os.path.join(STARTUP_DIRECTORY, arguments[place])):
        return arguments
    return [*arguments[:place], file, *arguments[place + 1 :]]


def interpreter_argv() -> list[str]:
    """The command line rebuilt from ``sys.executable``, ``sys.flags`` and ``sys.argv``."""
    if getattr(sys, "frozen", False):  # the executable is the program
        return [sys.executable, *sys.argv[1:]]
    flags = {
        "-O": min(sys.flags.optimize, 2),
        "-B": sys.flags.dont_write_bytecode,
        "-s": sys.flags.no_user_site,
        "-S": sys.flags.no_site,
        "-E": sys.flags.ignore_environment,
        "-v": sys.flags.verbose,
        "-b": sys.flags.bytes_warning,
        "-q": sys.flags.quiet,
    }
    options = [flag for flag, times in flags.items() for _ in range(int(times))]
    return [sys.executable, *options, *sys.argv]


def extend_pythonpath(env: MutableMapping[str, str]) -> None:
    """Put the start-up directory in front of ``PYTHONPATH`` when this program found its modules there.

    The first entry of ``sys.path`` is '' only for ``-c`` and interactive runs; other runs carry a real folder.
    """
    if not sys.path or sys.path[0] != "":
        return
    prefix = os.path.abspath(sys.path[0]) + os.pathsep
    existing = env.get("PYTHONPATH", "")
    if not existing.startswith(prefix):
        env["PYTHONPATH"] = prefix + existing


def close_on_exec(limit: int, kept: Sequence[int] | None = None) -> None:
    """Mark every descriptor from 3 up to *limit* to be closed by the next ``execv``.

    Those that systemd passed to this very process stay open: the fresh run is entitled to them as well. So do listening
    sockets that servers hold for it.
    """
    keep = {*_systemd_descriptors(), *held_sockets(os.environ, os.getpid()).values()} if kept is None else set(kept)
    for descriptor in _open_descriptors(limit):
        if descriptor > 2 and descriptor not in keep:
            with contextlib.suppress(OSError):  # closed by another thread meanwhile
                os.set_inheritable(descriptor, False)


def held_sockets(environ: Mapping[str, str], pid: int) -> dict[str, int]:
    """The listening sockets that are held for process *pid*: address -> descriptor."""
    try:
        told = json.loads(environ.get(HELD_SOCKETS, "{}"))
        is_meant = told.get("pid") == pid
        return {str(address): int(number) for address, number in told["sockets"].items()} if is_meant else {}
    except (ValueError, TypeError, AttributeError, KeyError):  # somebody else's words
        return {}


def hold_sockets(environ: MutableMapping[str, str], pid: int, sockets: Mapping[str, int]) -> None:
    """Hold further *sockets* (address -> descriptor) for process *pid*."""
    held = {**held_sockets(environ, pid), **sockets}
    environ[HELD_SOCKETS] = json.dumps({"pid": pid, "sockets": held})


def _open_descriptors(limit: int) -> list[int]:
    try:
        return [number for name in os.listdir("/proc/self/fd") if (number := int(name)) < limit]
    except OSError:  # no /proc
        return list(range(3, limit))


def _systemd_descriptors() -> range:
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return range(0)
    count = os.environ.get("LISTEN_FDS", "1")
    return range(SYSTEMD_FIRST_FD, SYSTEMD_FIRST_FD + (int(count) if count.isdecimal() else 1))
