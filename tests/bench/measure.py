"""Run one contender in one scenario: start it, check its answer, load it with wrk, look at its memory, end it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from contenders import CACHE, HERE, Contender, Unavailable
from scenarios import FILE_BYTES, FILE_NAME, Scenario

SCRATCH = CACHE / "scratch"
FILES = SCRATCH / "files"
CERTIFICATE, KEY = SCRATCH / "certificate.pem", SCRATCH / "key.pem"
STARTS_WITHIN_S = 20.0


@dataclass
class Score:
    """What the rounds of one contender in one scenario gave.

    Attributes:
        rates: requests/s of each round.
        cpu_us: processor time of all its processes for a request, in microseconds; what other work there is on the
            machine changes it much less than the rates.
        rss_mib: resident memory of all its processes at the end of each round.
        failed: answers that were not 2xx, socket errors, and idle connections lost.
    """

    rates: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    failed: int = 0

    def medians(self) -> tuple[float, float, float, float, float]:
        """Requests/s, both latencies, processor time, memory."""
        measured = (self.rates, self.p50_ms, self.p99_ms, self.cpu_us, self.rss_mib)
        rate, p50, p99, cpu, rss = map(statistics.median, measured)
        return rate, p50, p99, cpu, rss


def make_scratch() -> None:
    """Make the static file and the certificate; forget what peers left behind."""
    for left in SCRATCH.glob("tmp*"):
        shutil.rmtree(left)
    FILES.mkdir(parents=True, exist_ok=True)
    (FILES / FILE_NAME).write_bytes(FILE_BYTES)
    if not CERTIFICATE.exists():
        openssl = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "3650",
            "-subj",
            "/CN=localhost",
        ]
        subprocess.run([*openssl, "-keyout", KEY, "-out", CERTIFICATE], check=True, capture_output=True)


@contextmanager
def serving(contender: Contender, scenario: Scenario) -> Iterator[tuple[int, psutil.Process]]:
    """Run *contender* on the first core, wait for the right answer, give port and process, end it with its children.

    Raises:
        Unavailable: it does not start, or answers wrongly.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "BENCH_FILES": str(FILES),
        "BENCH_SCRATCH": str(SCRATCH),
        "BENCH_CERTIFICATE": str(CERTIFICATE) if scenario.tls else "",
        "BENCH_KEY": str(KEY) if scenario.tls else "",
    }
    command = ["taskset", "-c", "0", *contender.command(port, scenario.threads)]
    with log_of(contender).open("wb") as output:
        process = psutil.Popen(command, stdout=output, stderr=output, cwd=SCRATCH, env=environment)
    try:
        wait_for_answer(port, scenario, process, contender)
        yield port, process
    finally:
        everybody = family(process)
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        _, alive = psutil.wait_procs(everybody, timeout=5)
        for left in alive:
            with suppress(psutil.NoSuchProcess):
                left.kill()
        psutil.wait_procs(alive, timeout=5)


def last_words(contender: Contender) -> str:
    """The line of its output that tells most: the last error, else the last one."""
    lines = log_of(contender).read_text(errors="replace").strip().splitlines()
    return ([line for line in lines if "error" in line.lower()] or lines or [""])[-1][:200]


def log_of(contender: Contender) -> Path:
    """Where its output goes."""
    return SCRATCH / f"{contender.file.stem}.log"


def wait_for_answer(port: int, scenario: Scenario, process: psutil.Popen, contender: Contender) -> None:
    """Ask until there is an answer, and insist on the right one."""
    end = time.monotonic() + STARTS_WITHIN_S
    while True:
        said: object = "no answer"
        try:
            wrong = scenario.ask(port)
        except (OSError, ValueError) as error:
            said = error
        else:
            if wrong is None:
                return
            raise Unavailable(wrong)
        if process.poll() is not None or time.monotonic() > end:
            raise Unavailable(f"does not serve: {last_words(contender) or said}")
        time.sleep(0.05)


def load(port: int, scenario: Scenario, seconds: float, score: Score) -> int:
    """One round of wrk from the second core, added to *score*; returns how many requests it has made."""
    wrk = ["taskset", "-c", "1", "wrk", "-t1", f"-c{scenario.connections}", f"-d{seconds:g}s", "--latency"]
    if scenario.upload:
        wrk += ["-s", str(HERE / "post.lua")]
    text = subprocess.run([*wrk, scenario.url(port)], check=True, capture_output=True, text=True).stdout
    return read_wrk(text, score)


def read_wrk(text: str, score: Score) -> int:
    """Add what wrk printed to *score*; returns how many requests it has made."""
    score.rates.append(float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]))
    score.p50_ms.append(milliseconds(re.findall(r"^ +50% +(\S+)", text, re.MULTILINE)[0]))
    score.p99_ms.append(milliseconds(re.findall(r"^ +99% +(\S+)", text, re.MULTILINE)[0]))
    score.failed += sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    score.failed += sum(
        int(number) for found in re.findall(r"Socket errors: (.*)", text) for number in re.findall(r"\d+", found)
    )
    return int(re.findall(r"(\d+) requests in", text)[0])


def milliseconds(text: str) -> float:
    """Turn wrk's '1.50ms' into 1.5."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}[unit]


def open_idle(port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    """Open *count* connections that have made one request each."""
    idle = []
    for _ in range(count):
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        client.recv(4096)
        client.setblocking(False)
        idle.append(client)
    return idle


def count_lost(idle: list[socket.socket]) -> int:
    """How many of the idle connections have been closed."""
    lost = 0
    for client in idle:
        with suppress(BlockingIOError):
            try:
                lost += client.recv(4096) == b""
            except ConnectionResetError:
                lost += 1
    return lost


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and its children, as far as they live."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_s(process: psutil.Process) -> float:
    """Processor time that a process and its children have used."""
    total = 0.0
    for one in family(process):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def rss_mib(process: psutil.Process) -> float:
    """Resident memory of a process and its children."""
    total = 0
    for one in family(process):
        with suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total / 1048576


def measure(contender: Contender, scenario: Scenario, seconds: float, score: Score) -> None:
    """One round, after a second of warm-up, with the answer checked before and after.

    Raises:
        Unavailable: it does not serve this scenario.
    """
    with serving(contender, scenario) as (port, process), ExitStack() as stack:
        try:
            idle = open_idle(port, scenario.idle, stack)
        except OSError as error:
            raise Unavailable(f"does not take {scenario.idle} connections: {error}") from error
        try:
            load(port, scenario, 1, Score())
            before_s = cpu_s(process)
            count = load(port, scenario, seconds, score)
            score.cpu_us.append((cpu_s(process) - before_s) / max(count, 1) * 1e6)
            score.rss_mib.append(rss_mib(process))
            score.failed += count_lost(idle)
            wrong = scenario.ask(port)
        except (OSError, subprocess.CalledProcessError, psutil.NoSuchProcess) as error:
            ended = process.poll()
            died = f"ended under load with status {ended}: {last_words(contender)}"
            raise Unavailable(died if ended is not None else str(error)) from error
        if wrong is not None:
            raise Unavailable(f"after the load: {wrong}")
