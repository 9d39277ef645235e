"""Checks of user input raise one clear sentence with the value, the allowed range and the fix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

LONGEST = 200
"""Characters of a value that a message shows."""


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    fix: str = "",
) -> float:
    """Return ``value`` as a float if it is a finite real number inside the stated range.

    Args:
        name: what the value is called in the message.
        value: the value to check.
        above: strict lower limit.
        at_least: lower limit, itself allowed.
        below: strict upper limit.
        at_most: upper limit, itself allowed.
        fix: what to do about it, put at the end of the message.

    Raises:
        ValueError: if the value is no real number, is NaN or infinite, or lies outside.

    >>> number("lr", 0.1, above=0)
    0.1
    >>> number("lr", -1, above=0, fix="choose a positive one")
    Traceback (most recent call last):
    ValueError: lr must be a finite number > 0, got -1: choose a positive one
    """
    limits = [(">", above), (">=", at_least), ("<", below), ("<=", at_most)]
    wanted = " and ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)
    ok = isinstance(value, Real) and not isinstance(value, bool) and _finite(value)
    if (
        not ok
        or (above is not None and not value > above)
        or (at_least is not None and not value >= at_least)
        or (below is not None and not value < below)
        or (at_most is not None and not value <= at_most)
    ):
        message = f"{name} must be a finite number {wanted}".rstrip() + f", got {shown(value)}"
        raise ValueError(message + (f": {fix}" if fix else ""))
    return float(value)


def integer(
    name: str,
    value: Any,
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    fix: str = "",
) -> int:
    """Return ``value`` as an int if it is a whole number inside the stated range.

    Raises:
        ValueError: if the value is not whole (a bool does not count) or lies outside.

    >>> integer("epochs", 3, at_least=1)
    3
    >>> integer("epochs", 2.5, at_least=1)
    Traceback (most recent call last):
    ValueError: epochs must be a whole number >= 1, got 2.5
    """
    limits = [(">=", at_least), ("<=", at_most)]
    wanted = " and ".join(f"{sign} {limit}" for sign, limit in limits if limit is not None)
    is_whole = (
        isinstance(value, (int, float, Integral))
        and not isinstance(value, bool)
        and (isinstance(value, Integral) or math.isfinite(value))
        and value == int(value)
    )
    if (
        not is_whole
        or (at_least is not None and value < at_least)
        or (at_most is not None and value > at_most)
    ):
        message = f"{name} must be a whole number {wanted}".rstrip() + f", got {shown(value)}"
        raise ValueError(message + (f": {fix}" if fix else ""))
    return int(value)


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


def boolean(name: str, value: Any) -> bool:
    """Return ``value`` if it is True or False; a word or a number does not count.

    Raises:
        ValueError: if it is anything else.

    >>> boolean("augment", "false")
    Traceback (most recent call last):
    ValueError: augment must be True or False, got 'false'
    """
    kind = type(value)
    numpys = kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_")
    if not isinstance(value, bool) and not numpys:
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def choice(name: str, value: Any, allowed: Iterable[str], *, fix: str = "") -> str:
    """Return ``value`` if it is one of the allowed words; name the nearest one otherwise.

    Raises:
        ValueError: if it is not.

    >>> choice("optimizer", "nhsb", ["nshb", "shb"])
    Traceback (most recent call last):
    ValueError: optimizer must be one of nshb, shb, got 'nhsb': did you mean 'nshb'?
    """
    words = list(allowed)
    if not isinstance(value, str) or value not in words:
        near = get_close_matches(str(value), words, n=1)
        fix = fix or (f"did you mean {near[0]!r}?" if near else "")
        known = ", ".join(words) if len(words) <= 12 else f"the {len(words)} known names"
        message = f"{name} must be one of {known}, got {shown(value)}"
        raise ValueError(message + (f": {fix}" if fix else ""))
    return value


def shown(value: Any) -> str:
    """Return a value as text for a message: a long one is cut, a huge number gives its size."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a whole number of {value.bit_length()} bits"
    try:
        text = " ".join(repr(value).split())  # a table or an array has several lines
    except RecursionError:
        return f"a {type(value).__name__} nested very deeply"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
