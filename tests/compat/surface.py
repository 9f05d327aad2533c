"""The names that applications may rely on, with their parameters: ``surface.json`` keeps them from being lost.

    python surface.py                                   what of surface.json is lost or changed
    python surface.py --write                           take over how the names in surface.json look now
    python surface.py --write --add cherrypy.lib.x.y    and begin to keep a new one
    python surface.py --against DIR --python EXE        what the ``cherrypy`` below DIR has, run by EXE, and we lack

A name of a module is kept as "module", "object", a plain value, the parameters of a function, or {member: the same} of
a class; functions and classes of the standard library and the like are "foreign": only their presence counts.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import re
import string
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FILE = HERE / "surface.json"
ABSENT = HERE / "absent.json"

SPECIAL = re.compile("__(init|call|getitem|setitem|delitem|contains|len|iter|next|enter|exit|lt|str|eq|hash|bool)__")
# Where what a class inherits may come from to count as its own; CherryPy's own test client lives in cheroot.
FAMILY = ("cherrypy", "cheroot.test")

Names = dict[str, Any]


def is_public(name: str) -> bool:
    """True for what applications may use."""
    return not name.startswith("_") or SPECIAL.fullmatch(name) is not None


def parameters(function: Any) -> str:
    """'(self, a, b=1, *args)'; a default that has no short repr is '...'."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "object"
    shown = []
    for parameter in signature.parameters.values():
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = ""
        if parameter.default is not parameter.empty:
            text = repr(parameter.default)
            default = f"={text if re.fullmatch(r'[^<>]{0,60}', text) and '/' not in text[2:] else '...'}"
        shown.append(f"{star}{parameter.name}{default}")
    return f"({', '.join(shown)})"


def value_of(thing: Any) -> str:
    """'= 8080' for plain values, as far as they are short; "object" for others."""
    text = repr(thing)
    is_plain = isinstance(thing, int | float | str | bytes | tuple | list | None) and len(text) < 60
    return f"= {text.replace('[', '(').replace(']', ')')}" if is_plain and not re.search(r"[<\\/]", text) else "object"


def members(cls: type) -> Names:
    """The public members of *cls*, those of its bases within the family included."""
    found: Names = {}
    for base in reversed([base for base in cls.__mro__ if base.__module__.startswith(FAMILY)]):
        for name, value in vars(base).items():
            if is_public(name):
                inner = value.__func__ if isinstance(value, staticmethod | classmethod) else value
                found[name] = parameters(inner) if inspect.isfunction(inner) else value_of(inner)
        # what the constructor sets, and the class only declares
        found.update(
            {name: "object" for name in inspect.get_annotations(base) if is_public(name) and name not in found}
        )
    return found


def surface(module: Any) -> Names:
    """The public names of *module*: its own, and those of the family that it has."""
    names: Names = {}
    for name, value in vars(module).items():
        home = getattr(value, "__module__", "") or ""
        if name.startswith("_"):
            continue
        if inspect.ismodule(value):
            if value.__name__.startswith(FAMILY):
                names[name] = "module"
        elif inspect.isclass(value):
            names[name] = members(value) if home.startswith(FAMILY) else "foreign"
        elif inspect.isfunction(value):
            names[name] = parameters(value) if home.startswith(FAMILY) else "foreign"
        else:
            names[name] = value_of(value)
    return names


def dump() -> dict[str, Names]:
    """The surface of the ``cherrypy`` that can be imported here."""
    warnings.simplefilter("ignore")
    found = {}
    for name in load():
        try:
            found[name] = surface(importlib.import_module(name))
        except ModuleNotFoundError:
            sys.stderr.write(f"There is no {name} here.\n")
    return found


def dump_of(folder: str, python: str) -> dict[str, Names]:
    """The surface of the ``cherrypy`` in *folder*, in a process of its own."""
    environ = {**os.environ, "PYTHONPATH": folder}
    done = subprocess.run([python, __file__, "--dump"], env=environ, capture_output=True, text=True, check=True)
    found: dict[str, Names] = json.loads(done.stdout)
    return found


def split(shown: str) -> list[str]:
    """The parameters in '(a, b=(1, 2))': ['a', 'b=(1, 2)']."""
    shown = shown[1:-1].replace("[", "(").replace("]", ")")
    return [part for part in re.split(r", (?![^({]*[)}])", shown) if part]


