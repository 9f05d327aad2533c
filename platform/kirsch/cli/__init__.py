"""The command `kirsch`: one file for each group of verbs, `screen` for how things look."""

from kirsch.cli.verbs import main

__all__ = ["main"]
