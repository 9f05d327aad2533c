"""The error pages: there, whole, and dependent on nothing."""

from __future__ import annotations

import re

import pytest

from kirsch.nginx.pages import PAGES, load_pages


@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands_alone(name: str) -> None:
    """No style, script, font or image from elsewhere: the application that would serve it is down."""
    html = load_pages()[f"{name}.html"]

    assert html.startswith("<!doctype html>")
    assert "<title>" in html
    assert not re.search(r"<script|<img|<link|url\(|https?://", html)
    assert len(html.encode()) < 8192
