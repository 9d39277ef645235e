"""How the command prints an error: in one line."""

from __future__ import annotations

from sgdm_lib.book.terminal import printable


class Failure(Exception):
    """A run or a chapter failed; the exit status is 1."""


def one_line(error: BaseException) -> str:
    """Describe an error in one line; if a package is missing, say how to install it."""
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
