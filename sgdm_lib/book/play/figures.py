"""The two figures of the theory chapters, and their first states drawn by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib import theory
from sgdm_lib.book.play.widget import Choice, Slider, Widget
from sgdm_lib.plots import lines
from sgdm_lib.theory import Constants, Hyperparameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 2000  # as in schedule.js
PATH_STEPS = 100  # as in momentum.js


def momentum_on_quadratic() -> Widget:
    """Momentum on ``f(x) = (x_1^2 + x_2^2/kappa)/2`` without noise, from (1, 1).

    The reader sets optimizer, lr, momentum, condition number kappa and QHM's weight, and sees the
    path, the loss and `theory.spectral_radius`, `theory.stability_limit`.

    >>> widget = momentum_on_quadratic()
    >>> [control.name for control in widget.controls]
    ['optimizer', 'lr', 'momentum', 'condition', 'nu']
    """
    return Widget(
        title="Momentum on a quadratic",
        controls=[
            Choice("optimizer", "optimizer", ["NSHB", "SHB", "QHM"]),
            Slider("lr", "learning rate", 0.01, 100, 1.0, 0.02, scale="log"),
            Slider("momentum", "momentum β", 0, 0.99, 0.9, 0.01),
            Slider("condition", "condition number κ", 1, 1000, 10, 0.1, scale="log"),
            Slider("nu", "QHM's weight ν", 0, 1, 0.7, 0.05),
        ],
        panels=["plane", "curve"],
        numbers={
            "verdict": "behaviour",
            "effective": "effective step η (as NSHB)",
            "limit": "learning rate must stay below",
            "radius_steep": "error kept per step, steep direction",
            "radius_flat": "error kept per step, flat direction",
            "remaining": f"f after {PATH_STEPS} steps, relative",
        },
        script="momentum.js",
        picture=_momentum_picture,
        description="Loss of NSHB with learning rate 1 and momentum 0.9 on a quadratic against "
        "steps: it falls in waves along a straight line on a logarithmic axis.",
    )


def _momentum_picture() -> Figure:
    path = theory.quadratic_path([1.0, 0.1], [1.0, 1.0], 1.0, 0.9, steps=PATH_STEPS)
    values = (path**2 @ [1.0, 0.1]) / 1.1
    radius = theory.spectral_radius([1.0, 0.1], 1.0, 0.9).max()
    steps = np.arange(PATH_STEPS + 1)
    curves = {
        "NSHB, lr 1, momentum 0.9, condition number 10": (steps, values),
        "rate of the slower direction": (steps, radius ** (2 * steps)),
    }
    return lines(curves, "steps", "f relative to the start", log="y")


def schedule_to_bound() -> Widget:
    """What T2, T3 and T3Q guarantee about a schedule of 2,000 NSHB steps at L = 1, Delta = 1.

    The reader sets the shape and size of learning rate and batch size, momentum and variance, and
    sees both and the bounds of `theory.guarantees`, or why a theorem does not apply.

    >>> [control.name for control in schedule_to_bound().controls][:3]
    ['lr_shape', 'lr', 'lr_growth']
    """
    return Widget(
        title="From a schedule to its bound",
        controls=[
            Choice(
                "lr_shape",
                "learning rate",
                ["constant", "cosine", "linear decay", "1/sqrt(t)", "stages"],
            ),
            Slider("lr", "its first value", 0.001, 3, 0.03, 0.02, scale="log"),
            Slider("lr_growth", "factor per stage γ", 0.5, 1.6, 1.2, 0.01),
            Choice("batch_shape", "batch size", ["constant", "stages", "linear growth"]),
            Slider("batch", "its first value", 1, 1024, 8, 1, scale="log2"),
            Slider("batch_growth", "factor per stage δ", 1, 4, 2, 0.05),
            Slider("momentum", "momentum β", 0, 0.99, 0.9, 0.01),
            Slider("variance", "variance σ²", 0.01, 100, 1, 0.1, scale="log"),
        ],
        panels=["inputs", "bounds"],
        numbers={
            "T2": "T2 after 2,000 steps (solid)",
            "T3": "T3 (dashed)",
            "T3Q": "T3Q (dotted)",
            "sfo": "per-sample gradients",
        },
        script="schedule.js",
        picture=_schedule_picture,
        description="Bounds T2, T3 and T3Q against steps for a constant learning rate 0.03 and a "
        "constant batch size 8.",
    )


def _schedule_picture() -> Figure:
    found = theory.guarantees(Hyperparameters(0.03, 0.9, 8, steps=STEPS), Constants(1, 1, 1))
    steps = np.arange(1, STEPS + 1)
    bounds = {
        name: (steps[9:], answer.bound[9:])
        for name, answer in found.items()
        if answer.bound is not None
    }
    return lines(bounds, "steps T", "bound at lr 0.03, batch size 8", log="xy")
