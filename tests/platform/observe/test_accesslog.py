"""Lines of nginx's access log, from the file and from datagrams."""

from __future__ import annotations

from pathlib import Path

from kirsch.observe.accesslog import parse_line, read_back

LINE = (
    b'{"msec":"1700000010.500","id":"a1","method":"GET","uri":"/x?y=1","status":"502","duration_s":"0.500",'
    b'"upstream":"unix:/run/web.1.sock, unix:/run/web.2.sock","upstream_status":"502, 502","agent":"c\\u00e9"}'
)


def test_a_datagram_is_a_line_behind_a_head_of_syslogs() -> None:
    """Both give the same value."""
    line = parse_line(LINE + b"\n")

    assert line == parse_line(b"<190>Nov 21 21:00:00 kirsch: " + LINE)
    assert line is not None
    assert (line.code, line.path, line.began, len(line.tries), line.answers) == (
        502,
        "/x",
        1700000010.0,
        2,
        ("502",) * 2,
    )


def test_what_is_no_line_is_none() -> None:
    """A line that was cut, no JSON, and octets that are no UTF-8, which are replaced."""
    bent = parse_line(b'{"uri":"/\xff","status":"404"}')

    assert parse_line(LINE[:40]) is None
    assert parse_line(b"") is None
    assert bent is not None
    assert bent.uri == "/\ufffd"


def test_a_log_is_read_from_its_end(tmp_path: Path) -> None:
    """Whatever the size of the blocks; nothing where there is no file."""
    path = tmp_path / "access.log"
    path.write_bytes(b"".join(b'{"id":"%d"}\n' % number for number in range(100)))
    expected = [str(number) for number in range(99, -1, -1)]

    for block_bytes in (7, 13, 64, 1 << 20):
        assert [line.id for line in read_back(str(path), 1 << 20, block_bytes)] == expected
    assert list(read_back(f"{path}.none", 100)) == []
