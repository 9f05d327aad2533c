"""Type checkers know the framework: a typed application passes ``mypy --strict``, decorators keep signatures."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import cherrypy
from cherrypy.toolbox import builtin

sys.path.insert(0, str(Path(__file__).parent))

import old_names

pytest.importorskip("mypy", reason="mypy is not installed: pip install 'kirsch[test]'")

PROGRAM = Path(__file__).parent / "programs" / "typed_app.py"

REVEAL = """
from typing import Callable

import cherrypy
from cherrypy._cpcompat import ntob
from cherrypy._cptools import HandlerTool
from cherrypy.lib.sessions import Session
from cherrypy.process.wspbus import Bus

@cherrypy.expose
def bare(a: int, b: str = "") -> bytes: return b""

@cherrypy.expose("alias")
def named(a: int, b: str = "") -> bytes: return b""

@cherrypy.tools.json_out()
def with_tool(a: int, b: str = "") -> bytes: return b""

@cherrypy.tools.of_my_own(x=1)
def with_own_tool(a: int, b: str = "") -> bytes: return b""

@cherrypy.config(**{"tools.gzip.on": True})
def configured(a: int, b: str = "") -> bytes: return b""

@cherrypy.popargs("year")
@cherrypy.expose
class Archive: ...

page: Callable[[int, str], bytes]
page = bare
page = named
page = with_tool
page = with_own_tool
page = configured
made: Archive = Archive()

request: cherrypy._cprequest.Request = cherrypy.request
response: cherrypy._cprequest.Response = cherrypy.response
headers: cherrypy.lib.httputil.HeaderMap = cherrypy.response.headers
engine: Bus = cherrypy.engine
session: Session = cherrypy.session
tool: HandlerTool = cherrypy.tools.staticdir
encoded: bytes = ntob("x")
code: int | None = cherrypy.HTTPError(404).code
address: str = cherrypy.url("/", {"a": 1}, relative="server")
application: cherrypy.Application = cherrypy.tree.mount(None)
ip: str = cherrypy.request.remote.ip
cherrypy.request.attribute_of_my_own = cherrypy.request.json
cherrypy.engine.plugin_of_my_own = cherrypy.engine.autoreload
cherrypy.thread_data.connection = 1
"""

# What a checker that knew nothing would let through.
WRONG = {
    'cherrypy.HTTPError("x", "y", "z")': "Too many arguments",
    'cherrypy.url(relatif="server")': "Unexpected keyword argument",
    "cherrypy.request.remote.ipp": 'has no attribute "ipp"',
    'cherrypy.response.headers = "x"': "Incompatible types in assignment",
    "cherrypy.quickstart(None, 5)": "incompatible type",
    "cherrypy.config.update(5)": "incompatible type",
    "cherrypy.Application(None, config=5)": "incompatible type",
    "cherrypy.engine.publish()": 'Missing positional argument "channel"',
    "cherrypy.sesion": 'has no attribute "sesion"',
    "from cherrypy._cptools import HandlerTol": 'has no attribute "HandlerTol"',
}


def check(file: Path) -> subprocess.CompletedProcess[str]:
    """``mypy --strict`` of *file*, without the configuration of this project."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={file.parent / 'cache'}",
        str(file),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=file.parent)


def test_a_typed_application_has_no_errors(tmp_path: Path) -> None:
    """All that applications do, once each."""
    program = tmp_path / PROGRAM.name
    program.write_text(PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")

    done = check(program)

    assert done.returncode == 0, done.stdout + done.stderr


def test_public_names_have_their_types(tmp_path: Path) -> None:
    """Decorators keep the signature, proxies have the type of what they stand for."""
    program = tmp_path / "reveal.py"
    program.write_text(REVEAL, encoding="utf-8")

    done = check(program)

    assert done.returncode == 0, done.stdout + done.stderr


def test_mistakes_are_seen(tmp_path: Path) -> None:
    """Types that allow everything would pass the tests above."""
    program = tmp_path / "wrong.py"
    program.write_text("import cherrypy\n" + "\n".join(WRONG) + "\n", encoding="utf-8")

    lines = check(program).stdout.splitlines()

    for number, (code, expected) in enumerate(WRONG.items(), 2):
        told = [line for line in lines if line.startswith(f"wrong.py:{number}:")]
        assert any(expected in line for line in told), (code, told)


def test_every_built_in_tool_is_declared_with_its_class() -> None:
    """Editors complete ``cherrypy.tools.`` from the declarations; cpstats comes late."""
    declared = inspect.get_annotations(builtin.DefaultToolbox)
    box = vars(builtin.build_toolbox())
    built_in = {name: type(tool).__name__ for name, tool in box.items() if isinstance(tool, cherrypy.Tool)}

    assert {name: declared.get(name) for name in built_in} == built_in
    assert set(declared) - set(built_in) <= {"cpstats"}


def test_the_package_says_that_it_is_typed() -> None:
    """Without the marker type checkers do not look into an installed package."""
    assert (Path(cherrypy.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("name", old_names.NAMES)
def test_the_stub_of_an_old_module_is_up_to_date(name: str) -> None:
    """What stands in it is where it says: ``python tests/compat/old_names.py`` writes it."""
    assert (old_names.PACKAGE / f"{name}.pyi").read_text(encoding="utf-8") == old_names.stub_of(name)
