"""What every bound is asked about: the constants of the loss, the hyperparameters of each step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sgdm_lib.theory._inputs import (
    Array,
    ArrayLike,
    broadcast,
    lr_unit,
    momentum_value,
    nu_value,
    number,
    sequence,
    whole,
)


@dataclass(frozen=True)
class Constants:
    """The three constants of the loss f that the bounds depend on.

    ``||grad f(x) - grad f(y)|| <= L ||x - y||``, ``E||g - grad f||^2 <= sigma^2`` for the gradient
    g of a single sample, and ``Delta = f(theta_0) - f*``.

    Args:
        smoothness: L > 0, in units of 1/lr.
        variance: sigma^2 >= 0, in squared units of the gradient.
        initial_gap: Delta >= 0, in units of f.

    Raises:
        ValueError: if a value is out of its range.

    >>> Constants(smoothness=1, variance=4, initial_gap=0.5)
    Constants(smoothness=1.0, variance=4.0, initial_gap=0.5)
    """

    smoothness: float
    variance: float
    initial_gap: float

    def __post_init__(self) -> None:
        for name, limits in (("smoothness", {"above": 0}), *_NONNEGATIVE):
            object.__setattr__(self, name, number(name, getattr(self, name), **limits))


_NONNEGATIVE = (("variance", {"at_least": 0}), ("initial_gap", {"at_least": 0}))


@dataclass(frozen=True, eq=False)
class Hyperparameters:
    """Learning rate, momentum and batch size in every step of one run.

    ``theta_{t+1} = theta_t - eta_t [(1-nu) g_t + nu m_t]`` with ``m_t = beta m_{t-1} + (1-beta)
    g_t`` and ``m_{-1} = 0``; SHB: ``m_t = beta m_{t-1} + g_t``, nu = 1. SGD has momentum 0.

    Args:
        lr: eta_t >= 0 (alpha_t with ``optimizer="shb"``), a number or (T,).
        momentum: beta in [0, 1).
        batch_size: b_t > 0, a number or (T,).
        steps: T, needed by a bound where lr and batch size are numbers.
        nu: weight of the momentum in QHM's step; 1 is NSHB.
        optimizer: "nshb" or "shb".

    Raises:
        ValueError: if a value is out of its range, or the schedules have different lengths.

    >>> Hyperparameters([0.1, 0.2], 0.9, 8).first(1).lr
    array([0.1])
    """

    lr: ArrayLike
    momentum: float
    batch_size: ArrayLike = 1.0
    steps: int | None = field(default=None, kw_only=True)
    nu: float = field(default=1.0, kw_only=True)
    optimizer: str = field(default="nshb", kw_only=True)

    def __post_init__(self) -> None:
        checked = {
            "momentum": momentum_value(self.momentum),
            "nu": nu_value(self.nu, self.optimizer),
            "lr": sequence("lr", self.lr, positive=False),
            "batch_size": sequence("batch_size", self.batch_size, positive=True),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.steps is not None or np.ndim(self.lr) or np.ndim(self.batch_size):
            self.arrays()

    def arrays(self, steps: int | None = None) -> tuple[Array, Array]:
        """The lr and the batch size of every step, (T,); ``steps`` is T where nothing else says."""
        one = not (np.ndim(self.lr) or np.ndim(self.batch_size)) and self.steps is None
        lr, sizes = np.asarray(self.lr), np.asarray(self.batch_size)
        lr, sizes = broadcast(steps if one else self.steps, lr=lr, batch_size=sizes)
        return lr, sizes

    def first(self, steps: int) -> Hyperparameters:
        """The first steps alone."""
        lr, sizes = (values[: whole("steps", steps)] for values in self.arrays(steps))
        return replace(self, lr=lr, batch_size=sizes, steps=None)


@dataclass(frozen=True)
class Setting:
    """Hyperparameters in NSHB's form, one value a step, with the constants of the loss."""

    lr: Array
    batch_size: Array
    momentum: float
    nu: float
    unit: float
    smoothness: float
    variance: float
    initial_gap: float

    @property
    def noise(self) -> Array:
        """Variance bound sigma^2/b_t of every step's mini-batch gradient."""
        return self.variance / self.batch_size


def setting(
    hyperparameters: Hyperparameters,
    constants: Constants,
    *,
    qhm: bool = False,
    steps: int | None = None,
) -> Setting:
    """Join hyperparameters and constants; convert SHB's lr to NSHB's.

    Args:
        hyperparameters: of the run.
        constants: of the loss.
        qhm: whether the theorem covers QHM, any nu.
        steps: T where the hyperparameters do not say.
    """
    h, c = hyperparameters, constants
    for name, value, kind in (("hyperparameters", h, Hyperparameters), ("constants", c, Constants)):
        if not isinstance(value, kind):
            raise ValueError(f"{name} must be theory.{kind.__name__}(...), got {value!r}")
    if h.nu != 1 and not qhm:
        raise ValueError(f"nu must be 1 in this theorem, got {h.nu!r}: T1 and T2 cover QHM")
    lr, sizes = h.arrays(steps)
    unit = lr_unit(h.momentum, h.optimizer)
    constants_ = (c.smoothness, c.variance, c.initial_gap)
    return Setting(lr / unit, sizes, h.momentum, h.nu, unit, *constants_)


def for_condition(
    hyperparameters: Hyperparameters, smoothness: float, *, qhm: bool = False, steps: int = 1
) -> Setting:
    """What a condition is judged on: constant schedules are judged over ``steps`` steps."""
    return setting(hyperparameters, Constants(smoothness, 0.0, 0.0), qhm=qhm, steps=steps)
