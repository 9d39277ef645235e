"""Checks of user input: one clear sentence with the value, the allowed range and the fix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any


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
    ok = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if (
        not ok
        or (above is not None and not value > above)
        or (at_least is not None and not value >= at_least)
        or (below is not None and not value < below)
        or (at_most is not None and not value <= at_most)
    ):
        message = f"{name} must be a finite number {wanted}".rstrip() + f", got {value!r}"
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
    whole = (
        isinstance(value, (int, float, Integral))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value == int(value)
    )
    if (
        not whole
        or (at_least is not None and value < at_least)
        or (at_most is not None and value > at_most)
    ):
        message = f"{name} must be a whole number {wanted}".rstrip() + f", got {value!r}"
        raise ValueError(message + (f": {fix}" if fix else ""))
    return int(value)


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
        shown = ", ".join(words) if len(words) <= 12 else f"the {len(words)} known names"
        message = f"{name} must be one of {shown}, got {value!r}"
        raise ValueError(message + (f": {fix}" if fix else ""))
    return value
