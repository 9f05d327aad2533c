"""Which locations offer to send files, and where these are; a client's side is in ``tests/integration``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import crossplane
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kirsch.errors import SpecError
from kirsch.nginx import render_site
from kirsch.spec import HostPaths, Stack, load_stack

PATHS = HostPaths("/srv/kirsch/x", "/run/kirsch/x")
TEXT = """
[stack]
name = "x"
[app.shop]
entry = "shop:Root"
accel = ["shared/up", "/srv/media"]
canary = { app = "next", percent = 10 }
[app.shop.routes."/kept"]
cache = true
[app.next]
entry = "shop:Root"
pool = "next"
accel = ["/srv/next"]
[app.plain]
entry = "plain:Root"
mount = "/plain"
[pool.web]
workers = 1
[pool.next]
workers = 1
"""
OFFER, REFUSAL = ("set", "$kirsch_files", "on"), ("proxy_ignore_headers", "X-Accel-Redirect")


def locations(folder: Path, stack: Stack) -> dict[str, list[tuple[str, ...]]]:
    """The directives of each location of the vhost, by the location's words."""
    files = render_site(stack, PATHS, (1, 22, 1), generation="000001", pages={})
    path = folder / "read.conf"
    path.write_text(files["vhosts/main.conf"], encoding="utf-8")
    parsed = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False)["config"][0]["parsed"]
    found: dict[str, list[tuple[str, ...]]] = {}
    for node in parsed[0]["block"]:
        if node["directive"] == "location":
            lines = [(child["directive"], *unescaped(child)) for child in node["block"]]
            found[" ".join(unescaped(node))] = lines
    return found


def unescaped(node: dict[str, Any]) -> list[str]:
    """The arguments of *node*; crossplane leaves a doubled backslash as it stands, nginx reads one."""
    return [argument.replace("\\\\", "\\") for argument in node["args"]]


def test_files_are_offered_where_the_operator_has_named_folders(
    tmp_path: Path, stack_from: Callable[[str], Stack]
) -> None:
    """Not to other apps, nor where answers are kept: there no redirect counts at all."""
    found = locations(tmp_path, stack_from(TEXT))

    assert OFFER in found["/"]
    assert REFUSAL not in found["/"]
    for place in ("= /kept", "/kept/", "= /plain", "/plain/"):
        assert REFUSAL in found[place]
        assert OFFER not in found[place]


def test_the_other_version_of_an_app_has_files_too(tmp_path: Path, stack_from: Callable[[str], Stack]) -> None:
    """At places of its own; a client that is new gets its cookie with a file as with any answer."""
    found = locations(tmp_path, stack_from(TEXT))
    places = {name: lines for name, lines in found.items() if "/.kirsch/files/" in name}
    alias = {name: next(line[1] for line in lines if line[0] == "alias") for name, lines in places.items()}

    assert alias == {
        "^~ /.kirsch/files/shop/0/": "$kirsch_disk/srv/kirsch/x/shared/up/",
        "^~ /.kirsch/files/shop/1/": "$kirsch_disk/srv/media/",
        "^~ /.kirsch/files/next/0/": "$kirsch_disk/srv/next/",
    }
    for lines in places.values():
        assert ("internal",) in lines
        assert ("open_file_cache", "off") in lines
        assert any(line[:2] == ("add_header", "Set-Cookie") for line in lines)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
    | st.text(alphabet="\\\"' ;{}#$~*^@=%\n\t\r\x7f/ab.:-", min_size=1, max_size=12)
)
def test_any_folder_is_meant_or_refused(tmp_path: Path, text: str) -> None:
    """With its key, or as one argument that is that folder and nothing else."""
    file = tmp_path / "kirsch.toml"
    written = "".join(f"\\U{ord(character):08X}" for character in text)
    file.write_text(f'[stack]\nname = "x"\n[app.a]\nentry = "a:b"\naccel = ["{written}"]\n', encoding="utf-8")
    try:
        stack = load_stack(file)
    except SpecError as error:
        keys = [problem.key for problem in error.problems]
        assert keys == ["app.a.accel[0]"]
        return
    lines = locations(tmp_path, stack)["^~ /.kirsch/files/a/0/"]
    full = text if text.startswith("/") else f"{PATHS.root}/{text}"

    assert ("alias", f"$kirsch_disk{full}/") in lines
    assert ("disable_symlinks", "on", f"from=$kirsch_disk{full}/") in lines
    assert {line[0] for line in lines} == {
        *("internal", "alias", "disable_symlinks", "open_file_cache", "auth_basic", "allow", "etag", "include"),
        "add_header",
    }


@pytest.mark.parametrize("folder", ["/", "", "/srv/", "/srv/../etc", "./x", "a//b", "/srv/$http_x", "x\n"])
def test_folders_that_are_none_are_refused(stack_from: Callable[[str], Stack], folder: str) -> None:
    """The whole disk among them."""
    written = folder.replace("\n", "\\n")
    with pytest.raises(SpecError) as caught:
        stack_from(TEXT.replace('"/srv/media"', f'"{written}"'))

    assert [problem.key for problem in caught.value.problems] == ["app.shop.accel[1]"]
