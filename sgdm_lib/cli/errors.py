"""An error as the command tells it: in one line."""

from __future__ import annotations

from sgdm_lib.book.terminal import printable


class Failure(Exception):
    """Something was run and failed: exit status 1."""


def one_line(error: BaseException) -> str:
    """What went wrong, and which package is missing if it is that."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        extra = "pdf" if error.name in ("playwright", "bs4") else "book"
        return f"the package {error.name} is missing: pip install 'sgdm-lib[{extra}]'"
    if isinstance(error, Failure) or type(error).__name__ == "BookError":
        return printable(str(error))
    text = printable(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and not error.filename:
        return text.removeprefix(f"[Errno {error.errno}] ")  # a sentence of ours, not the system's
    told = isinstance(error, (ValueError, RuntimeError)) and not isinstance(error, RecursionError)
    return text if told else f"{type(error).__name__}: {text}"
