"""The fixtures of ``fronted.py`` for every module of this folder that asks for them by name."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("kirsch_fronted", Path(__file__).with_name("fronted.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
fronted = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = fronted
_SPEC.loader.exec_module(fronted)

nginx, serve, stage, free_port = fronted.nginx, fronted.serve, fronted.stage, fronted.free_port
folder, foreign_folder, behind_unix = fronted.folder, fronted.foreign_folder, fronted.behind_unix
start_worker, started_worker = fronted.start_worker, fronted.started_worker
