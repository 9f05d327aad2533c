"""The error pages that nginx serves by itself: files at the top of the repository, in the wheel beside this module."""

from __future__ import annotations

from pathlib import Path

from kirsch.errors import NginxError

PAGES = ("404", "502", "503", "504", "maintenance")


def load_pages() -> dict[str, str]:
    """File name to HTML: ``{"502.html": "<!doctype html>…"}``.

    Raises:
        NginxError: the installation lacks them.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "pages", here.parents[3] / "nginx" / "pages"):
        if folder.is_dir():
            return {f"{name}.html": (folder / f"{name}.html").read_text(encoding="utf-8") for name in PAGES}
    raise NginxError(f"nginx's error pages are missing: there is no {here.parent / 'pages'}, and this is no checkout")
