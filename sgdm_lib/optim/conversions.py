"""Conversions of hyperparameters from one momentum convention to another."""

from __future__ import annotations

from sgdm_lib.optim.base import check_hyperparameter


def shb_to_nshb_lr(lr: float, momentum: float) -> float:
    """Return the learning rate with which NSHB moves as SHB does: eta = alpha / (1 - momentum).

    The conversion is exact for a fixed momentum and any sequence of learning rates. Source: Kamo &
    Iiduka 2025, section 2.2.

    Args:
        lr: SHB's learning rate alpha, >= 0.
        momentum: beta, in [0, 1).

    Raises:
        ValueError: if an argument is out of range.

    >>> round(shb_to_nshb_lr(0.1, 0.9), 12)
    1.0
    """
    check_hyperparameter("lr", lr)
    check_hyperparameter("momentum", momentum)
    return lr / (1 - momentum)


def nshb_to_shb_lr(lr: float, momentum: float) -> float:
    """Return the learning rate with which SHB moves as NSHB does: alpha = eta * (1 - momentum).

    Args:
        lr: NSHB's learning rate eta, >= 0.
        momentum: beta, in [0, 1).

    Raises:
        ValueError: if an argument is out of range.

    >>> round(nshb_to_shb_lr(0.1, 0.9), 12)
    0.01
    """
    check_hyperparameter("lr", lr)
    check_hyperparameter("momentum", momentum)
    return lr * (1 - momentum)


def nesterov_to_qhm(lr: float, momentum: float) -> dict[str, float]:
    """Return QHM's hyperparameters for ``torch.optim.SGD(lr, momentum, nesterov=True)``.

    Nesterov's step g + momentum * (momentum * m + g), with SHB's sum m, is QHM with nu = momentum
    and lr / (1 - momentum). Source: Ma & Yarats 2019, section 4.1.

    Args:
        lr: learning rate of torch's SGD, >= 0.
        momentum: beta, in [0, 1).

    Returns:
        Keyword arguments for :class:`QHM`.

    Raises:
        ValueError: if an argument is out of range.

    >>> nesterov_to_qhm(0.01, 0.5)
    {'lr': 0.02, 'momentum': 0.5, 'nu': 0.5}
    """
    return {"lr": shb_to_nshb_lr(lr, momentum), "momentum": momentum, "nu": momentum}
