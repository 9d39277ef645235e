"""The ``sgdm`` command: list, plan and run experiments, fetch data, build the book.

Exit status: 0 done; 1 a run or chapter failed (and which); 2 bad arguments; 130 and 143 after
Ctrl-C and SIGTERM; 141 where the reader of the output has left (``sgdm list | head``). Errors are
one line, and one more for each cause where several runs failed; ``--traceback`` shows where they
came from. ``--json`` prints what a script would read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from sgdm_lib.book.terminal import discard, prepare
from sgdm_lib.cli.arguments import parser
from sgdm_lib.cli.errors import Failure, one_line

__all__ = ["Failure", "main", "parser"]

# Before torch is loaded. Its threads otherwise spin while they wait for each other, and where the
# machine has something else to do a small step then takes 100 ms instead of 0.3.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    prepare()
    args = parser().parse_args(arguments)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has left: sgdm list | head
        discard(sys.stdout)  # Python flushes at its end
        return 141
    except KeyboardInterrupt:
        _tell("stopped; what was done is kept")
        return 130
    except Exception as error:
        if args.traceback:
            raise
        _tell(one_line(error))
        _flush()
        return 2 if isinstance(error, ValueError) else 1
    return 0


def _tell(text: str) -> None:
    with suppress(OSError):  # nobody reads our errors either
        print(f"sgdm: {text}", file=sys.stderr, flush=True)


def _flush() -> None:
    """Write what is left; if that fails, too (a full disk), let Python not try it again."""
    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
