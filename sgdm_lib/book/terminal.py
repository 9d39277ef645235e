"""Text for a terminal: safe to print whatever a record or a notebook holds, in any encoding."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from typing import TextIO

__all__ = ["PLAIN", "discard", "prepare", "printable"]

PLAIN = {
    "✓": "+", "✗": "x", "≈": "~", "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "→": "->",
    "≤": "<=", "≥": ">=", "σ": "sigma", "β": "beta", "η": "eta", "κ": "kappa", "²": "^2",
    "\u00a0": " ",
}  # fmt: skip
"""What stands for a sign where the encoding of the output does not have it."""


def printable(text: str) -> str:
    r"""Return the text with control characters written out; lines and tabs stay.

    A terminal obeys some characters instead of showing them. Text that others wrote (a record, a
    notebook, the name of a file) must not move the cursor, change colours or reverse the reading
    direction.

    >>> printable("a\x1b[31mred\u202e")
    'a\\x1b[31mred\\u202e'
    """
    return "".join(
        char if char in "\n\t" or unicodedata.category(char)[0] != "C" else ascii(char)[1:-1]
        for char in text
    )


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded by plain signs; what has none is written as its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, ascii(sign)[1:-1]) for sign in signs), error.end


codecs.register_error("sgdm.plain", _plain)


def prepare() -> None:
    """Let stdout and stderr take all text, also where they are closed or know few characters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller, as in "sgdm list >&-"
            setattr(sys, name, open(os.devnull, "w", encoding="utf8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="sgdm.plain")


def discard(stream: TextIO) -> None:
    """Send to nowhere what is still to be written to a stream whose reader has left."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # no file behind it, or closed: nothing to send
        return
