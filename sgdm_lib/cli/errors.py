"""An error as the command tells it: in one line."""

from __future__ import annotations


class Failure(Exception):
    """Something was run and failed: exit status 1."""


def one_line(error: Exception) -> str:
    """What went wrong, and which package is missing if it is that."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        extra = "pdf" if error.name in ("playwright", "pypdf", "bs4") else "book"
        return f"the package {error.name} is missing: pip install 'sgdm-lib[{extra}]'"
    if isinstance(error, Failure) or type(error).__name__ == "BookError":
        return str(error)
    text = " ".join(str(error).split()) or type(error).__name__
    return (
        text if isinstance(error, (ValueError, RuntimeError)) else f"{type(error).__name__}: {text}"
    )
