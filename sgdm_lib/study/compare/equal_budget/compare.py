"""Who is ahead when both have spent the same: levels, their ratios, a table and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.checks import choice, number
from sgdm_lib.engine.records import Run
from sgdm_lib.plots.style import escaped
from sgdm_lib.study.compare.equal_budget.budgets import budget, words
from sgdm_lib.study.criteria import Verdict, no_data
from sgdm_lib.study.criteria.curves import MEASUREMENTS, Array
from sgdm_lib.study.criteria.gates import compare
from sgdm_lib.study.evidence import of_runs

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

LOWER_IS_BETTER = {
    "full_gradient_norm": "full gradient norm",
    "full_gradient_norm_authors": "gradient norm, authors' estimator",
    "train_loss": "training loss",
    "test_loss": "test loss",
    "test_error": "test error",
}


def level_at(run: Run, quantity: str, of: str | float, at: float, part: float = 0.25) -> float:
    """A quantity when that much budget is spent: the median over the last part of that budget.

    Over the measurements made after ``(1 - part) at`` and up to ``at``; if there are none, the last
    one before.

    Args:
        run: the run.
        quantity: a key of :data:`LOWER_IS_BETTER`; "test_error" is 1 - test accuracy.
        of: the budget, as for :func:`budget`.
        at: how much of it, > 0.
        part: which part of the budget counts, in (0, 1].

    Returns:
        The level; NaN if nothing had been measured by then.

    Raises:
        ValueError: if the quantity is unknown, or ``at`` or ``part`` are out of range.
    """
    at, part = number("budget", at, above=0), number("part", part, above=0, at_most=1)
    values, spent = _readings(run, quantity, of, at)
    late = values[spent > (1 - part) * at]
    return float(np.median(late) if late.size else values[-1] if values.size else np.nan)


def _readings(run: Run, quantity: str, of: str | float, at: float) -> tuple[Array, Array]:
    """What was measured until then, and the budget spent by each measurement."""
    choice("quantity", quantity, LOWER_IS_BETTER)
    history = run.history
    values = 1 - history["test_accuracy"] if quantity == "test_error" else history[quantity]
    spent = budget(run, of)
    known = values.notna().to_numpy() & (spent <= at * (1 + 1e-9))
    return values.to_numpy(dtype=float)[known], spent[known]


def advantage(
    runs: Sequence[Run], baseline: Sequence[Run], quantity: str, of: str | float
) -> tuple[float, ...]:
    """The runs' level / the baseline's when both have spent the same, one ratio a seed.

    The budget is what the one that spends less has spent at its end: the other is cut off there.
    Both levels are medians over the same part of it: the last quarter, or the last half if one of
    the two has fewer than 8 measurements in the last quarter.

    Args:
        runs: one run a seed.
        baseline: as many, with the same seeds.
        quantity: as for :func:`level_at`.
        of: as for :func:`budget`.

    Returns:
        The ratios; below 1 the runs are ahead; NaN if one side had not been measured by then.

    Raises:
        ValueError: if the seeds do not match.
    """
    seeds = [run.experiment.seed for run in runs]
    if seeds != [run.experiment.seed for run in baseline]:
        raise ValueError(
            f"the baseline must have the seeds {seeds}, got "
            f"{[run.experiment.seed for run in baseline]}: pass matching runs"
        )
    pairs = zip(runs, baseline, strict=True)
    return tuple(a / b for a, b in (_levels(*pair, quantity, of) for pair in pairs))


def _levels(ours: Run, theirs: Run, quantity: str, of: str | float) -> tuple[float, float]:
    """Both levels at equal budget, over the same part of it."""
    at = min(budget(ours, of)[-1], budget(theirs, of)[-1])
    fewest = min(
        int((_readings(run, quantity, of, at)[1] > 0.75 * at).sum()) for run in (ours, theirs)
    )
    part = 0.25 if fewest >= MEASUREMENTS else 0.5
    first, second = (level_at(run, quantity, of, at, part) for run in (ours, theirs))
    return first, second


def winners(
    runs: Mapping[str, Sequence[Run]],
    rivals: Mapping[str, Sequence[Run]],
    budgets: Mapping[str, str | float],
    quantity: str = "full_gradient_norm",
) -> Styler:
    """A table: who is ahead at equal what, by which factor, and in how many seeds.

    "Not yet run" where runs are missing, "too early to say" where nothing was measured by then.

    Args:
        runs: one schedule and its runs.
        rivals: the others, one row each.
        budgets: what is equal, one column each: a label and a budget as for :func:`budget`.
        quantity: as for :func:`level_at`.

    Raises:
        ValueError: if there is not exactly one schedule in ``runs``.
    """
    import pandas

    if len(runs) != 1:
        raise ValueError(f"runs must hold one schedule, got {len(runs)}: put the others in rivals")
    ((name, ours),) = runs.items()
    rows = {
        rival: {label: _cell(*matching(ours, group), quantity, of) for label, of in budgets.items()}
        for rival, group in rivals.items()
    }
    table = pandas.DataFrame.from_dict(rows, orient="index").rename_axis(columns="at equal")
    caption = f"{name} against others: who has the lower {LOWER_IS_BETTER[quantity]}"
    # a narrow cell is broken before its brackets, nowhere else
    shown = escaped(table, lambda words: words.replace(" ", "\u00a0", words.count("×")))
    shown = shown.set_caption(escape(caption)).set_properties(**{"text-align": "left"})
    return shown.apply_index(lambda names: ["text-align: left"] * len(names), axis="columns")


def matching(a: Sequence[Run], b: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs with seeds that both sides have, in the same order."""
    by_seed = [{run.experiment.seed: run for run in group} for group in (a, b)]
    seeds = sorted(by_seed[0].keys() & by_seed[1].keys())
    return [by_seed[0][s] for s in seeds], [by_seed[1][s] for s in seeds]


