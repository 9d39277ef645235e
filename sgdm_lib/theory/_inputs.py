"""Checks of numbers and arrays for the theory, and sums that its bounds share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgdm_lib import checks
from sgdm_lib.checks import choice

Array = npt.NDArray[np.float64]
ArrayLike = npt.ArrayLike

OPTIMIZERS = ("nshb", "shb")
# Between these sizes no product that occurs in a bound overflows; nothing real lies outside.
SMALLEST, LARGEST = 1e-60, 1e60
MOST_STEPS = 10**8  # an array of so many float64 takes 800 MB


def number(name: str, value: Any, **limits: Any) -> float:
    """A float as ``sgdm_lib.checks.number`` does, of a size that leaves room for products.

    Where 0 is allowed, anything below 1e-60 in size counts as 0.

    >>> number("lr", 1e200)
    Traceback (most recent call last):
    ValueError: lr must be between 1e-60 and 1e+60 in size, got 1e+200: choose other units
    """
    found = checks.number(name, value, **limits)
    if abs(found) < SMALLEST and "above" not in limits:
        return 0.0
    if found and not SMALLEST <= abs(found) <= LARGEST:
        raise ValueError(f"{name} must be {_SIZE}, got {value!r}: choose other units")
    return found


_SIZE = f"between {SMALLEST:g} and {LARGEST:g} in size"


def whole(name: str, value: Any, *, at_least: int = 1) -> int:
    """A whole number of steps, stages or runs; at most 10^8, so that arrays of it fit."""
    return checks.integer(name, value, at_least=at_least, at_most=MOST_STEPS)


def entries(name: str, value: Any) -> Array:
    """Numbers of any shape as float64; words, None and ragged lists are refused.

    >>> entries("lr", "fast")
    Traceback (most recent call last):
    ValueError: lr must be a number or an array of numbers, got 'fast'
    """
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.size and array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be a number or an array of numbers, got {_shown(value)}")
    return array.astype(np.float64)


def flag(name: str, value: Any) -> bool:
    """True or False as it is."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def numeric(name: str, value: Any) -> Array:
    """Numbers of any shape as float64, finite and of a size as in ``number``."""
    array = entries(name, value)
    if not (np.abs(array) <= LARGEST).all():  # nor NaN
        raise ValueError(f"{name} must be finite numbers up to {LARGEST:g}, got {_shown(value)}")
    return np.where(np.abs(array) < SMALLEST, 0.0, array)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def sequence(name: str, value: ArrayLike, *, positive: bool) -> Array:
    """A float64 scalar or (T,) array whose entries are finite and >= 0 (or > 0)."""
    array = entries(name, value)
    if array.ndim > 1 or array.size == 0:
        raise ValueError(
            f"{name} must be a number or a one-dimensional array, got shape {array.shape}: "
            "give one value a step"
        )
    good = (array >= (SMALLEST if positive else 0)) & (array <= LARGEST)
    if not good.all():
        step = int(np.argmin(np.atleast_1d(good)))
        label = f"{name}[{step}]" if array.ndim else name
        entry = float(np.atleast_1d(array)[step])
        number(label, entry, **({"above": 0} if positive else {"at_least": 0}))
    return np.where(array < SMALLEST, 0.0, array)


def broadcast(steps: int | None, **named: Array) -> list[Array]:
    """Stretch scalars and (T,) arrays to one common length T (at least 1)."""
    lengths = {name: a.size for name, a in named.items() if a.ndim}
    if steps is not None:
        lengths["steps"] = whole("steps", steps)
    if not lengths:
        raise ValueError(
            f"steps must be given when {' and '.join(named)} {'are' if len(named) > 1 else 'is'} "
            "constant: pass steps=T"
        )
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"the schedules must have one length, got {told}: cut or extend one")
    total = next(iter(lengths.values()))
    return [np.broadcast_to(a, (total,)).astype(np.float64) for a in named.values()]


def positive(name: str, value: ArrayLike) -> Array:
    """An array of finite numbers > 0; any shape."""
    array = numeric(name, value)
    if array.size == 0 or not (array > 0).all():
        raise ValueError(f"{name} must be finite numbers > 0, got {_shown(value)}")
    return array


def nonnegative(name: str, value: ArrayLike) -> Array:
    """An array of finite numbers >= 0; any shape."""
    array = numeric(name, value)
    if array.size == 0 or not (array >= 0).all():
        raise ValueError(f"{name} must be finite numbers >= 0, got {_shown(value)}")
    return array


def position(name: str, value: ArrayLike, dim: int) -> Array:
    """A position as float64 (dim,); one number stands for all coordinates."""
    array = numeric(name, value)
    if array.shape not in ((), (1,), (dim,)):
        raise ValueError(
            f"{name} must be a number or have shape ({dim},), got shape {array.shape}: "
            "give one value a coordinate"
        )
    return np.broadcast_to(array, (dim,)).copy()


def momentum_value(momentum: float) -> float:
    """Momentum as a float in [0, 1)."""
    return number("momentum", momentum, at_least=0, below=1)


def nu_value(nu: float, optimizer: str) -> float:
    """QHM's weight as a float in [0, 1]; SHB has none, so there it is 1."""
    choice("optimizer", optimizer, OPTIMIZERS)
    nu = number("nu", nu, at_least=0, at_most=1)
    if optimizer == "shb" and nu != 1:
        raise ValueError(f"nu must be 1 with optimizer='shb', got {nu!r}: QHM is stated with NSHB")
    return nu


def lr_unit(momentum: float, optimizer: str) -> float:
    """What one unit of NSHB's lr is in the optimizer's own lr: 1, or 1 - momentum."""
    choice("optimizer", optimizer, OPTIMIZERS)
    return 1.0 - momentum if optimizer == "shb" else 1.0


def discounted_sum(values: Array, rate: float) -> Array:
    """``y_t = sum_{k >= t} rate^(k-t) x_k`` for every t, by doubling: log2(T) passes.

    >>> discounted_sum(np.array([1.0, 1.0, 1.0]), 0.5)
    array([1.75, 1.5 , 1.  ])
    """
    total = np.array(values, dtype=np.float64)
    reach, factor = 1, rate
    while reach < total.size and factor > 0.0:
        # the right-hand side is a fresh array, so every entry is doubled from the old ones
        total[:-reach] = total[:-reach] + factor * total[reach:]
        reach, factor = 2 * reach, factor * factor
    return total


def ratio_or_inf(above: Array | float, below: Array) -> Array:
    """Divide; where nothing has been summed yet (``below`` is 0) nothing is guaranteed: inf."""
    out = np.full(np.shape(below), np.inf)
    return np.divide(above, below, out=out, where=below > 0)
