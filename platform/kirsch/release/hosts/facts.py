"""What a host is like before anything of ours is on it. This file is sent to the host's Python as it stands.

Law: the standard library only, in words that an old Python understands too, so that it can say how old it is. It
changes nothing.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import sys
import time


def look(root: str, ports: list[tuple[str, int]]) -> dict[str, object]:
    """Return the facts; *root* is the stack's folder, *ports* are pairs of address and port."""
    above = root
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    usage = shutil.disk_usage(above)
    files = os.statvfs(above)
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    current = os.path.join(root, "current")
    return {
        "version": list(sys.version_info[:3]),
        "tag": "%s-%s" % (sys.implementation.cache_tag, platform.machine()),  # noqa: UP031
        "python": sys.executable,
        "has_venv": _has_module("venv"),
        "has_pip": _has_module("pip") or _has_module("ensurepip"),
        "user": os.getuid(),
        "host": socket.gethostname(),
        "clock": time.time(),
        "free_bytes": usage.free,
        "free_files": files.f_favail if files.f_files else None,
        "folder": above,
        "writable": os.access(above, os.W_OK | os.X_OK),
        "nginx": shutil.which(os.environ.get("KIRSCH_NGINX", "nginx"), path=path),
        "runs": _answers(os.path.join(root, "run", "control.sock")),
        "taken": [[address, port] for address, port in ports if not _is_free(address, port)],
        "has": _names(os.path.join(root, "kit")),
        "current": os.path.basename(os.readlink(current)) if os.path.islink(current) else None,
        "stack": _read(os.path.join(root, "stack.name")),
    }


def _has_module(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def _answers(path: str) -> bool:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.settimeout(5)
        line.connect(path)
    except OSError:
        return False
    finally:
        line.close()
    return True


def _is_free(address: str, port: int) -> bool:
    probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        probe.listen(1)
    except OSError:
        return False
    finally:
        probe.close()
    return True


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


if __name__ == "__main__":
    print(json.dumps(look(**json.loads(sys.argv[1]))))  # noqa: T201
