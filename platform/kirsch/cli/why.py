"""`kirsch why`: one sentence of cause and one of cure for a request that failed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import click
import msgspec

from kirsch.cli.place import Place, with_place
from kirsch.errors import ControlError, DeployError
from kirsch.link.state import state_from_json
from kirsch.observe.accesslog import AccessLine
from kirsch.observe.why import judge
from kirsch.observe.why.evidence import Evidence
from kirsch.observe.why.gather import Files, match_for, match_status
from kirsch.supervise.client import ControlClient

#: nginx writes its log once a second.
PATIENCE_S = 2.5
LOOK_EVERY_S = 0.25
ASK_S = 3.0


@click.command(short_help="Say why a request failed, and what to do.")
@click.argument("word", required=False, metavar="[ID|URL]")
@click.option("--last", metavar="STATUS", help="The last request with this status: 502, 499, 5xx.")
@click.option("--json", "as_json", is_flag=True, help="Cause, sentence, cure and the evidence, for programs.")
@click.option("--verbose", "-v", is_flag=True, help="Print the evidence, too.")
@with_place
def why(place: Place, word: str | None, last: str | None, as_json: bool, verbose: bool) -> None:
    """Say why a request failed: by its id (X-Request-ID, error page, logs), its URL, or the last with a status.

    \b
    kirsch why 6f0c3c9f6a7c4f3a8d1f5a2b9e7c1d00
    kirsch why https://shop.example/cart
    kirsch why --last 502
    """  # noqa: D301 (click wants the character itself)
    if bool(word) == bool(last):
        raise click.UsageError("name a request: an ID, a URL, or --last STATUS")
    files = open_files(place)
    evidence = find_evidence(files, match_status(last) if last else match_for(word or ""), word or "")
    if evidence is None:
        raise DeployError(f"no request {f'with status {last}' if last else word} is in {files.paths.nginx_access_log}")
    verdict = judge(evidence)
    if as_json:
        found = {"cause": verdict.cause, "sentence": verdict.sentence, "cure": verdict.cure}
        click.echo(json.dumps(found | {"id": evidence.id, "evidence": _shown(evidence)}, indent=2, default=str))
        return
    click.echo(str(verdict))
    if verbose:
        click.echo("\n".join(f"  {name}: {text}" for name, text in _shown(evidence).items() if text))


def open_files(place: Place) -> Files:
    """Return where the stack of *place* tells what it did."""
    paths = place.target.paths
    try:
        status = ControlClient(paths.control_socket, timeout_s=ASK_S).call("status")
    except ControlError:
        status = {}  # what is in the files is there all the same
    raw = place.target.shell.read(paths.state_file)
    try:
        stack = state_from_json(raw or b"").stack
    except msgspec.MsgspecError:
        stack = place.stack
    return Files(paths=paths, stack=stack, status=status)


def find_evidence(files: Files, fits: Callable[[AccessLine], bool], word: str) -> Evidence | None:
    """Return what is known of the request; one that just ended is waited for until nginx has written its line."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        line = files.find_line(fits)
        if line is not None:
            return files.evidence_of(line)
        if time.monotonic() > deadline:
            # a worker may be inside still of what nginx has answered long ago, so its line is waited for first
            evidence = files.evidence_of(None, word) if word and "/" not in word else None
            return evidence if evidence is not None and evidence.inside is not None else None
        time.sleep(LOOK_EVERY_S)


def _shown(evidence: Evidence) -> dict[str, object]:
    line = msgspec.structs.asdict(evidence.line) if evidence.line is not None else {}
    return {
        "nginx": {name: value for name, value in line.items() if value},
        "nginx errors": list(evidence.errors),
        "events": [
            dict(event) for event in evidence.happened("died", "stopped", "stuck", "memory", "parked", "failed")
        ],
        "log": list(evidence.log),
        "capture": {name: value for name, value in evidence.capture.items() if name != "body"},
    }
