"""Who is ahead when both have spent the same: levels, their ratios, a table and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.checks import choice, number
from sgdm_lib.claims import Verdict, level, no_data, of_runs
from sgdm_lib.claims.gates import compare
from sgdm_lib.equal.efforts import effort, words
from sgdm_lib.records import Run

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

LOWER_IS_BETTER = {
    "full_gradient_norm": "full gradient norm",
    "full_gradient_norm_authors": "gradient norm, authors' estimator",
    "train_loss": "training loss",
    "test_loss": "test loss",
    "test_error": "test error",
}


def level_at(run: Run, quantity: str, of: str | float, at: float) -> float:
    """A quantity when that much effort is spent: :func:`sgdm_lib.claims.level` of what was read.

    Args:
        run: the run.
        quantity: a key of :data:`LOWER_IS_BETTER`; "test_error" is 1 - test accuracy.
        of: the effort, as for :func:`effort`.
        at: how much of it, > 0.

    Returns:
        The level; NaN if nothing had been measured by then.

    Raises:
        ValueError: if the quantity is unknown or ``at`` is not positive.
    """
    at = number("effort", at, above=0)
    choice("quantity", quantity, LOWER_IS_BETTER)
    history = run.history
    values = 1 - history["test_accuracy"] if quantity == "test_error" else history[quantity]
    return level(values[effort(run, of) <= at * (1 + 1e-9)])


def advantage(
    runs: Sequence[Run], baseline: Sequence[Run], quantity: str, of: str | float
) -> tuple[float, ...]:
    """The runs' level / the baseline's when both have spent the same, one ratio a seed.

    The effort is what the one that spends less has spent at its end: the other is cut off there.

    Args:
        runs: one run a seed.
        baseline: as many, with the same seeds.
        quantity: as for :func:`level_at`.
        of: as for :func:`effort`.

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
    found = []
    for ours, theirs in zip(runs, baseline, strict=True):
        at = min(effort(ours, of)[-1], effort(theirs, of)[-1])
        found.append(level_at(ours, quantity, of, at) / level_at(theirs, quantity, of, at))
    return tuple(found)


def winners(
    runs: Mapping[str, Sequence[Run]],
    rivals: Mapping[str, Sequence[Run]],
    efforts: Mapping[str, str | float],
    quantity: str = "full_gradient_norm",
) -> Styler:
    """A table: who is ahead at equal what, by which factor, and in how many seeds.

    "Not yet run" where runs are missing, "too early to say" where nothing was measured by then.

    Args:
        runs: one schedule and its runs.
        rivals: the others, one row each.
        efforts: what is equal, one column each: a label and an effort as for :func:`effort`.
        quantity: as for :func:`level_at`.

    Raises:
        ValueError: if there is not exactly one schedule in ``runs``.
    """
    import pandas

    if len(runs) != 1:
        raise ValueError(f"runs must hold one schedule, got {len(runs)}: put the others in rivals")
    ((name, ours),) = runs.items()
    rows = {
        rival: {
            label: _cell(*_matching(ours, group), quantity, of) for label, of in efforts.items()
        }
        for rival, group in rivals.items()
    }
    table = pandas.DataFrame.from_dict(rows, orient="index").rename_axis(columns="at equal")
    caption = f"{name} against others: who has the lower {LOWER_IS_BETTER[quantity]}"
    shown = table.style.set_caption(caption).set_properties(**{"text-align": "left"})
    shown = shown.apply_index(lambda names: ["text-align: left"] * len(names), axis="columns")
    # a narrow cell is broken before its brackets, nowhere else
    return shown.format(lambda words: words.replace(" ", "\u00a0", words.count("×")))


def _matching(a: Sequence[Run], b: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs with seeds that both have, in the same order."""
    by_seed = [{run.experiment.seed: run for run in group} for group in (a, b)]
    seeds = sorted(by_seed[0].keys() & by_seed[1].keys())
    return [by_seed[0][s] for s in seeds], [by_seed[1][s] for s in seeds]


def _cell(ours: list[Run], theirs: list[Run], quantity: str, of: str | float) -> str:
    if not ours:
        return "not yet run"
    ratios = advantage(ours, theirs, quantity, of)
    mean = _mean(ratios)
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
    """Judge whether runs are below a baseline when both have spent the same effort.

    The judged value is the level of the run / that of the baseline of the same seed, both cut off
    where the one that spends less ends. Seeds that only one side has are left out.

    Args:
        claim: the claim in words.
        runs: one run a seed.
        baseline: one run a seed.
        of: the effort, as for :func:`effort`.
        quantity: as for :func:`level_at`.
        factor: the ratio to stay below, > 0.

    Returns:
        The verdict; "no data" without matching runs, or if one side had not been measured by then.

    Raises:
        ValueError: if the quantity is unknown or the factor not positive.
    """
    factor = number("factor", factor, above=0)
    criterion = (
        f"{LOWER_IS_BETTER[choice('quantity', quantity, LOWER_IS_BETTER)]} when both have spent "
        f"the same {words(of)} (the longer run cut off), median of the last readings until then, "
        f"run / baseline of the same seed, below {factor:g}"
    )
    ours, theirs = _matching(runs, baseline)
    if not ours:
        return replace(no_data(criterion), claim=claim)
    cut = [_cut(a, b, of) for a, b in zip(ours, theirs, strict=True)]
    first, second = (of_runs(group, quantity) for group in zip(*cut, strict=True))
    if first is None or second is None:
        why = f"{quantity.replace('_', ' ')} was not measured before the shorter run ends"
        return replace(no_data(criterion, why), claim=claim)
    return replace(compare(first, second, factor, criterion=criterion), claim=claim)


def _cut(a: Run, b: Run, of: str | float) -> tuple[Run, Run]:
    """Two runs, each up to what the one that spends less has spent at its end."""
    at = min(effort(a, of)[-1], effort(b, of)[-1]) * (1 + 1e-9)
    return tuple(replace(r, history=r.history[effort(r, of) <= at]) for r in (a, b))  # type: ignore[return-value]


def _mean(ratios: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))
