"""Run at the desk of a rig: fire at addresses until standard input ends, then write what came of it as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from loadgen import Load, Shot


def aim(client: int, index: int) -> Shot:
    """A GET and a POST in turn; the answer says what was asked."""
    note = f"{client}.{index}"
    if index % 2:
        return Shot("GET", f"/echo?note={note}", expected_body=f"echo {note}".encode())
    body = f"note={note}".encode()
    return Shot("POST", "/echo", body, 200, f"echo {note}".encode(), "application/x-www-form-urlencoded")


def main() -> None:
    """Fire."""
    clients = int(sys.argv[1])
    addresses = [(where.partition(":")[0], int(where.partition(":")[2])) for where in sys.argv[2:]]
    loads = [
        Load(address, aim, clients=clients, host=f"{address[0]}:{address[1]}", pause_s=0.02, note_header="x-release")
        for address in addresses
    ]
    for load in loads:
        load.start()
    for load in loads:
        load.wait_for(1)
    print("firing", flush=True)
    sys.stdin.read()
    found = []
    for load in loads:
        tally = load.stop()
        found.append(
            {
                "sent": tally.sent,
                "good": tally.good,
                "failures": dict(tally.failures),
                "examples": tally.examples,
                "headers_seen": dict(tally.headers_seen),
            }
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
