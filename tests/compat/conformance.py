"""Runs the tests of the released CherryPy against our ``cherrypy``, and says how many of them pass.

    python tests/compat/conformance.py                     all files
    python tests/compat/conformance.py test_core test_bus  some of them
    python tests/compat/conformance.py test_core -k range  one test

The tests are fetched from the package index into a cache outside of the repository. The denominator is what the real
CherryPy passes on this kind of machine in three of three runs (suite/baseline.json). Exit status 0: all of them pass,
or fail as suite/expected.json says, with the reason; 1: others fail; 2: wrong use.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "suite"))

from copies import Options  # noqa: E402
from fetch import Cache, default_cache, fetch  # noqa: E402
from runs import Outcome, Plan, run_file  # noqa: E402

FRAMEWORK = HERE.parents[1] / "framework"
FORBIDDEN = "cheroot,portend,jaraco,more_itertools"


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("files", nargs="*", help="test files; all without any")
    command.add_argument("--target", type=Path, default=FRAMEWORK, help="folder that contains cherrypy/")
    command.add_argument("-k", default="", metavar="EXPRESSION", help="pytest -k, within the files")
    command.add_argument("-j", type=int, default=1, metavar="N", help="files at a time")
    command.add_argument("-v", action="store_true", help="list the tests that fail, with their first error line")
    command.add_argument("--slow", action="store_true", help="leave the keep-alive timeout of test_http at 10 s")
    command.add_argument("--hard", action="store_true", help="count the failures that the release swallows")
    command.add_argument("--validate", action="store_true", help="wrap applications in wsgiref's validator")
    command.add_argument("--helper", choices=("upstream", "target"), default="upstream", help="which test helper")
    command.add_argument("--forbid", default=FORBIDDEN, help="packages that the code under test may not import")
    command.add_argument("--python", default="", help="another interpreter")
    command.add_argument("--json", type=Path, metavar="FILE", help="write every test's outcome here")
    command.add_argument("--keep", action="store_true", help="keep the scratch copies and logs")
    return command


def main() -> int:
    """Fetch, run, tell."""
    command = arguments()
    options = command.parse_intermixed_args()
    cache = default_cache()
    fetch(cache)
    known = sorted(file.name for file in (cache.release / "test").glob("test_*.py"))
    wanted = [Path(name).name.removesuffix(".py") + ".py" for name in options.files] or known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        command.error(f"no such test file: {', '.join(unknown)}; there are {', '.join(known)}")
    baseline = json.loads((HERE / "suite" / f"baseline{'-hard' if options.hard else ''}.json").read_text())
    expected = json.loads((HERE / "suite" / "expected.json").read_text())
    work = cache.root / "work" / f"cpsuite-{os.getpid()}"
    plan = Plan(
        cache,
        options.target.resolve(),
        work,
        Options(options.helper, not options.slow, options.hard, options.validate),
        options.k,
        options.forbid,
        options.python,
    )
    try:
        outcomes = run_all(plan, wanted, options.j, set(baseline["pass"]), options.v and not options.k)
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    if options.keep:
        print(f"kept: {work}")
    if options.json:
        options.json.write_text(json.dumps({name: vars(outcome) for name, outcome in outcomes.items()}, indent=1))
    status = tell(outcomes, set(baseline["pass"]), expected, is_partial=bool(options.k))
    return status if options.files or options.k else max(status, compare_names(cache))


def compare_names(cache: Cache) -> int:
    """Print which names the release has, and we neither have nor excuse; 1 if there are any."""
    command = [sys.executable, str(HERE / "surface.py"), "--against", str(cache.release.parent)]
    print("names of the release that are missing here:", flush=True)
    return min(1, subprocess.run([*command, "--python", str(cache.python)]).returncode)


def run_all(plan: Plan, names: list[str], at_a_time: int, baseline: set[str], is_verbose: bool) -> dict[str, Outcome]:
    """Run the files, printing one line for each as it is done."""
    print(f"{'file':28} {'pass':>5} {'fail':>5} {'skip':>5} {'baseline':>9} {'sec':>7}")
    todo, outcomes, lock = list(names), {}, threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not todo:
                    return
                name = todo.pop(0)
            outcome = run_file(plan, name)
            with lock:
                outcomes[name] = outcome
                print_file(name, outcome, baseline, is_verbose)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, at_a_time))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def print_file(name: str, outcome: Outcome, baseline: set[str], is_verbose: bool) -> None:
    """One line for a file; with *is_verbose* one more for each test of the baseline that is missing."""
    counts = Counter(test["outcome"] for test in outcome.tests.values())
    skipped = counts["skipped"] + counts["xfailed"] + counts["xpassed"]
    failed = sum(counts.values()) - counts["passed"] - skipped
    mine = sorted(test for test in baseline if test.partition("::")[0] == name)
    passed = sum(has_passed(outcome, test) for test in mine)
    notes = list(outcome.notes)
    if outcome.collect_error:
        notes.insert(0, "COLLECT ERROR: " + outcome.collect_error.strip().splitlines()[-1][:110])
    note = f"  [{'; '.join(notes)[:200]}]" if notes else ""
    line = f"{name:28} {counts['passed']:5} {failed:5} {skipped:5} {passed:4}/{len(mine):<4} {outcome.seconds:7.1f}"
    print(line + note, flush=True)
    for test in mine:
        if not has_passed(outcome, test) and (is_verbose or test in outcome.tests):
            found: dict[str, Any] = outcome.tests.get(test, {})
            errors = [line for line in str(found.get("msg", "")).splitlines() if line.startswith("E ")]
            print(f"    {found.get('outcome', 'missing'):8} {test}   {errors[0][:150] if errors else ''}", flush=True)


def has_passed(outcome: Outcome, test: str) -> bool:
    """True when *test* ran and passed."""
    return bool(outcome.tests.get(test, {}).get("outcome") == "passed")


def tell(outcomes: dict[str, Outcome], baseline: set[str], expected: dict[str, str], is_partial: bool) -> int:
    """Print the score; returns the exit status."""
    mine = {test for test in baseline if test.partition("::")[0] in outcomes}
    if is_partial:
        mine &= {test for outcome in outcomes.values() for test in outcome.tests}
    passed = {test for test in mine if has_passed(outcomes[test.partition("::")[0]], test)}
    automatic = {test for test in mine if test.endswith("::test_gc")}
    print(
        f"SCORE {len(passed)}/{len(mine)} of the tests that the real CherryPy passes; "
        f"without the automatic test_gc: {len(passed - automatic)}/{len(mine - automatic)}"
    )
    for test in sorted((mine - passed) & set(expected)):
        print(f"expected: {test}: {expected[test]}")
    return 1 if mine - passed - set(expected) else 0


if __name__ == "__main__":
    sys.exit(main())
