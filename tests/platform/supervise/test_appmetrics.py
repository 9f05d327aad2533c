"""The folders for what applications count."""

from __future__ import annotations

from pathlib import Path

from kirsch.observe.metrics.apps import read_families
from kirsch.supervise.appmetrics import keep_app_metrics, prepare_app_metrics


def test_all_folders_are_there_from_the_beginning(tmp_path: Path) -> None:
    """Neither the first death nor the first scrape adds a file, and what is kept is the supervisor's alone."""
    folder = tmp_path / "metrics" / "web"
    prepare_app_metrics(str(folder), None)
    before = sorted(tmp_path.rglob("*"))
    keep_app_metrics(str(folder))
    read_families(str(folder))
    kept = folder.with_name("web.ended")

    assert sorted(tmp_path.rglob("*")) == before
    assert kept.stat().st_mode & 0o777 == 0o700
    assert (kept / "lock").stat().st_mode & 0o777 == 0o600
