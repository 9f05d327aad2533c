"""A real nginx under control: started, reloaded, refused, rolled back, adopted, stopped."""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import NginxError
from kirsch.nginx import Nginx, NginxControl
from kirsch.nginx.marker import ask_marker
from kirsch.nginx.master import Master
from kirsch.spec import HostPaths, Stack

pytestmark = pytest.mark.nginx

Render = Callable[[Stack], dict[str, str]]
Ask = Callable[..., tuple[int, dict[str, str], Any]]
GET = "GET / HTTP/1.0\r\n\r\n"


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    """The stack's port."""
    return free_port()


@pytest.fixture
def spec(port: int, stack_from: Callable[[str], Stack]) -> Callable[..., Stack]:
    """A stack of one app; *extra* goes into its vhost."""

    def make(extra: str = "", *, listen: tuple[int, ...] = ()) -> Stack:
        addresses = ", ".join(f'"127.0.0.1:{one}"' for one in (port, *listen))
        return stack_from(
            f'[stack]\nname = "x"\n[app.a]\nentry = "a:b"\n[pool.web]\nworkers = 2\n'
            f"[vhost.main]\nlisten = [{addresses}]\n{extra}\n"
        )

    return make


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """A port that another process listens on, as far as nginx can see."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


def test_the_first_apply_starts_it(
    control: NginxControl, render: Render, spec: Callable[..., Stack], ask: Ask, port: int, worker: Callable[..., Any]
) -> None:
    """It serves the apps, and the marker names the generation."""
    worker("web", 1)
    worker("web", 2)

    done = control.apply(render(spec()))
    marker = ask_marker(control.paths.nginx_marker)

    assert (done.name, done.action, done.pid) == ("000001", "started", control.pid())
    assert marker is not None
    assert marker.generation == control.generation == "000001"
    assert {ask(port, GET)[2]["worker"] for _ in range(4)} == {"web.1", "web.2"}


def test_the_same_again_changes_nothing(control: NginxControl, render: Render, spec: Callable[..., Stack]) -> None:
    """No reload: a reload cuts idle connections and forgets those to the workers."""
    first = control.apply(render(spec()))
    workers = Master(control.paths, control.nginx).serving_workers()

    second = control.apply(render(spec()))

    assert (second.name, second.action, second.pid) == (first.name, "unchanged", first.pid)
    assert Master(control.paths, control.nginx).serving_workers() == workers


def test_a_change_is_taken_up_by_new_processes_only(
    control: NginxControl, render: Render, spec: Callable[..., Stack], ask: Ask, port: int
) -> None:
    """When apply returns, no connection meets the old configuration any more."""
    first = control.apply(render(spec()))
    old = Master(control.paths, control.nginx).serving_workers()

    second = control.apply(render(spec("maintenance = true")))
    answers = [ask(port, GET) for _ in range(10)]

    assert (second.name, second.action, second.pid) == ("000002", "reloaded", first.pid)
    assert not old & Master(control.paths, control.nginx).serving_workers()
    assert {status for status, _, _ in answers} == {503}
    assert b"Back soon" in answers[0][2]


def test_requests_go_on_while_it_reloads(
    control: NginxControl, render: Render, spec: Callable[..., Stack], ask: Ask, port: int, worker: Callable[..., Any]
) -> None:
    """Not one of the requests during four reloads fails."""
    worker("web", 1)
    worker("web", 2)
    control.apply(render(spec()))
    statuses: list[int] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            statuses.append(ask(port, GET)[0])

    thread = threading.Thread(target=load)
    thread.start()
    actions = [control.apply(render(spec(f"max_body = {size}"))).action for size in (10, 20, 30, 40)]
    done.set()
    thread.join()

    assert actions == ["reloaded"] * 4
    assert set(statuses) == {200}


def test_a_kept_connection_lives_through_reloads(
    control: NginxControl, render: Render, spec: Callable[..., Stack], port: int, worker: Callable[..., Any]
) -> None:
    """A client that POSTs on one connection loses nothing: nginx says close with an answer, never between two."""
    if control.nginx.version < (1, 27, 4):
        pytest.skip("before 1.27.4 nginx cuts idle client connections at a reload, whatever it is told")
    worker("web", 1)
    worker("web", 2)
    control.apply(render(spec()))
    statuses: list[int | str] = []
    done = threading.Event()

    def load() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not done.is_set():
            try:
                connection.request("POST", "/", body=b"x")
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                statuses.append(repr(error))
                connection.close()
        connection.close()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for size in (10, 20, 30, 40):
        control.apply(render(spec(f"max_body = {size}")))
    done.set()
    for thread in threads:
        thread.join()

    assert set(statuses) == {200}


def broken_syntax(files: dict[str, str]) -> None:
    """Something that nginx does not know."""
    files["upstreams.conf"] += "retpyeat on;\n"


def conflicting_names(files: dict[str, str]) -> None:
    """A vhost that nobody would reach: nginx only warns."""
    files["closing.conf"] += files["vhosts/main.conf"].replace("default_server backlog=4096", "")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(broken_syntax, '[emerg] unknown directive "retpyeat"'), (conflicting_names, "[warn] conflicting server name")],
)
def test_what_nginx_refuses_never_gets_near_the_running_one(
    control: NginxControl,
    render: Render,
    spec: Callable[..., Stack],
    spoil: Callable[[dict[str, str]], None],
    words: str,
) -> None:
    """Errors and warnings alike; the last good generation stays current, the refused one is kept to be looked at."""
    control.apply(render(spec()))
    workers = Master(control.paths, control.nginx).serving_workers()
    files = render(spec("max_body = 1000"))
    spoil(files)

    with pytest.raises(NginxError) as caught:
        control.apply(files)

    assert words in caught.value.lines[0]
    assert caught.value.exit_status == 1
    assert control.generation == "000001"
    # a reload would have replaced them; after a first start another one may have joined
    assert workers
    assert workers <= Master(control.paths, control.nginx).serving_workers()
    assert Path(f"{control.paths.nginx_generations}/000002.refused/nginx.conf").exists()


def test_what_fails_only_when_taken_up_is_rolled_back(
    control: NginxControl, render: Render, spec: Callable[..., Stack], ask: Ask, port: int
) -> None:
    """`nginx -t` does not see that somebody else has the port, and the signal succeeds: only the proof shows it."""
    control.apply(render(spec("maintenance = true")))

    with held_port() as taken, pytest.raises(NginxError) as caught:
        control.apply(render(spec(listen=(taken,))))
    again = control.apply(render(spec("max_body = 1000")))

    # glibc says "Address already in use", musl "Address in use"
    assert "(98: Address " in caught.value.lines[0]
    assert caught.value.generation == "000002"
    assert not any("and back to" in line for line in caught.value.lines)
    assert (again.name, again.action) == ("000003", "reloaded")
    assert ask(port, GET)[0] == 502


def test_after_a_rollback_the_last_good_serves(
    control: NginxControl, render: Render, spec: Callable[..., Stack], ask: Ask, port: int
) -> None:
    """The link, the marker and the answers agree."""
    control.apply(render(spec("maintenance = true")))
    with held_port() as taken, pytest.raises(NginxError):
        control.apply(render(spec(listen=(taken,))))
    marker = ask_marker(control.paths.nginx_marker)

    assert control.generation == "000001"
    assert marker is not None
    assert marker.generation == "000001"
    assert ask(port, GET)[0] == 503


def test_a_start_that_fails_leaves_nothing_behind(
    control: NginxControl, render: Render, spec: Callable[..., Stack]
) -> None:
    """No process, no current generation, and the reason in nginx's words."""
    with held_port() as taken, pytest.raises(NginxError) as caught:
        control.apply(render(spec(listen=(taken,))))

    assert any("(98: Address " in line for line in caught.value.lines)
    assert not control.is_running()
    assert control.generation is None


