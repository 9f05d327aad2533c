"""What an app finds around it at its import, and what stays of it in the process."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from kirsch.errors import SuperviseError
from kirsch.spec import App
from kirsch.worker.django import find_settings
from kirsch.worker.graft import NamedErrors
from kirsch.worker.surroundings import folder_of, settle_process, surround

pytestmark = pytest.mark.usefixtures("as_it_was")

FIRST = App(name="first", entry="a:b", directory="one", env={"URL": "one", "ONLY_FIRST": "1"})
SECOND = App(name="second", entry="a:b", directory="two", env={"URL": "two"})
BOTH = (FIRST, SECOND)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Folders of both apps, in a process that was started with the variables of both."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("URL", "two")
    monkeypatch.setenv("ONLY_FIRST", "1")
    return str(tmp_path)


def test_each_app_has_its_own(release: str) -> None:
    """Folder, path and variables, and none of the neighbour's."""
    seen = {}
    for app in BOTH:
        with surround(app, BOTH, release) as folder:
            seen[app.name] = (os.environ.get("URL"), os.environ.get("ONLY_FIRST"), os.getcwd(), sys.path[0])
            assert folder == os.getcwd()

    assert seen["first"] == ("one", "1", f"{release}/one", f"{release}/one")
    assert seen["second"] == ("two", None, f"{release}/two", f"{release}/two")


def test_what_an_application_sets_by_itself_stays(release: str) -> None:
    """Django's wsgi.py does that."""
    with surround(FIRST, BOTH, release):
        os.environ["SET_UNDER_TEST"] = "x"

    assert os.environ["SET_UNDER_TEST"] == "x"


def test_an_import_that_fails_leaves_nothing(release: str) -> None:
    """The next app finds what it expects."""
    with pytest.raises(ZeroDivisionError), surround(FIRST, BOTH, release):
        1 / 0  # noqa: B018
    with surround(SECOND, BOTH, release):
        assert "ONLY_FIRST" not in os.environ


def test_afterwards_all_variables_are_there(release: str, caplog: pytest.LogCaptureFixture) -> None:
    """The first app's have their way, and the log names both and the cure."""
    with caplog.at_level(logging.WARNING):
        settle_process(BOTH, release)

    assert (os.environ["URL"], os.environ["ONLY_FIRST"], os.getcwd()) == ("one", "1", f"{release}/one")
    assert "apps first and second want different values of URL" in caplog.text
    assert "pools of their own" in caplog.text


def test_a_django_project_lies_where_its_manage_py_is() -> None:
    """Also below the app's folder."""
    assert folder_of(App(name="a", entry="site/manage.py", directory="old"), "/r") == "/r/old/site"


@pytest.mark.parametrize(
    "source",
    [
        'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n',
        'import os\nos.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"\n',
        'import os\ndef main():\n    os.environ.setdefault(\n"DJANGO_SETTINGS_MODULE", "shop.settings")\n',
    ],
)
def test_settings_are_read_off_a_manage_py(tmp_path: Path, source: str) -> None:
    """It is not run: that would execute a command."""
    (tmp_path / "manage.py").write_text(source + "raise SystemExit\n")

    assert find_settings(tmp_path / "manage.py") == "shop.settings"


def test_a_manage_py_without_settings_is_refused(tmp_path: Path) -> None:
    """With where they can be written."""
    (tmp_path / "manage.py").write_text("print('hello')\n")

    with pytest.raises(SuperviseError, match=r"names no DJANGO_SETTINGS_MODULE; write it into the app's env"):
        find_settings(tmp_path / "manage.py")


def test_lines_of_an_app_bear_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Each of them, also of a traceback written in one piece."""
    errors = NamedErrors("legacy")
    errors.write("one\ntwo\n")
    errors.writelines(["three\n", "\n"])
    errors.flush()

    assert capsys.readouterr().err == "legacy: one\nlegacy: two\nlegacy: three\n\n"
