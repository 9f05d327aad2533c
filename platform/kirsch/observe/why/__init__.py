"""Why a request failed: evidence from four logs, a catalogue of causes, one sentence."""

from __future__ import annotations

from kirsch.observe.why.catalogue import CATALOGUE, judge
from kirsch.observe.why.evidence import Cause, Evidence, Inside, Verdict

__all__ = ["CATALOGUE", "Cause", "Evidence", "Inside", "Verdict", "judge"]