def test_another_process_finds_it_again(control: NginxControl, render: Render, spec: Callable[..., Stack]) -> None:
    """Nginx outlives whoever started it, and is adopted by its pid file and command line."""
    first = control.apply(render(spec()))

    other = NginxControl(control.paths, control.nginx, control.user)
    adopted = other.start()

    assert (adopted.action, adopted.pid) == ("unchanged", first.pid)


def test_a_pid_file_of_a_stranger_is_not_believed(control: NginxControl, stage: HostPaths) -> None:
    """The number may be another process's by now: it must never be signalled."""
    os.makedirs(stage.nginx)
    Path(stage.nginx_pid).write_text(f"{os.getpid()}\n", encoding="ascii")

    assert control.pid() is None
    control.stop()


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "999999999"])
def test_a_pid_file_of_no_one_is_not_believed(control: NginxControl, stage: HostPaths, text: str) -> None:
    """Half written, nonsense, or long gone."""
    os.makedirs(stage.nginx)
    Path(stage.nginx_pid).write_text(text, encoding="ascii")

    assert control.pid() is None


def test_it_starts_again_after_it_was_killed(
    control: NginxControl, render: Render, spec: Callable[..., Stack], ask: Ask, port: int
) -> None:
    """SIGKILL leaves a pid file and a socket file, which must not be in the way."""
    first = control.apply(render(spec()))
    master = Master(control.paths, control.nginx)
    master.kill_all()
    assert master.wait_for_end(5)

    again = control.start()

    assert (again.name, again.action) == ("000001", "started")
    assert again.pid != first.pid
    assert ask(port, GET)[0] == 502


def test_it_cannot_start_on_nothing(control: NginxControl) -> None:
    """There has to be a generation first."""
    with pytest.raises(NginxError, match="no configuration yet"):
        control.start()


