"""Criteria for runs at hand, as a chapter trains them: seed against seed.

A verdict is computed from runs, never typed. Each criterion is a function, with its limit in its
signature, so that a reader can look it up, disagree, and run it with another limit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgdm_lib.checks import number
from sgdm_lib.claims.verdict import Verdict
from sgdm_lib.records import Run


def final_level(run: Run, quantity: str = "full_gradient_norm", last: float = 0.1) -> float:
    """Geometric mean of a quantity over the last part of a run.

    Not the last value, which fluctuates, and not the running minimum, which favours noisy runs.

    Args:
        run: a run; NaN rows (not measured) do not count.
        quantity: a positive column of the history.
        last: which part of the epochs, in (0, 1].

    Raises:
        ValueError: if ``last`` is out of range or nothing was measured there.
    """
    last = number("last", last, above=0, at_most=1)
    return _level(run, quantity, 1 - last, 1.0)


def _level(run: Run, quantity: str, begin: float, end: float) -> float:
    epochs = len(run.history)
    part = run.history[quantity].iloc[int(begin * epochs) : max(1, round(end * epochs))].dropna()
    if part.empty:
        raise ValueError(
            f"{quantity} must be measured between {begin:.0%} and {end:.0%} of the run, got no "
            "value there: measure it more often (gradient_norm_every)"
        )
    return float(np.exp(np.log(part).mean()))


def goes_below(
    claim: str,
    runs: Sequence[Run],
    baseline: Sequence[Run],
    *,
    factor: float = 1.0,
    quantity: str = "full_gradient_norm",
) -> Verdict:
    """Judge whether runs end lower than a baseline, seed by seed.

    The judged value is final level of the run / final level of the baseline with the same seed.
    *Reproduced* if it is below ``factor`` for every seed, *partly* if only its geometric mean is.

    Args:
        claim: the claim in words.
        runs: one run a seed.
        baseline: as many runs, with the same seeds.
        factor: the ratio to stay below, > 0; 1 asks for lower, 0.5 for half.
        quantity: a positive column of the history.

    Returns:
        The verdict; "not yet run" if there are no runs.

    Raises:
        ValueError: if the seeds do not match or the factor is not positive.
    """
    factor = number("factor", factor, above=0)
    criterion = (
        f"geometric mean of {_words(quantity)} over the last 10% of epochs, divided by the "
        f"baseline's of the same seed, below {factor:g} for every seed (partly: on average)"
    )
    if not runs or not baseline:
        return Verdict(claim, "not yet run", "No runs so far.", criterion)
    seeds = [run.experiment.seed for run in runs]
    if seeds != [run.experiment.seed for run in baseline]:
        raise ValueError(
            f"the baseline must have the seeds {seeds}, got "
            f"{[run.experiment.seed for run in baseline]}: pass matching runs"
        )
    pairs = zip(runs, baseline, strict=True)
    ratios = tuple(final_level(a, quantity) / final_level(b, quantity) for a, b in pairs)
    return Verdict(claim, _judge(ratios, factor), _evidence("Ratio", ratios), criterion, ratios)


def stalls(
    claim: str,
    runs: Sequence[Run],
    *,
    factor: float = 0.5,
    quantity: str = "full_gradient_norm",
) -> Verdict:
    """Judge whether a quantity has stopped falling: a floor.

    The judged value is the level in the last quarter of the run / the level in the second quarter.
    *Reproduced* if it is above ``factor`` for every seed, *partly* if only its geometric mean is. A
    run that keeps falling like 1/t would show about 0.4.

    Args:
        claim: the claim in words.
        runs: one run a seed.
        factor: how much of the earlier level must be left, > 0.
        quantity: a positive column of the history.

    Returns:
        The verdict; "not yet run" if there are no runs.

    Raises:
        ValueError: if the factor is not positive.
    """
    factor = number("factor", factor, above=0)
    criterion = (
        f"geometric mean of {_words(quantity)} over the last quarter of the epochs, divided by "
        f"that over the second quarter, above {factor:g} for every seed (partly: on average)"
    )
    if not runs:
        return Verdict(claim, "not yet run", "No runs so far.", criterion)
    left = tuple(
        _level(run, quantity, 0.75, 1.0) / _level(run, quantity, 0.25, 0.5) for run in runs
    )
    outcome = _judge([1 / value for value in left], 1 / factor)
    return Verdict(claim, outcome, _evidence("Left of the earlier level", left), criterion, left)


def _judge(values: Sequence[float], limit: float) -> str:
    if all(value < limit for value in values):
        return "reproduced"
    mean = float(np.exp(np.mean(np.log(values))))
    return "partly reproduced" if mean < limit else "not reproduced"


def _evidence(what: str, values: Sequence[float]) -> str:
    mean = float(np.exp(np.mean(np.log(values))))
    if len(values) == 1:
        return f"{what} {mean:.3g} (1 seed)."
    return (
        f"{what} {mean:.3g}, from {min(values):.3g} to {max(values):.3g} over {len(values)} seeds."
    )


def _words(quantity: str) -> str:
    return "the " + quantity.replace("_", " ")
