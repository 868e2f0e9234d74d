"""The entry point: commands, exit codes, and mistakes told in one line.

Exit codes: 0 fine, 1 our bug, 2 the user's mistake, 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from accelsim.cli.accumulators import accumulators
from accelsim.cli.check import check
from accelsim.cli.compare import compare
from accelsim.cli.debug import debug
from accelsim.cli.lut import lut
from accelsim.cli.output import print_text
from accelsim.cli.presets import presets
from accelsim.cli.program import program
from accelsim.cli.quantize import quantize
from accelsim.cli.rtl import rtl
from accelsim.cli.schema import schema
from accelsim.cli.search import search
from accelsim.cli.simulate import simulate
from accelsim.cli.sweep import sweep
from accelsim.cli.waveform import waveform
from accelsim.errors import AccelsimError
from accelsim.version import __version__

OUR_BUG, USERS_MISTAKE, INTERRUPTED = 1, 2, 130

app = typer.Typer(name="accelsim", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
for command in (simulate, accumulators, compare, program, quantize, debug, lut, sweep, search, waveform, rtl, check,
                presets, schema):
    app.command(command.__name__)(command)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print_text(f"accelsim {__version__}")
        raise typer.Exit


@app.callback()
def accelsim(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Cycle-level simulator of quantized neural-network accelerators."""


def main(arguments: Sequence[str]) -> int:
    """Run a command line; returns its exit code."""
    try:
        code = app(list(arguments) or ["--help"], prog_name="accelsim", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except AccelsimError as error:
        return _told(str(error))
    except typer.TyperException as error:
        return _told(error.format_message() if hasattr(error, "format_message") else str(error))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        print(
            "accelsim: this is a bug in accelsim; please report it with the lines above and the command",
            file=sys.stderr,
        )
        return OUR_BUG


def _told(problem: str) -> int:
    print(f"accelsim: {' '.join(problem.split())}", file=sys.stderr)
    return USERS_MISTAKE


def run() -> None:
    """What the script `accelsim` calls."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(main(sys.argv[1:]))