def hold_one_request(
    control: NginxControl, port: int, ask: Ask, worker: Callable[..., Any]
) -> tuple[threading.Thread, threading.Event, list[int]]:
    """Send one request that its worker answers only when the event is set; returns when the worker has it."""
    servers = [worker("web", slot) for slot in (1, 2)]
    arrived, release = threading.Event(), threading.Event()
    answers: list[int] = []
    for server in servers:
        plain = server.RequestHandlerClass.handle

        class Held(server.RequestHandlerClass):  # type: ignore[name-defined, misc]
            def handle(self, plain: Callable[[Any], None] = plain) -> None:
                arrived.set()
                release.wait(20)
                plain(self)

        server.RequestHandlerClass = Held
    thread = threading.Thread(target=lambda: answers.append(ask(port, GET)[0]))
    thread.start()
    assert arrived.wait(10)
    return thread, release, answers


def test_it_finishes_its_requests_before_it_goes(
    control: NginxControl, render: Render, spec: Callable[..., Stack], ask: Ask, port: int, worker: Callable[..., Any]
) -> None:
    """Graceful means that who waits gets an answer."""
    control.apply(render(spec()))
    thread, release, answers = hold_one_request(control, port, ask, worker)
    stopping = threading.Thread(target=control.stop, kwargs={"timeout_s": 20})
    stopping.start()
    # the master closes its listeners first: from then on it is on its way out
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionError:
            break
    release.set()
    thread.join(20)
    stopping.join(20)

    assert answers == [200]
    assert not control.is_running()


def test_it_does_not_wait_for_ever(
    control: NginxControl, render: Render, spec: Callable[..., Stack], ask: Ask, port: int, worker: Callable[..., Any]
) -> None:
    """After the time that it was given it is ended, whatever it does."""
    control.apply(render(spec()))
    thread, release, answers = hold_one_request(control, port, ask, worker)

    control.stop(timeout_s=0.2)
    still_running = control.is_running()
    release.set()
    thread.join(20)

    assert not still_running
    assert answers == [0]
    assert not Path(control.paths.nginx_marker).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses the user of nginx's workers")
def test_root_s_nginx_works_as_its_user(
    control: NginxControl, render: Render, spec: Callable[..., Stack], ask: Ask, port: int
) -> None:
    """The processes that meet clients have no rights, and can still read the error pages."""
    control.apply(render(spec()))
    workers = Master(control.paths, control.nginx).serving_workers()
    owners = {pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name for pid in workers}

    assert owners == {str(control.user).partition(":")[0]}
    assert b"<!doctype html>" in ask(port, GET)[2]


AS_NOBODY = """
import encodings.ascii
import os, sys
from kirsch.nginx import NginxControl, render_site
from kirsch.nginx.binary import inspect_nginx
from kirsch.spec import HostPaths, load_stack
binary, folder, uid, gid = sys.argv[1:]
nginx = inspect_nginx(binary)
# only now: the interpreter and this checkout may lie where nobody may read
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
if not os.access(binary, os.X_OK):
    sys.exit(77)
paths = HostPaths(folder + "/root", folder + "/run")
control = NginxControl(paths, nginx)
stack = load_stack(folder + "/kirsch.toml")
for number in range(2):
    files = render_site(stack, paths, nginx.version, generation=control.next_generation(), modules=nginx.modules,
                        loads=nginx.loads, processes=1 + number)
    print(control.apply(files).action)
control.stop(2)
print(control.is_running(), os.geteuid() != 0)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests have shown it already: they do not run as root")
def test_it_works_without_any_right(nginx: Nginx, free_port: Callable[[], int]) -> None:
    """Everything that it writes lies in its own folders."""
    nobody = pwd.getpwnam("nobody")
    with contextlib.ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(_folder_of(nobody.pw_uid, nobody.pw_gid)))
        (folder / "kirsch.toml").write_text(
            f'[stack]\nname="x"\n[app.a]\nentry="a:b"\n[vhost.main]\nlisten=["127.0.0.1:{free_port()}"]\n',
            encoding="utf-8",
        )
        ran = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, nginx.path, str(folder), str(nobody.pw_uid), str(nobody.pw_gid)],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if ran.returncode == 77:
            pytest.skip(f"{nginx.path} cannot be read by another user")

    assert ran.stdout.split() == ["started", "reloaded", "False", "True"], ran.stderr


@contextlib.contextmanager
def _folder_of(uid: int, gid: int) -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="kn")
    os.chown(folder, uid, gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def test_a_master_that_does_not_listen_is_ended_the_hard_way(
    control: NginxControl, render: Render, spec: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process takes neither QUIT nor TERM."""
    done = control.apply(render(spec()))
    monkeypatch.setattr("kirsch.nginx.control.TERM_TIMEOUT_S", 0.2)
    os.kill(done.pid, signal.SIGSTOP)

    control.stop(timeout_s=0.1)

    assert not control.is_running()