def fits(kept: str, now: str) -> bool:
    """True if whoever calls by the parameters *kept* can call *now*: the same in order, further ones optional.

    The first parameter of a method does not count: ``cls`` for ``self`` is the same call. Nor does whether a default is
    a list or a tuple; "..." is any default, and None as a value is what a constructor sets later.
    """
    if kept.startswith("=") and now.startswith("="):
        return kept in (now, "= None")
    if not kept.startswith("("):
        return kept != "class" or now in ("class", "foreign")
    if not now.startswith("("):
        return now == "foreign"
    old, new = split(kept), split(now)
    old, new = (which[1:] if which[:1] in (["self"], ["cls"]) else which for which in (old, new))
    for star in ("**", "*"):
        if any(one.startswith(star) for one in old) and not any(one.startswith(star) for one in new):
            return False
        old, new = ([one for one in which if not one.startswith(star)] for which in (old, new))
    is_same = all(
        before == after or after.startswith(before.removesuffix("...") if before.endswith("=...") else f"{before}=")
        for before, after in zip(old, new, strict=False)
    )
    return is_same and len(new) >= len(old) and all("=" in one for one in new[len(old) :])


def flat(found: dict[str, Names]) -> Iterator[tuple[str, str]]:
    """(dotted name, how it looks) of everything."""
    for module, names in found.items():
        for name, shape in names.items():
            dotted = f"{module}.{name}"
            if isinstance(shape, dict):
                yield dotted, "class"
                yield from ((f"{dotted}.{member}", look) for member, look in shape.items())
            else:
                yield dotted, shape


def compare(kept: dict[str, Names], now: dict[str, Names]) -> list[str]:
    """What of *kept* is lost in *now*, or cannot be called as before."""
    present = dict(flat(now))
    complaints = []
    for dotted, look in flat(kept):
        found = present.get(dotted)
        if found == "class" and look.startswith("("):
            # a class may stand for a function: it is called like its constructor
            found = present.get(f"{dotted}.__init__")
        if found is None and present.get(dotted.rpartition(".")[0]) != "foreign":
            complaints.append(f"{dotted} is lost")
        elif found is not None and not fits(look, found):
            complaints.append(f"{dotted} was {look}, is {found}")
    return complaints


def absent() -> dict[str, str]:
    """{dotted name: why it is not offered}."""
    groups: list[dict[str, Any]] = json.loads(ABSENT.read_text(encoding="utf-8"))
    return {name: group["reason"] for group in groups for name in group["names"]}


def load() -> dict[str, Names]:
    """What is kept."""
    kept: dict[str, Names] = json.loads(FILE.read_text(encoding="utf-8"))
    return kept


def refreshed(shape: Any, current: Any) -> Any:
    """How *current* looks in what *shape* keeps of it."""
    if isinstance(shape, dict) and isinstance(current, dict):
        return {member: refreshed(shape[member], current[member]) for member in sorted(shape) if member in current}
    if not (isinstance(shape, str) and isinstance(current, str) and shape.startswith("(") and current.startswith("(")):
        return current
    names = {name_of(one) for one in split(shape)}
    return f"({', '.join(one for one in split(current) if name_of(one) in names)})"


def name_of(parameter: str) -> str:
    """'b' for 'b=1', '*' for '*args': names of these are free."""
    return parameter.rstrip("_" + string.ascii_letters) if parameter.startswith("*") else parameter.partition("=")[0]


def write(kept: dict[str, Names], now: dict[str, Names]) -> None:
    """Take over how the names of *kept* look now, one line for each; parameters that were added since are free."""
    blocks = []
    for module in sorted(kept):
        names = {name: refreshed(kept[module][name], now[module][name]) for name in kept[module] if name in now[module]}
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(names[name])}" for name in sorted(names))
        blocks.append(f"{json.dumps(module)}: {{\n{lines}\n}}")
    FILE.write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")


def add(kept: dict[str, Names], now: dict[str, Names], dotted: str) -> None:
    """Begin to keep *dotted*: a name of a module, or a member of a class."""
    module = max((name for name in kept if dotted.startswith(f"{name}.")), key=len)
    name, _, member = dotted[len(module) + 1 :].partition(".")
    if member:
        kept[module][name][member] = now[module][name][member]
    else:
        kept.setdefault(module, {})[name] = now[module][name]


def main() -> int:
    """Obey the command line; 1 if something is lost or missing."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--dump", action="store_true", help=argparse.SUPPRESS)
    command.add_argument("--write", action="store_true")
    command.add_argument("--add", action="append", default=[], metavar="NAME")
    command.add_argument("--against", metavar="DIR")
    command.add_argument("--python", default=sys.executable, metavar="EXE")
    options = command.parse_args()
    now = dump()
    if options.dump:
        json.dump(now, sys.stdout)
        return 0
    if options.write:
        kept = load()
        for dotted in options.add:
            add(kept, now, dotted)
        write(kept, now)
        return 0
    reasons: dict[str, str] = {}
    wanted = dump_of(options.against, options.python) if options.against else load()
    if options.against:
        foreign = {dotted for dotted, look in flat(wanted) if look == "foreign"}
        reasons = dict.fromkeys(foreign, "") | absent()
    complaints = [line for line in compare(wanted, now) if line.split(" ")[0] not in reasons]
    print("\n".join([*complaints, f"{len(complaints)} of {len(list(flat(wanted)))} names"]))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
