"""Where runs end, in numbers: what the text and the tables of the chapters say of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sgdm_lib.study.criteria.curves import Evidence

CHANGES = {
    "norm": "exact_gradient_norm",
    "loss": "empirical_loss",
    "accuracy": "test_accuracy",
}
"""Columns of :func:`end_changes` and their quantities."""


def end(source: Evidence, run: str, quantity: str) -> float | None:
    """The mean, over the seeds, of the levels at which a run ends.

    Args:
        source: where the curve comes from.
        run: short name, such as ``nshb/x2``.
        quantity: one of ``sgdm_lib.study.criteria.QUANTITIES``.

    Returns:
        The mean of :attr:`sgdm_lib.study.criteria.Curve.levels`; None if there is no such curve.
    """
    curve = source.curve(run, quantity)
    return None if curve is None else curve.last()[0]


def end_ratio(source: Evidence, run: str, baseline: str, quantity: str) -> float | None:
    """The end of a run divided by that of a baseline; None if one of the curves is missing."""
    ours, theirs = (end(source, name, quantity) for name in (run, baseline))
    return None if ours is None or theirs is None else ours / theirs


def end_changes(source: Evidence, pairs: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """How runs end in comparison with their baselines.

    Args:
        source: where the curves come from.
        pairs: for each label the short names of a run and of its baseline.

    Returns:
        One row a pair with curves of all quantities of :data:`CHANGES`, by label: ``norm`` and
        ``loss`` are ratios run / baseline, ``accuracy`` is a difference in points.
    """
    rows = {}
    for label, pair in pairs.items():
        ends = [[end(source, run, q) for run in pair] for q in CHANGES.values()]
        if not any(None in two for two in ends):
            norm, loss, accuracy = np.array(ends, dtype=float)
            rows[label] = (norm[0] / norm[1], loss[0] / loss[1], accuracy[0] - accuracy[1])
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(CHANGES), dtype=float)
