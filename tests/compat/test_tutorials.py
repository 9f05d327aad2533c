"""Programs with the documented shape of a first, second … twelfth application run unchanged, from start to SIGTERM."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

Run = Callable[..., Any]
HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the programs expect in their folder."""
    (tmp_path / "public" / "css").mkdir(parents=True)
    (tmp_path / "public" / "css" / "dice.css").write_text("body { background-color: blue; }\n")
    (tmp_path / "index.html").write_text("<!DOCTYPE html><title>Dice</title>\n")
    return tmp_path


def test_hello(run: Run) -> None:
    """One page; the engine says every step of its life."""
    program = run("p01_hello")

    answer = requests.get(f"{program.url}/", timeout=10)
    status = program.stop(signal.SIGINT)

    assert (answer.status_code, answer.text) == (200, "Hello, you!")
    assert answer.headers["Content-Type"] == "text/html;charset=utf-8"
    assert answer.headers["Content-Length"] == "11"
    assert "Date" in answer.headers
    assert status == 0
    said = "".join(program.lines)
    order = [
        "ENGINE Listening for SIGTERM.",
        "ENGINE Bus STARTING",
        "ENGINE Started monitor thread 'Autoreloader'.",
        "ENGINE Serving on http://127.0.0.1:",
        "ENGINE Bus STARTED",
        '"GET / HTTP/1.1" 200 11',
        "ENGINE Keyboard Interrupt: shutting down bus",
        "ENGINE Bus STOPPING",
        "ENGINE Bus STOPPED",
        "ENGINE Bus EXITING",
        "ENGINE Bus EXITED",
        "ENGINE Waiting for child threads to terminate...",
    ]
    places = [said.find(line) for line in order]
    assert -1 not in places, said
    # The access log goes to the other output, which may come a moment earlier or later.
    assert [place for line, place in zip(order, places, strict=True) if "ENGINE" in line] == sorted(
        place for line, place in zip(order, places, strict=True) if "ENGINE" in line
    )


def test_pages(run: Run) -> None:
    """Methods are addresses; others are not."""
    program = run("p02_pages")

    assert requests.get(f"{program.url}/throw", timeout=10).text in "123456"
    assert requests.get(f"{program.url}/index", timeout=10).text == "Throw the dice."
    missing = requests.get(f"{program.url}/roll", timeout=10)
    assert missing.status_code == 404
    assert (
        "The path &#x27;/roll&#x27; was not found." in missing.text or "The path '/roll' was not found." in missing.text
    )
    assert program.stop() == 0


def test_parameters(run: Run) -> None:
    """Query strings are arguments; wrong ones are the client's fault."""
    program = run("p03_parameters")

    assert re.fullmatch("[1-6]{16}", requests.get(f"{program.url}/throw?count=16", timeout=10).text)
    assert re.fullmatch("[1-6]", requests.get(f"{program.url}/throw", timeout=10).text)
    assert re.fullmatch("[1-6]{3}", requests.get(f"{program.url}/throw/3", timeout=10).text)
    assert requests.get(f"{program.url}/throw?size=3", timeout=10).status_code == 404
    assert requests.get(f"{program.url}/throw?count=many", timeout=10).status_code == 500


def test_form(run: Run) -> None:
    """By GET and by POST alike."""
    program = run("p04_form")

    assert 'name="count"' in requests.get(program.url, timeout=10).text
    assert len(requests.get(f"{program.url}/throw", params={"count": 4}, timeout=10).text) == 4
    assert len(requests.post(f"{program.url}/throw", data={"count": 5}, timeout=10).text) == 5
    assert len(requests.post(f"{program.url}/throw", files={"count": (None, "6")}, timeout=10).text) == 6


def test_session(run: Run) -> None:
    """Each visitor has one."""
    program = run("p05_session")
    with requests.Session() as ada, requests.Session() as grace:
        thrown = ada.get(f"{program.url}/throw?count=12", timeout=10).text

        assert ada.get(f"{program.url}/show", timeout=10).text == thrown
        assert grace.get(f"{program.url}/show", timeout=10).status_code == 500
        assert "KeyError" in grace.get(f"{program.url}/show", timeout=10).text


