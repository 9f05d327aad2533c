"""Reading kirsch.toml and inventories: complete when right, every problem at once when wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kirsch.errors import Problem, SpecError
from kirsch.spec import Bytes, Listen, Stack, Workers, load_inventory, load_stack, place_stack

SMALLEST = """
[stack]
name = "shop"
[app.shop]
entry = "shop.web:Root"
"""

WHOLE = """
[stack]
name = "shop"
requirements = "requirements.txt"
release_command = "python -m shop.migrate"

[app.shop]
entry  = "shop.web:Root"
config = "shop.conf"
env    = { SHOP_MODE = "production" }

[app.admin]
entry     = "legacy.wsgi:application"
mount     = "/legacy"
pool      = "foreign"
config    = { "/" = { "tools.gzip.on" = true } }
directory = "legacy"
isolate   = true
warm_up   = ["/", "/search?q=tea"]
log       = "old"

[app.project]
entry     = "manage.py"
mount     = "/project"
pool      = "foreign"
directory = "legacy/site"

[app.made]
entry     = "made:make('shop', debug=False)"
mount     = "/made"
pool      = "foreign"

[pool.web]
workers = { min = 2, max = 8 }
threads = 20
memory_soft = "400MiB"

[pool.foreign]
engine = "gunicorn"
engine_options = { limit_request_fields = 50, loglevel = "info", sendfile = false }
workers = 3

[vhost.main]
names  = ["shop.example", "*.shop.example"]
listen = ["0.0.0.0:80", "[::]:443 tls"]
apps   = ["shop", "admin"]
tls    = { certificate = "shared/tls/shop.pem", key = "shared/tls/shop.key" }
max_body = "1GiB"

[health]
ready = { interval_s = 0.5 }

