"""What of a traceback is shown."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from kirsch.spec import App
from kirsch.worker.blame import format_blame
from kirsch.worker.load import load_app
from kirsch.worker.surroundings import surround


def blame(folder: Path, **modules: str) -> str:
    """What is shown when the first of *modules* is loaded as an app."""
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
    here, path = Path.cwd(), list(sys.path)
    importlib.invalidate_caches()
    try:
        app = App(name="a", entry=f"{next(iter(modules))}:Root")
        with surround(app, (app,), str(folder)) as place, pytest.raises(BaseException) as caught:  # noqa: PT011
            load_app(app, place)
    finally:
        sys.path[:] = path
        for name in modules:
            sys.modules.pop(name, None)
        os.chdir(here)
    return format_blame(caught.value)


def frames(text: str) -> list[str]:
    """The files of the frames."""
    return [line.split('"')[1].rpartition("/")[2] for line in text.splitlines() if line.startswith("  File")]


def test_the_applications_frames_are_kept(tmp_path: Path) -> None:
    """All of them in their order, without the import system between them."""
    text = blame(tmp_path, blame_one="import blame_two\n", blame_two="def f():\n    1 / 0\nf()\n")

    assert [frame for frame in frames(text) if frame.startswith("blame_")] == [
        "blame_one.py",
        "blame_two.py",
        "blame_two.py",
    ]
    assert "importlib" not in text
    assert "load.py" not in text
    assert text.endswith("ZeroDivisionError: division by zero\n")


def test_a_syntax_error_shows_its_line(tmp_path: Path) -> None:
    """It has no frame of the application's, but the error names file and line."""
    text = blame(tmp_path, blame_three="def f(:\n    pass\n")

    assert frames(text)[-1] == "blame_three.py"
    assert "def f(:" in text
    assert "importlib" not in text


def test_causes_are_shown_in_the_same_way(tmp_path: Path) -> None:
    """``raise … from`` keeps its first half."""
    source = "try:\n    import nothing_at_all\nexcept ImportError as error:\n    raise RuntimeError('no') from error\n"
    text = blame(tmp_path, blame_four=source)

    assert "No module named 'nothing_at_all'" in text
    assert "direct cause" in text
    assert "importlib" not in text
