"""Quoting and printing: what is written means what was given, or nothing is written."""

from __future__ import annotations

import random
import re
import string
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crossplane
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kirsch.errors import SpecError
from kirsch.nginx import NginxControl, directives
from kirsch.nginx.directives import Block, Comment, Directive, Expr, Node, block, directive, quote, row, seconds, size
from kirsch.spec import Stack

QUIET = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def parsed(tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Parse nginx text with crossplane."""

    def parse(text: str) -> list[dict[str, Any]]:
        path = tmp_path / "nginx.conf"
        path.write_bytes(text.encode())
        payload = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False)
        assert payload["status"] == "ok", payload["errors"]
        tree: list[dict[str, Any]] = payload["config"][0]["parsed"]
        return tree

    return parse


def unescaped(argument: str) -> str:
    """Crossplane leaves a doubled backslash in a quoted word as it stands; nginx reads one."""
    return argument.replace("\\\\", "\\")


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("plain-1.example", "plain-1.example"),
        ("", '""'),
        ("a b", '"a b"'),
        ('say "x"', "'say \"x\"'"),
        ('it\'s "x"', '"it\'s \\"x\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("a;b{c}#d", '"a;b{c}#d"'),
        ("größe", '"größe"'),
        (404, "404"),
        (Expr("$host:1"), "$host:1"),
        (Expr("t=${msec}"), '"t=${msec}"'),
        (Expr(r"~^[0-9]{3}$"), '"~^[0-9]{3}$"'),
    ],
)
def test_a_value_is_quoted_by_its_type(value: str | int | Expr, token: str) -> None:
    """Bare where that is safe, quoted where not."""
    assert quote(value) == token


@pytest.mark.parametrize(
    "value",
    ["a\nb", "a\rb", "a\x00b", "\x1b[0m", "\x85", "\ud800", "$host", "cost: 5$", "x" * 4001, Expr("a\n$b"), -1, True],
)
def test_what_cannot_be_written_is_refused(value: str | int | Expr) -> None:
    """With the directive in the error, and the status of wrong input."""
    with pytest.raises(SpecError) as caught:
        directives.render([Directive("root", (value,))])

    assert caught.value.problems[0].key == "nginx root"
    assert caught.value.exit_status == 2


@QUIET
@given(st.text(max_size=60))
def test_any_text_is_refused_or_survives(parsed: Callable[[str], list[dict[str, Any]]], text: str) -> None:
    """Only control characters, surrogates and dollars are refused; the rest is read back to the letter."""
    strange = any(unicodedata.category(character) in ("Cc", "Cs") for character in text) or "$" in text
    try:
        written = directives.render([directive("root", "before", text, "behind"), directive("index", "next")])
    except SpecError:
        assert strange
        return

    first, second = parsed(written)

    assert not strange
    assert [unescaped(argument) for argument in first["args"]] == ["before", text, "behind"]
    assert (second["directive"], second["args"]) == ("index", ["next"])


@QUIET
@given(st.text(alphabet="\\\"' ;{}#$~*\n\tab/", max_size=12))
def test_nginx_s_own_signs_are_refused_or_survive(parsed: Callable[[str], list[dict[str, Any]]], text: str) -> None:
    """The same with every sign that means something to nginx, close together."""
    try:
        written = directives.render([block("server", text, body=[directive("root", text)])])
    except SpecError:
        assert "$" in text or "\n" in text or "\t" in text
        return

    (server,) = parsed(written)

    assert [unescaped(argument) for argument in server["args"]] == [text]
    assert [unescaped(argument) for argument in server["block"][0]["args"]] == [text]


NAMES = st.sampled_from(["server", "location", "listen", "root"])
TREES: st.SearchStrategy[list[Node]] = st.recursive(
    st.lists(st.builds(lambda name, values: Directive(name, tuple(values)), NAMES, st.lists(st.just("x"))), max_size=4),
    lambda inner: st.lists(st.builds(lambda name, body: Block(name, ("/",), tuple(body)), NAMES, inner), max_size=3),
    max_leaves=12,
)


def shape(nodes: list[Node] | tuple[Node, ...]) -> list[Any]:
    """Names and nesting, in order."""
    return [
        (node.name, shape(node.children)) if isinstance(node, Block) else node.name
        for node in nodes
        if isinstance(node, Block | Directive)
    ]


def parsed_shape(nodes: list[dict[str, Any]]) -> list[Any]:
    """The same of what crossplane read."""
    return [
        (node["directive"], parsed_shape(node["block"])) if "block" in node else node["directive"] for node in nodes
    ]


@QUIET
@given(TREES)
def test_no_node_is_lost_or_moved(parsed: Callable[[str], list[dict[str, Any]]], nodes: list[Node]) -> None:
    """Blocks and directives of one name stand side by side, in the order given."""
    assert parsed_shape(parsed(directives.render(nodes))) == shape(nodes)


def test_a_comment_stays_a_comment() -> None:
    """It cannot end its line."""
    assert directives.render([Comment("by kirsch; {")]) == "# by kirsch; {\n"
    for text in ("a\nroot /;", "a\u2028b", "a\x00"):
        with pytest.raises(SpecError):
            directives.render([Comment(text)])


def test_a_directive_s_name_is_never_somebody_s_text() -> None:
    """Names are our own words."""
    for name in ("root /; user", "Root", "", "a-b"):
        with pytest.raises(SpecError):
            directives.render([directive(name)])


def test_the_key_of_a_row_is_quoted_like_a_value() -> None:
    """Tables have keys that are no names."""
    assert (
        directives.render([block("map", Expr("$a"), Expr("$b"), body=[row("x y", "")])])
        == 'map $a $b {\n    "x y" "";\n}\n'
    )


def test_indentation_shows_nesting() -> None:
    """People read the files too."""
    text = directives.render([block("http", body=[block("server", body=[directive("listen", "80")]), block("server")])])

    assert text == "http {\n    server {\n        listen 80;\n    }\n    server {\n    }\n}\n"


def test_sizes_and_times_are_written_in_nginx_s_units() -> None:
    """Exact, never rounded."""
    assert [size(octets) for octets in (0, 1000, 65536, 100 * 2**20)] == ["0", "1000", "64k", "100m"]
    assert [seconds(value) for value in (3, 0.5, 60.25)] == ["3s", "500ms", "60250ms"]


@pytest.mark.nginx
def test_nginx_reads_what_was_meant(
    control: NginxControl,
    render: Callable[[Stack], dict[str, str]],
    stack_from: Callable[[str], Stack],
    free_port: Callable[[], int],
    ask: Callable[..., Any],
) -> None:
    """The last word is nginx's own: a hundred nasty texts come back as answers, to the letter."""
    source = random.Random(7)
    signs = string.punctuation.replace("$", "") + " äß漢\u2028\u00a0ab"
    texts = ["\\", "\\\\", "'", '"', "\\n", "\\'", "};", "# x", "off", "a" * 3900]
    texts += ["".join(source.choices(signs, k=source.randint(1, 12))) for _ in range(100)]
    port = free_port()
    files = render(stack_from(f'[stack]\nname="x"\n[app.a]\nentry="a:b"\n[vhost.main]\nlisten=["127.0.0.1:{port}"]\n'))
    other = free_port()
    locations = [
        block("location", "=", f"/{number}", body=[directive("return", 200, text)]) for number, text in enumerate(texts)
    ]
    server = block("server", body=[directive("listen", f"127.0.0.1:{other}"), *locations])
    files["closing.conf"] += directives.render([server])

    control.apply(files)
    answers = [ask(other, f"GET /{number} HTTP/1.0\r\n\r\n")[2].decode() for number in range(len(texts))]

    assert [answer for answer in answers if re.search("<html>", answer)] == []
    assert answers == texts
