"""What nginx says, read."""

from __future__ import annotations

from pathlib import Path

from kirsch.nginx.master import emergencies, is_serving, troubles

TEST_OUTPUT = """nginx: [warn] conflicting server name "a" on 0.0.0.0:80, ignored
nginx: [emerg] unknown directive "x" in /a/nginx.conf:3
nginx: the configuration file /a/nginx.conf syntax is ok
nginx: configuration file /a/nginx.conf test failed
"""
LOG = """2026/01/01 00:00:00 [emerg] 7#7: bind() to 0.0.0.0:80 failed (98: Address already in use)
2026/01/01 00:00:01 [emerg] 7#7: bind() to 0.0.0.0:80 failed (98: Address already in use)
2026/01/01 00:00:01 [crit] 8#8: *4 connect() to unix:/x failed (2: No such file or directory) while connecting
2026/01/01 00:00:02 [emerg] 7#7: still could not bind()
"""


def test_what_is_wrong_is_told_from_what_is_fine() -> None:
    """Warnings count, praise does not."""
    assert troubles(TEST_OUTPUT.splitlines()) == [
        '[warn] conflicting server name "a" on 0.0.0.0:80, ignored',
        '[emerg] unknown directive "x" in /a/nginx.conf:3',
    ]


def test_only_new_emergencies_count_and_each_once(tmp_path: Path) -> None:
    """Trouble with a single request is no reason to go back."""
    path = tmp_path / "error.log"
    old = "2026/01/01 00:00:00 [emerg] 7#7: of yesterday\n"
    path.write_text(old + LOG, encoding="utf-8")

    assert emergencies(str(path), len(old)) == [
        "[emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
        "[emerg] still could not bind()",
    ]
    assert emergencies(str(tmp_path / "none.log"), 0) == []


def test_a_process_that_is_gone_does_not_serve() -> None:
    """Pids above the kernel's limit never exist."""
    assert not is_serving(2**22 + 1)
