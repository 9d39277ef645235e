"""Criteria for runs at hand, as a chapter trains them: seed against seed.

They are those of :mod:`sgdm_lib.study.criteria.criteria` and
:mod:`sgdm_lib.study.criteria.course`, for runs instead of a source of curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgdm_lib.checks import number
from sgdm_lib.engine.records import Run
from sgdm_lib.study.criteria.course import has_floor
from sgdm_lib.study.criteria.curves import level
from sgdm_lib.study.criteria.gates import compare
from sgdm_lib.study.criteria.runs import of_runs
from sgdm_lib.study.criteria.verdict import Verdict, no_data


def final_level(run: Run, quantity: str = "full_gradient_norm") -> float:
    """Where a run ends: the median of its last quarter of measurements.

    It is :func:`sgdm_lib.study.criteria.level` of one run.

    Args:
        run: a run; NaN rows (not measured) do not count.
        quantity: a column of the history, or "test_error".

    Raises:
        ValueError: if the quantity is unknown or was not measured.
    """
    curve = of_runs([run], quantity)
    if curve is None:
        raise ValueError(f"{quantity} must have been measured, got no value: see estimators")
    return level(curve.values[0])


def goes_below(
    claim: str,
    runs: Sequence[Run],
    baseline: Sequence[Run],
    *,
    factor: float = 1.0,
    quantity: str = "full_gradient_norm",
) -> Verdict:
    """Judge whether runs end lower than a baseline, seed by seed.

    The judged value is the level of the run / the level of the baseline with the same seed.

    Args:
        claim: the claim in words.
        runs: one run a seed.
        baseline: one run a seed; seeds that only one side has are left out.
        factor: the ratio to stay below, > 0; 1 asks for lower, 0.5 for half.
        quantity: a positive column of the history, or "test_error".

    Returns:
        The verdict; "no data" if there are no runs.

    Raises:
        ValueError: if the quantity is unknown or the factor not positive.
    """
    factor = number("factor", factor, above=0)
    ours, theirs = of_runs(runs, quantity), of_runs(baseline, quantity)
    criterion = f"{_words(quantity)}, run / baseline of the same seed, below {factor:g}"
    if ours is None or theirs is None:
        return replace(no_data(criterion), claim=claim)
    criterion = criterion.replace(",", f", {ours.level_words},", 1)
    return replace(compare(ours, theirs, factor, criterion=criterion), claim=claim)


def stalls(
    claim: str,
    runs: Sequence[Run],
    *,
    factor: float = 0.5,
    quantity: str = "full_gradient_norm",
) -> Verdict:
    """Judge whether a quantity has fallen and then stopped falling: a floor.

    As :func:`sgdm_lib.study.criteria.levels_off`, with ``factor`` for its ``left``.

    Args:
        claim: the claim in words.
        runs: one run a seed.
        factor: how much of the earlier level must be left, > 0.
        quantity: a positive column of the history.

    Returns:
        The verdict; "no data" if there are no runs.

    Raises:
        ValueError: if the quantity is unknown or the factor not positive.
    """
    curve = of_runs(runs, quantity)
    if curve is None:
        return replace(no_data(_words(quantity)), claim=claim)
    return replace(has_floor(curve, _words(quantity), factor), claim=claim)


def _words(quantity: str) -> str:
    return quantity.replace("_", " ")
