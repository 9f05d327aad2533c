"""Any text in a spec gives a configuration that means that text, or an error with the text's key: never a directive."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crossplane
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kirsch.errors import SpecError
from kirsch.nginx import Nginx, NginxControl, render_site
from kirsch.nginx.trial import try_files
from kirsch.spec import HostPaths, Stack, load_stack

PATHS = HostPaths("/srv/kirsch/x", "/run/kirsch/x")
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# with and without what means something to nginx
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.text(
    alphabet="\\\"' ;{}#$~*^@=%\n\t\r\x7f/ab.:-", min_size=1, max_size=12
)
HASH = "$6$salt$hash"
SPEC = """
[stack]
name = "x"
[app.a]
entry = "a:b"
[app.a.routes.{path}]
auth = {{ realm = {realm}, users = {{ {user} = "{hash}" }} }}
[vhost.main]
names = [{name}]
headers = {{ {field} = {value} }}
"""
PLAIN = {
    "name": "a.example",
    "path": "/path",
    "field": "X-A",
    "value": "value",
    "user": "ann",
    "realm": "realm",
}
KEYS = {
    "name": "vhost.main.names[0]",
    "path": "app.a.routes.",
    "field": "vhost.main.headers.",
    "value": "vhost.main.headers.X-A",
    "user": "app.a.routes./path.auth.users.",
    "realm": "app.a.routes./path.auth.realm",
}


def toml(text: str) -> str:
    """*text* as TOML writes any text."""
    return '"' + "".join(f"\\U{ord(character):08X}" for character in text) + '"'


def load(folder: Path, **texts: str) -> Stack:
    """The stack with *texts* in the places of their names."""
    path = folder / "kirsch.toml"
    written = {place: toml(text) for place, text in {**PLAIN, **texts}.items()}
    path.write_text(SPEC.format(hash=HASH, **written), encoding="utf-8")
    return load_stack(path)


def tree(folder: Path, files: dict[str, str]) -> list[tuple[str, ...]]:
    """Every directive of *files* with its arguments, as crossplane reads them, in order."""
    found: list[tuple[str, ...]] = []

    def walk(nodes: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
        for node in nodes:
            # crossplane leaves a doubled backslash as it stands; nginx reads one
            yield (node["directive"], *(argument.replace("\\\\", "\\") for argument in node["args"]))
            yield from walk(node.get("block", []))

    for name, text in sorted(files.items()):
        if name.endswith(".conf"):
            path = folder / "read.conf"
            path.write_bytes(text.encode())
            payload = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False)
            assert payload["status"] == "ok", payload["errors"]
            found += walk(payload["config"][0]["parsed"])
    return found


@pytest.mark.parametrize("place", PLAIN)
@QUIET
@given(text=TEXTS)
def test_any_text_is_meant_or_refused(tmp_path: Path, place: str, text: str) -> None:
    """The rest of the configuration is the same as with a harmless text, directive by directive."""
    try:
        stack = load(tmp_path, **{place: text})
    except SpecError as error:
        keys = [problem.key.replace('"', "") for problem in error.problems]
        assert all(key.startswith(KEYS[place].replace('"', "")) for key in keys), keys
        return
    files = render_site(stack, PATHS, (1, 22, 1), generation="000001", pages={})
    harmless = render_site(load(tmp_path), PATHS, (1, 22, 1), generation="000001", pages={})
    ours, theirs = tree(tmp_path, files), tree(tmp_path, harmless)
    changed = [(one, other) for one, other in zip(ours, theirs, strict=True) if one != other]
    passwords = [content for name, content in files.items() if name.startswith("passwords/")]

    assert all(one[0] == other[0] and len(one) == len(other) for one, other in changed)
    if place == "user":
        assert passwords == [f"{text}:{HASH}\n"]
    elif text != PLAIN[place]:
        told = [word for one, other in changed for word, usual in zip(one, other, strict=True) if word != usual]
        meant = {"path": {text, f"{text}/"}, "field": {text, "$upstream_http_" + text.lower().replace("-", "_")}}
        assert text in told
        assert {word for word in told if "passwords/" not in word} <= meant.get(place, {text})


@pytest.mark.nginx
def test_nginx_accepts_every_text_that_the_spec_does(
    nginx: Nginx, stage: HostPaths, control: NginxControl, tmp_path: Path, stack_from: Callable[[str], Stack]
) -> None:
    """Hundreds of nasty texts in one configuration, without a warning."""
    source = random.Random(11)
    signs = string.punctuation + " äß漢\u2028\u00a0abc/"
    texts = dict.fromkeys("".join(source.choices(signs, k=source.randint(1, 12))) for _ in range(400))
    parts, accepted = ["[stack]\nname = 'x'\n[app.a]\nentry = 'a:b'\n"], 0
    for place, prefix in (("path", "/"), ("realm", ""), ("user", "")):
        for text in texts:
            try:
                load(tmp_path, **{place: prefix + text})
            except SpecError:
                continue
            accepted += 1
            words = {**PLAIN, "path": f"/{place}/{accepted}", place: prefix + text}
            user, realm = toml(words["user"]), toml(words["realm"])
            parts.append(
                f'[app.a.routes.{toml(words["path"])}]\nauth = {{ realm = {realm}, users = {{ {user} = "{HASH}" }} }}\n'
            )
    files = render_site(
        stack_from("".join(parts)),
        stage,
        nginx.version,
        generation="000001",
        user=control.user,
        modules=nginx.modules,
        loads=nginx.loads,
    )
    troubles = try_files(stage, nginx, files)

    assert accepted > 300
    assert troubles == []
