"""A scratch copy of the released tests: renamed packages, free ports; what they check is left as it is."""

from __future__ import annotations

import random
import re
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

DATA_SUFFIXES = {".py", ".pem", ".css", ".conf"}
# Below the kernel's ephemeral range, where nobody's client sockets come to sit.
PORT_RANGE = range(20000, 30000)

TARGET_HELPER = '''\
"""The package's own cherrypy.test.helper drives the tests, on a free port instead of 54583."""
import importlib.util
import sys
import types
import cherrypy.test
import cptests

_spec = importlib.util.find_spec("cherrypy.test.helper")
with open(_spec.origin, encoding="utf-8") as _file:
    _source = _file.read().replace("54583", "{port}")
_module = types.ModuleType("cherrypy.test.helper")
_module.__file__ = _spec.origin
_module.__package__ = "cherrypy.test"
_module.__spec__ = _spec
sys.modules["cherrypy.test.helper"] = cherrypy.test.helper = _module
exec(compile(_source, _spec.origin, "exec"), _module.__dict__)
sys.modules[__name__] = cptests.helper = _module
'''


@dataclass(frozen=True)
class Options:
    """How the copy differs from the release.

    Attributes:
        helper: "upstream", or "target" for the package's own test helper.
        fast: a shorter keep-alive timeout where tests wait for it ten times.
        hard: failures that the release swallows count.
        validate: every application is wrapped in wsgiref's validator.
    """

    helper: str = "upstream"
    fast: bool = False
    hard: bool = False
    validate: bool = False


def free_ports(count: int) -> list[int]:
    """Distinct ports that nobody listens on."""
    with ExitStack() as held:
        ports: list[int] = []
        # By chance: several files look for ports at the same time.
        for port in random.sample(PORT_RANGE, len(PORT_RANGE)):
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise OSError(f"fewer than {count} free ports in {PORT_RANGE}")


def replacements(name: str, ports: list[int], options: Options) -> list[tuple[str, str]]:
    """(pattern, text) for one file of the tests."""
    common = [
        (r"\bcherrypy\.tutorial\b", "cptutorial"),
        (r"\bcherrypy\.test\b", "cptests"),
        (r"from cherrypy import test\b", "import cptests as test"),
    ]
    if options.helper == "target":
        common.append((r"\bfrom cheroot\.test import webtest\b", "from cherrypy.test import webtest"))
    special = {
        "helper.py": [
            (r"\b54583\b", str(ports[0])),
            *([(r"'validate': False", "'validate': True")] if options.validate else []),
            *(
                [(r"            'Failures occur intermittently. See #1420'", "            raise")]
                if options.hard
                else []
            ),
        ],
        "test_iterator.py": (
            [(r"            'Test fails intermittently. See #1419'", "            raise")] if options.hard else []
        ),
        "test_config_server.py": [
            (rf"\b{old}\b", str(new)) for old, new in zip((9876, 9877, 9878), ports[1:4], strict=True)
        ],
        "test_states.py": [(r"\b8081\b", str(ports[4]))],
        "test_http.py": (
            [
                (
                    r"\{'server\.max_request_body_size': 30000000\}",
                    "{'server.max_request_body_size': 30000000, 'server.socket_timeout': 1}",
                )
            ]
            if options.fast
            else []
        ),
        # The release relies on port 8080 being free.
        "test_native.py": [
            (
                r"    cherrypy\.server\.httpserver = cls\(cherrypy\.server\)\n",
                f"    cherrypy.server.socket_port = {ports[5]}\n"
                "    cherrypy.server.httpserver = cls(cherrypy.server)\n",
            )
        ],
    }
    return common + special.get(name, [])


def rewrite(text: str, name: str, ports: list[int], options: Options) -> str:
    """One file of the tests, for the scratch copy."""
    for pattern, replacement in replacements(name, ports, options):
        text = re.sub(pattern, lambda _, replacement=replacement: replacement, text)
    return text


def make_copy(release: Path, target: Path, ports: list[int], options: Options) -> None:
    """Copy the tests and tutorials of *release* to the new folder *target*."""
    shutil.rmtree(target, ignore_errors=True)
    package = target / "cptests"
    package.mkdir(parents=True)
    for source in sorted((release / "test").iterdir()):
        if source.is_dir():
            if source.name != "__pycache__":
                shutil.copytree(source, package / source.name)
        elif source.name == "helper.py" and options.helper == "target":
            (package / source.name).write_text(TARGET_HELPER.format(port=ports[0]), encoding="utf-8")
        elif source.suffix == ".py":
            text = rewrite(source.read_text(encoding="utf-8"), source.name, ports, options)
            (package / source.name).write_text(text, encoding="utf-8")
        elif source.suffix in DATA_SUFFIXES:
            shutil.copy(source, package)
    tutorials = target / "cptutorial"
    shutil.copytree(release / "tutorial", tutorials, ignore=shutil.ignore_patterns("__pycache__"))
    for file in tutorials.glob("*.py"):
        file.write_text(rewrite(file.read_text(encoding="utf-8"), "tutorial", ports, options), encoding="utf-8")
    shutil.copy(release / "favicon.ico", target)  # tests read "../favicon.ico"
    (target / "pytest.ini").write_text("[pytest]\naddopts =\ndoctest_optionflags = ALLOW_UNICODE ELLIPSIS\n")