def test_static(run: Run, folder: Path) -> None:
    """A file by its type, again only if changed, in part, and not outside its folder."""
    program = run("p06_static")
    url = f"{program.url}/static/css/dice.css"

    answer = requests.get(url, timeout=10)

    assert answer.text == "body { background-color: blue; }\n"
    assert answer.headers["Content-Type"].startswith("text/css")
    unchanged = requests.get(url, headers={"If-Modified-Since": answer.headers["Last-Modified"]}, timeout=10)
    assert (unchanged.status_code, unchanged.text) == (304, "")
    part = requests.get(url, headers={"Range": "bytes=0-3"}, timeout=10)
    assert (part.status_code, part.text) == (206, "body")
    assert requests.get(f"{program.url}/static/..%2findex.html", timeout=10).status_code in (403, 404)
    assert requests.get(f"{program.url}/static/css/none.css", timeout=10).status_code == 404


def check_rest(url: str) -> None:
    """A resource from nothing to nothing."""
    with requests.Session() as client:
        thrown = client.post(url, timeout=10)
        assert (thrown.status_code, thrown.headers["Content-Type"]) == (200, "text/plain;charset=utf-8")
        read = client.get(url, timeout=10)
        assert (read.status_code, read.text) == (200, thrown.text)
        assert client.get(url, headers={"Accept": "application/json"}, timeout=10).status_code == 406
        assert client.put(url, params={"other": "hello"}, timeout=10).status_code == 200
        assert client.get(url, timeout=10).text == "hello"
        assert client.put(url, data={"other": "by form"}, timeout=10).status_code == 200
        assert client.get(url, timeout=10).text == "by form"
        assert client.delete(url, timeout=10).status_code == 200
        refused = client.patch(url, timeout=10)
        assert refused.status_code == 405
        assert refused.headers["Allow"] == "DELETE, GET, HEAD, POST, PUT"


def test_rest(run: Run) -> None:
    """Methods of HTTP are methods of the class."""
    program = run("p07_rest")

    assert requests.get(program.url, timeout=10).status_code == 500
    check_rest(f"{program.url}/")


def test_ajax(run: Run, folder: Path) -> None:
    """A page that is an open file, its style sheet, and the service beside it."""
    program = run("p08_ajax")

    page = requests.get(program.url, timeout=10)
    assert page.text == (folder / "index.html").read_text()
    assert page.headers["Content-Type"] == "text/html;charset=utf-8"
    assert requests.get(f"{program.url}/static/css/dice.css", timeout=10).status_code == 200
    check_rest(f"{program.url}/dice")


def test_database(run: Run, folder: Path) -> None:
    """The table lives as long as the engine: a second run makes it again."""
    for _ in range(2):
        program = run("p09_database")

        check_rest(f"{program.url}/dice")
        assert requests.get(program.url, timeout=10).text == (folder / "index.html").read_text()
        assert program.stop() == 0


def test_organized(run: Run) -> None:
    """A tool, a plugin, a dispatcher, aliases and a path that is taken apart."""
    program = run("p11_organized")

    soup = requests.get(f"{program.url}/SOUP", timeout=10)
    assert (soup.text, soup.headers["X-Cook"]) == ("one soup", "Ada")
    assert requests.get(f"{program.url}/pudding", timeout=10).text == "sweet"
    assert requests.get(f"{program.url}/desert", timeout=10).text == "sweet"
    assert requests.get(f"{program.url}/table/7", timeout=10).text == "table 7"
    assert program.stop() == 0
    said = "".join(program.lines)
    assert 0 < said.find("Kitchen is open") < said.find("Kitchen is closed")


def test_tested(tmp_path: Path) -> None:
    """An application's own tests by the documented helper, run by pytest."""
    (tmp_path / "test_dice.py").write_text((HERE / "programs" / "p12_tested.py").read_text())

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "test_dice.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    # Three of ours, and the one that the helper adds to every class.
    assert "4 passed" in done.stdout
