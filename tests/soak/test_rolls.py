"""A stack behind nginx for a long time: a steady rate of requests, a roll each minute, every answer checked.

``make soak-rolls`` runs it for SOAK_SECONDS at SOAK_RATE requests a second (1,000 if nothing is said) and writes
``docs/soak.md``; without SOAK_SECONDS it is a short one, at a modest rate, with a roll every few seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import NginxError
from kirsch.nginx.binary import find_nginx

from ..integration import openload
from ..platform.supervise import conftest as hosts
from .conftest import IS_FULL, SECONDS
from .sample import HEAD, Sample, slope, take_sample, take_sample_at_rest

DURATION_S = SECONDS if IS_FULL else 20.0
RATE = float(os.environ.get("SOAK_RATE") or (1000.0 if IS_FULL else 200.0))
ROLL_EVERY_S = min(60.0, DURATION_S / 5)
REPORT = os.environ.get("SOAK_REPORT")
MARK = "<!-- results -->"
MEBIBYTE = 1048576
#: What memory may grow by from the first third of the samples to the end, by a line through all samples after it.
ALLOWED_BYTES = 4 * MEBIBYTE
#: nginx keeps idle connections to workers for three seconds.
REST_S = 20.0

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(SECONDS + 180)]


@pytest.fixture
def host() -> Iterator[Any]:
    """A host that serves, and is cleaned up."""
    try:
        find_nginx()
    except NginxError as error:
        pytest.skip(f"no nginx: {error.message}")
    made = hosts.Host()
    try:
        made.start(made.state(slots=4), nginx=True)
        made.wait_until_ready(nginx=True)
        yield made
    finally:
        made.clean_up()


#: Of asyncio in the supervisor.
POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)


def test_a_roll_each_minute_leaves_nothing_behind(host: Any) -> None:
    """No request fails; memory, descriptors, threads, processes and files are after many rolls what they were."""
    generator = openload.OpenLoad(("127.0.0.1", host.port), RATE)
    before = take_sample_at_rest(host)
    samples = []
    began = time.monotonic()
    try:
        while (elapsed := time.monotonic() - began) < DURATION_S:
            generator.begin(f"minute {len(samples) + 1}")
            host.control.call("roll")
            host.wait_until_ready(nginx=True)
            time.sleep(max(0.0, elapsed + ROLL_EVERY_S - (time.monotonic() - began)))
            samples.append(take_sample(host, time.monotonic() - began))
            print(samples[-1].row(), flush=True)
        sections = [section for section in generator.stop() if section.name != "start"]
    finally:
        generator.kill()
    if REPORT:
        head, mark, _ = Path(REPORT).read_text(encoding="utf-8").partition(MARK)
        Path(REPORT).write_text(f"{head}{mark}\n\n{table(samples, sections)}", encoding="utf-8")
    sent = sum(section.sent for section in sections)
    failed = sum(section.failed for section in sections)
    print(f"{sent} requests, {failed} failed, {len(samples)} rolls, {sent / DURATION_S:.0f} a second")

    assert failed == 0, [section.examples for section in sections]
    assert sum(section.good for section in sections) == sent
    assert sent >= 0.95 * RATE * DURATION_S
    assert host.status()["generation"] == 1 + len(samples)
    settled = samples[len(samples) // 3 :]
    for what in ("supervisor_bytes", "workers_bytes", "nginx_bytes"):
        grown = slope([(one.at_s, getattr(one, what)) for one in settled]) * (settled[-1].at_s - settled[0].at_s)
        assert grown < ALLOWED_BYTES, f"{what}: {grown / MEBIBYTE:+.1f} MiB"
    assert wait_for_rest(host, before) == before.counts()
    assert samples[-1].supervisor_threads <= before.supervisor_threads + POOL_THREADS


def wait_for_rest(host: Any, before: Sample) -> dict[str, int]:
    """Return what there is of descriptors, threads, processes and files once nginx has closed its connections."""
    deadline = time.monotonic() + REST_S
    while (counts := take_sample(host, 0.0).counts()) != before.counts() and time.monotonic() < deadline:
        time.sleep(0.5)
    return counts


def table(samples: list[Sample], sections: list[Any]) -> str:
    """Return what was seen, a row a minute, in Markdown."""
    rows = []
    for sample, section in zip(samples, sections, strict=True):
        p50, p99 = section.percentile_ms(0.5), section.percentile_ms(0.99)
        rows.append(f"{sample.row()} {section.sent} | {section.failed} | {p50:.1f} ms | {p99:.1f} ms |")
    sent = sum(section.sent for section in sections)
    failed = sum(section.failed for section in sections)
    said = f"{sent:,} requests in {samples[-1].at_s / 60:.1f} minutes, {failed} failed; {len(samples)} rolls."
    return "\n".join([said, "", *HEAD, *rows]) + "\n"
