"""``python -m accelsim``: the command line."""

from __future__ import annotations

from accelsim.cli.main import run

if __name__ == "__main__":
    run()
