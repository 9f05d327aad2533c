"""`python -m kirsch` is the command `kirsch`."""

from __future__ import annotations

from kirsch.cli import main

if __name__ == "__main__":
    main()