[bus]
url = "redis://10.0.0.1:6379/0"
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Put a spec into a folder that holds the files which the whole example names."""
    for name in ("requirements.txt", "shop.conf"):
        (tmp_path / name).touch()
    (tmp_path / "legacy/site").mkdir(parents=True)
    (tmp_path / "legacy/site/manage.py").touch()

    def put(text: str, name: str = "kirsch.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return put


def problems(load: Callable[[], object]) -> list[Problem]:
    """The problems that *load* raises."""
    with pytest.raises(SpecError) as caught:
        load()
    return list(caught.value.problems)


def test_two_tables_are_a_stack(write: Write) -> None:
    """What is not said has a default: a pool of two, a vhost on port 8080 that takes every name and all apps."""
    stack = load_stack(write(SMALLEST))

    assert stack.pools["web"].workers == Workers(min=2, max=2)
    assert stack.vhosts["main"].listen == (Listen(address="0.0.0.0", port=8080),)
    assert stack.vhosts["main"].apps == ("shop",)
    assert stack.vhosts["main"].names == ()


def test_a_whole_file_is_read_as_written(write: Write) -> None:
    """Every key ends up where it belongs, in its unit."""
    path = write(WHOLE)

    stack = load_stack(path)

    assert stack.directory == str(path.parent)
    assert stack.apps["shop"].env == {"SHOP_MODE": "production"}
    assert stack.apps["admin"].config == {"/": {"tools.gzip.on": True}}
    assert stack.pools["web"].memory_soft == Bytes(400 * 2**20)
    assert stack.pools["foreign"].workers == Workers(min=3, max=3)
    assert stack.vhosts["main"].listen[1] == Listen(address="::", port=443, tls=True)
    assert stack.vhosts["main"].max_body == 2**30
    assert (stack.health.ready.path, stack.health.ready.interval_s) == ("/readyz", 0.5)
    assert [app.name for app in stack.apps_of("foreign")] == ["admin", "project", "made"]
    assert stack.apps["project"].entry == "manage.py"
    assert (stack.apps["admin"].isolate, stack.apps["admin"].log) == (True, "old")
    assert stack.apps["admin"].warm_up == ("/", "/search?q=tea")
    options = stack.pools["foreign"].engine_options
    assert options == {"limit_request_fields": 50, "loglevel": "info", "sendfile": False}
    assert options["sendfile"] is False


def test_auto_is_one_worker_a_core_and_never_one_alone(write: Write) -> None:
    """A roll needs a second worker to overlap with."""
    stack = load_stack(write(SMALLEST + '[pool.web]\nworkers = "auto"\n'))

    assert stack.pools["web"].workers.min >= 2


# what is added to the smallest spec, the key in the problem, and words that have to stand in the line
WRONG = {
    "unknown section": ("[vhots.main]\n", "vhots", "did you mean vhost?"),
    "unknown key": ('[pool.web]\nengin = "native"\n', "pool.web.engin", "did you mean engine?"),
    "unknown key in a nested table": (
        "[health]\nready = { intervall_s = 1 }\n",
        "health.ready.intervall_s",
        "did you mean interval_s?",
    ),
    "wrong choice": ('[pool.web]\nengine = "gunicron"\n', "pool.web.engine", "did you mean gunicorn?"),
    "wrong type": ('[pool.web]\nthreads = "ten"\n', "pool.web.threads", '"ten" is not allowed'),
    "true is no number": ("[pool.web]\nthreads = true\n", "pool.web.threads", "true is not allowed"),
    "out of range": ("[pool.web]\nworkers = 0\n", "pool.web.workers", "from 1 to 256"),
    "min over max": ("[pool.web]\nworkers = { min = 3, max = 2 }\n", "pool.web.workers", "min at most as large as max"),
    "soft over hard": (
        '[pool.web]\nmemory_soft = "2GiB"\nmemory_hard = "1GiB"\n',
        "pool.web.memory_soft",
        "at most memory_hard (1GiB)",
    ),
    "bad size": ('[pool.web]\nmemory_soft = "4 apples"\n', "pool.web.memory_soft", '"400MiB"'),
    "missing key": ('[app.b]\nmount = "/b"\n', "app.b.entry", "is missing"),
    "bad entry": ('[app.b]\nentry = "shop.web"\nmount = "/b"\n', "app.b.entry", "package.module:object"),
    "module without an object": ('[app.b]\nentry = "shop/wsgi.py"\nmount = "/b"\n', "app.b.entry", "manage.py"),
    "project that is not there": (
        '[app.b]\nentry = "manage.py"\nmount = "/b"\ndirectory = "legacy"\n',
        "app.b.entry",
        "there is no file",
    ),
    "project above the stack": ('[app.b]\nentry = "../manage.py"\nmount = "/b"\n', "app.b.entry", "is not allowed"),
    "entry of two lines": ('[app.b]\nentry = "b:b(1,\\n2)"\nmount = "/b"\n', "app.b.entry", "is not allowed"),
    "warming up elsewhere": (
        '[app.b]\nentry = "b:b"\nmount = "/b"\nwarm_up = ["http://h/"]\n',
        "app.b.warm_up[0]",
        "below the mount",
    ),
    "options of no engine": (
        "[pool.web]\nengine_options = { threads = 3 }\n",
        "pool.web.engine_options",
        "is for other engines than native",
    ),
    "preloading under uWSGI": (
        '[pool.web]\nengine = "uwsgi"\npreload = true\n',
        "pool.web.preload",
        "uWSGI has to run before the apps are imported",
    ),
    "option that is a table": (
        '[pool.web]\nengine = "uwsgi"\nengine_options = { x = { y = 1 } }\n',
        "pool.web.engine_options.x",
        "is not allowed",
    ),
    "bad name": ('[app.B]\nentry = "b:b"\nmount = "/b"\n', "app.B", "beginning with a letter"),
    "name that breaks out": ('[app."b; }"]\nentry = "b:b"\n', 'app."b; }"', "beginning with a letter"),
    "bad mount": ('[app.b]\nentry = "b:b"\nmount = "b/"\n', "app.b.mount", '"b/" is not allowed'),
    "mount that climbs": ('[app.b]\nentry = "b:b"\nmount = "/a/../b"\n', "app.b.mount", "is not allowed"),
    "mount of a probe": ('[app.b]\nentry = "b:b"\nmount = "/readyz"\n', "app.b.mount", "health.ready.path"),
    "two apps on one mount": ('[app.b]\nentry = "b:b"\n', "app.b.mount", '"/" is taken by app.shop in vhost.main'),
    "unknown pool": ('[app.b]\nentry = "b:b"\nmount = "/b"\npool = "wbe"\n', "app.b.pool", "did you mean web?"),
    "unknown app": ('[vhost.main]\napps = ["shpo"]\n', "vhost.main.apps[0]", "did you mean shop?"),
    "pool for nobody": ("[pool.web]\n[pool.idle]\n", "pool.idle", "no app runs in this pool"),
    "reserved variable": (
        '[app.b]\nentry="b:b"\nmount="/b"\nenv={ KIRSCH_X = "1" }\n',
        "app.b.env.KIRSCH_X",
        "KIRSCH_*",
    ),
    "missing file": (
        '[app.b]\nentry="b:b"\nmount="/b"\nconfig="shp.conf"\n',
        "app.b.config",
        "did you mean shop.conf?",
    ),
    "missing folder": ('[app.b]\nentry="b:b"\nmount="/b"\ndirectory="lagacy"\n', "app.b.directory", "mean legacy?"),
    "file outside": ('[app.b]\nentry="b:b"\nmount="/b"\nconfig="../x"\n', "app.b.config", "written relative to it"),
    "bad address": ('[vhost.main]\nlisten = ["0.0.0.0.0:80"]\n', "vhost.main.listen[0]", "ADDRESS:PORT"),
    "port out of range": ('[vhost.main]\nlisten = ["70000"]\n', "vhost.main.listen[0]", "ADDRESS:PORT"),
    "one text for an array": ('[vhost.main]\nnames = "a.example"\n', "vhost.main.names", 'did you mean ["a.example"]?'),
    "bad host name": ('[vhost.main]\nnames = ["a b"]\n', "vhost.main.names[0]", "a host name"),
    "name as a pattern of nginx's": ('[vhost.main]\nnames = ["~^a"]\n', "vhost.main.names[0]", "a host name"),
    "tls without certificate": ('[vhost.main]\nlisten = ["443 tls"]\n', "vhost.main.tls", "certificate ="),
    "certificate without tls": (
        '[vhost.main]\ntls = { certificate = "a", key = "b" }\n',
        "vhost.main.tls",
        "no address of this vhost says tls",
    ),
    "no body at all": ("[vhost.main]\nmax_body = 0\n", "vhost.main.max_body", "at least one octet"),
    "no address": ("[vhost.main]\nlisten = []\n", "vhost.main.listen", "at least one"),
    "two vhosts for every name": ("[vhost.a]\n[vhost.b]\n", "vhost.b.listen[0]", "every name at 0.0.0.0:8080"),
    "two vhosts of one name": (
        '[vhost.a]\nnames = ["x.example"]\n[vhost.b]\nnames = ["X.example"]\n',
        "vhost.b.listen[0]",
        '"X.example" at 0.0.0.0:8080 is taken by vhost.a',
    ),
    "one address twice": ('[vhost.a]\nlisten = ["8080", "0.0.0.0:8080"]\n', "vhost.a.listen[1]", "is taken by"),
    "bad bus": ('[bus]\nurl = "http://x"\n', "bus.url", "redis://"),
    "bad probe": ('[health]\nready = { path = "ready" }\n', "health.ready.path", "/readyz"),
    "section is no table": ("pool = 3\n", "pool", "3 is not allowed"),
    "table of a name is no table": ("[pool]\nweb = 3\n", "pool.web", "3 is not allowed"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named_with_its_key_and_its_cure(write: Write, case: str) -> None:
    """One mistake gives one problem."""
    text, key, words = WRONG[case]
    path = write(text + SMALLEST if text.startswith("pool =") else SMALLEST + text)

    found = problems(lambda: load_stack(path))

    assert [problem.key for problem in found] == [key]
    assert words in str(found[0])
    assert str(found[0]).startswith(str(path))


def test_tls_on_half_of_an_address_is_refused(write: Write) -> None:
    """An address speaks TLS with everybody or with nobody."""
    text = SMALLEST + (
        '[vhost.a]\nnames = ["a.example"]\nlisten = ["443 tls"]\ntls = { certificate = "c", key = "k" }\n'
        '[vhost.b]\nnames = ["b.example"]\nlisten = ["443"]\n'
    )

    found = problems(lambda: load_stack(write(text)))

    assert [problem.key for problem in found] == ["vhost.b.listen[0]"]
    assert "TLS as at vhost.a.listen[0]" in str(found[0])


def test_apps_of_two_vhosts_cannot_share_a_mount_in_one_pool(write: Write) -> None:
    """A worker sees the path only, so it could not tell the two apart; a pool of its own cures it."""
    text = SMALLEST + (
        '[app.blog]\nentry = "blog:Root"\n'
        '[vhost.a]\nnames = ["a.example"]\napps = ["shop"]\n[vhost.b]\nnames = ["b.example"]\napps = ["blog"]\n'
    )

    found = problems(lambda: load_stack(write(text)))
    cured = load_stack(write(text.replace('"blog:Root"', '"blog:Root"\npool = "blog"') + "[pool.web]\n[pool.blog]\n"))

    assert [problem.key for problem in found] == ["app.blog.mount"]
    assert "a pool of its own" in str(found[0])
    assert cured.apps["blog"].pool == "blog"


def test_all_problems_of_a_file_come_at_once(write: Write) -> None:
    """Nobody has to run it again to hear of the next mistake."""
    text = (
        '[stack]\nname = "Shop"\n[app.shop]\nentry = "x"\n[app.b]\nentry = "b:b"\nconfig = "nope"\n'
        '[pool.web]\nengine = "x"\nthreads = -1\n[bus]\nurl = 1\n[nope]\n'
    )

    found = problems(lambda: load_stack(write(text)))

    assert {problem.key for problem in found} == {
        "stack.name",
        "app.shop.entry",
        "app.b.config",
        "pool.web.engine",
        "pool.web.threads",
        "bus.url",
        "nope",
    }


@pytest.mark.parametrize(
    ("octets", "words"),
    [(b"[stack\n", "is not TOML"), (b"\xff\xfe", "is not UTF-8"), (b"", "no application is described")],
)
def test_a_file_that_is_no_spec_is_said_to_be_none(tmp_path: Path, octets: bytes, words: str) -> None:
    """The line number of the parser is kept."""
    path = tmp_path / "kirsch.toml"
    path.write_bytes(octets)

    found = problems(lambda: load_stack(path))

    assert any(words in str(problem) for problem in found)


def test_a_missing_file_is_a_spec_error(tmp_path: Path) -> None:
    """No traceback for a typing error in a path."""
    found = problems(lambda: load_stack(tmp_path / "kirsch.tmol"))

    assert "no such file" in str(found[0])


INVENTORY = """
port_policy = "next_free"
[host.here]
connection = "local"
root = ".kirsch"
[listen]
main = "127.0.0.1:8080, [::1]:8080"
[deploy]
batch = 1
keep_releases = 3
"""


def test_an_inventory_is_read_as_written(write: Write) -> None:
    """Hosts by name, options with defaults."""
    inventory = load_inventory(write(INVENTORY, "local.toml"))

    assert inventory.hosts["here"].connection == "local"
    assert (inventory.deploy.batch, inventory.deploy.keep_releases, inventory.deploy.bake_s) == (1, 3, 0.0)
    assert (inventory.port_policy, inventory.admin) == ("next_free", "127.0.0.1:9180")


WRONG_INVENTORY = {
    "no host": ("", "host", "no host is described"),
    "unknown key": ('[host.a]\nadress = "x"\nroot = "/srv"\n', "host.a.adress", "did you mean address?"),
    "bad connection": ('[host.a]\nconnection = "shh"\n', "host.a.connection", "did you mean ssh?"),
    "bad role": ('[host.a]\nroles = ["ap"]\n', "host.a.roles[0]", "app, edge"),
    "relative root": ('[host.a]\nroot = "x"\n', "host.a.root", "absolute"),
    "bad batch": ('[host.a]\n[deploy]\nbatch = "0%"\n', "deploy.batch", "25%"),
    "bad listen": ('[host.a]\n[listen]\nmain = "nowhere"\n', "listen.main", "ADDRESS:PORT"),
    "bad policy": ('port_policy = "next"\n[host.a]\n', "port_policy", "next_free"),
    "bad admin": ('admin = "127.0.0.1:99999"\n[host.a]\n', "admin", "127.0.0.1:9180"),
}


@pytest.mark.parametrize("case", WRONG_INVENTORY)
def test_a_mistake_in_an_inventory_is_named(write: Write, case: str) -> None:
    """The same care as for a stack."""
    text, key, words = WRONG_INVENTORY[case]

    found = problems(lambda: load_inventory(write(text, "local.toml")))

    assert [problem.key for problem in found] == [key]
    assert words in str(found[0])


def placed(write: Write, listen: str) -> Stack:
    """The smallest stack with an inventory's *listen* table."""
    inventory = load_inventory(write(f'[host.a]\nconnection = "local"\n[listen]\n{listen}', "local.toml"))
    return place_stack(load_stack(write(SMALLEST)), inventory, "local.toml")


def test_an_inventory_moves_vhosts(write: Write) -> None:
    """The stack says what, the inventory says where."""
    stack = placed(write, 'main = "127.0.0.1:9000, 127.0.0.1:9001"\n')

    assert [str(listen) for listen in stack.vhosts["main"].listen] == ["127.0.0.1:9000", "127.0.0.1:9001"]


def test_an_inventory_cannot_move_what_is_not_there(write: Write) -> None:
    """A typing error in a vhost's name is not passed over."""
    found = problems(lambda: placed(write, 'mian = "9000"\n'))

    assert [(problem.key, problem.hint) for problem in found] == [("listen.mian", "main")]
