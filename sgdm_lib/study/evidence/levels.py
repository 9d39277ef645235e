"""Where several runs of one source end: their levels, their order, and how orders agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sgdm_lib.checks import choice
from sgdm_lib.study.criteria.curves import QUANTITIES, Curve, Evidence

SHORT_NAMES = {
    "gradient_norm": "authors",
    "exact_gradient_norm": "exact",
    "empirical_loss": "loss",
    "test_accuracy": "accuracy",
}
"""Short names of the quantities, for the names of numbers on a page."""


def curves(source: Evidence, runs: Mapping[str, str], quantity: str) -> dict[str, Curve]:
    """The curves of several runs, by label; runs without a curve are left out.

    Args:
        source: where the curves come from.
        runs: short names of runs by label.
        quantity: a key of :data:`QUANTITIES`.

    Raises:
        ValueError: if the quantity is unknown.
    """
    choice("quantity", quantity, QUANTITIES)
    found = {label: source.curve(run, quantity) for label, run in runs.items()}
    return {label: curve for label, curve in found.items() if curve is not None}


def ends(source: Evidence, runs: Mapping[str, str], quantity: str) -> dict[str, float | None]:
    """Where runs end, by label: the mean of their levels over the seeds; None without a curve.

    Args:
        source: as for :func:`curves`.
        runs: as for :func:`curves`.
        quantity: as for :func:`curves`.
    """
    known = {label: c.last()[0] for label, c in curves(source, runs, quantity).items()}
    return {label: known.get(label) for label in runs}


def ranking(source: Evidence, runs: Mapping[str, str], quantity: str) -> list[str]:
    """The labels of runs by where they end, the best first; runs without a curve are left out.

    Args:
        source: as for :func:`curves`.
        runs: as for :func:`curves`.
        quantity: as for :func:`curves`; of an accuracy the largest is the best.
    """
    known = {k: v for k, v in ends(source, runs, quantity).items() if v is not None}
    return sorted(known, key=lambda label: known[label], reverse=quantity == "test_accuracy")


def rank_correlations(
    source: Evidence, runs: Mapping[str, str], quantities: Sequence[str], other: str
) -> dict[str, float | None]:
    """Spearman's rank correlation of where runs end in some quantities and in another one.

    Args:
        source: as for :func:`curves`.
        runs: as for :func:`curves`.
        quantities: keys of :data:`QUANTITIES`.
        other: the quantity to correlate each of them with.

    Returns:
        By :data:`SHORT_NAMES`; -1 is the reverse order, None if fewer than two runs have both.
    """
    import pandas

    names = (*quantities, other)
    table = pandas.DataFrame({name: ends(source, runs, name) for name in names}, dtype=float)
    found = table.rank().corr()[other]
    return {
        SHORT_NAMES[name]: None if pandas.isna(found[name]) else float(found[name])
        for name in quantities
    }