def _cell(ours: list[Run], theirs: list[Run], quantity: str, of: str | float) -> str:
    if not ours:
        return "not yet run"
    ratios = advantage(ours, theirs, quantity, of)
    mean = geometric_mean(ratios)
    if np.isnan(mean):
        return "too early to say"
    alike = sum((ratio < 1) == (mean < 1) for ratio in ratios)
    word = "ahead" if mean < 1 else "behind"
    return f"{word} {max(mean, 1 / mean):.3g}× ({alike}/{len(ratios)})"


def ends_lower_at_equal(
    claim: str,
    runs: Sequence[Run],
    baseline: Sequence[Run],
    of: str | float,
    *,
    quantity: str = "full_gradient_norm",
    factor: float = 1.0,
) -> Verdict:
    """Judge whether runs are below a baseline when both have spent the same budget.

    The judged value is the level of the run / that of the baseline of the same seed, both cut off
    where the one that spends less ends. Seeds that only one side has are left out.

    Args:
        claim: the claim in words.
        runs: one run a seed.
        baseline: one run a seed.
        of: the budget, as for :func:`budget`.
        quantity: as for :func:`level_at`.
        factor: the ratio to stay below, > 0.

    Returns:
        The verdict; "no data" without matching runs, or if one side had not been measured by then.

    Raises:
        ValueError: if the quantity is unknown or the factor not positive.
    """
    factor = number("factor", factor, above=0)
    what = LOWER_IS_BETTER[choice("quantity", quantity, LOWER_IS_BETTER)]
    criterion = (
        f"{what} when both have spent the same {words(of)} (the longer run cut off), median over "
        "the last quarter of that budget (half, if it holds fewer than 8 measurements), "
        f"run / baseline of the same seed, below {factor:g}"
    )
    ours, theirs = matching(runs, baseline)
    if not ours:
        return replace(no_data(criterion), claim=claim)
    pairs = list(zip(ours, theirs, strict=True))
    levels = np.array([_levels(*pair, quantity, of) for pair in pairs]).T
    cut = [_cut(*pair, of) for pair in pairs]
    first, second = (of_runs(group, quantity) for group in zip(*cut, strict=True))
    if first is None or second is None or np.isnan(levels).any():
        why = f"The {quantity.replace('_', ' ')} was not measured before the shorter run ends"
        return replace(no_data(criterion, why), claim=claim)
    failed = ~np.isfinite([first.levels, second.levels])  # diverged, or stuck at chance
    numbers = np.where(failed, np.inf, levels)
    found = compare(first, second, factor, criterion=criterion, numbers=(numbers[0], numbers[1]))
    return replace(found, claim=claim)


def _cut(a: Run, b: Run, of: str | float) -> tuple[Run, Run]:
    """Two runs, each up to what the one that spends less has spent at its end."""
    at = min(budget(a, of)[-1], budget(b, of)[-1]) * (1 + 1e-9)
    first, second = (replace(r, history=r.history[budget(r, of) <= at]) for r in (a, b))
    return first, second


def geometric_mean(ratios: Sequence[float]) -> float:
    """The geometric mean of ratios."""
    return float(np.exp(np.mean(np.log(ratios))))
