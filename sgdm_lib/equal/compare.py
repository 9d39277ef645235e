"""Who is ahead when both have spent the same: levels, their ratios, a table and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.checks import choice, number
from sgdm_lib.claims import Verdict
from sgdm_lib.equal.efforts import effort, words
from sgdm_lib.figures.style import escaped
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
WINDOW = 0.1  # a level is the mean over the last tenth of the effort spent


def level_at(run: Run, quantity: str, of: str | float, at: float) -> float:
    """A quantity when that much effort is spent: its mean over the last tenth of the effort.

    Over the measurements made after 0.9 ``at`` and up to ``at``; if there are none, the last one
    before.

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
    spent, measured = effort(run, of), values.notna().to_numpy()
    known = measured & (spent <= at * (1 + 1e-9))
    if not known.any():
        return float("nan")
    late = known & (spent > (1 - WINDOW) * at)
    return float(values[late].mean() if late.any() else values[known].iloc[-1])


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
    # a narrow cell is broken before its brackets, nowhere else
    shown = escaped(table, lambda words: words.replace(" ", "\u00a0", words.count("×")))
    shown = shown.set_caption(escape(caption)).set_properties(**{"text-align": "left"})
    return shown.apply_index(lambda names: ["text-align: left"] * len(names), axis="columns")


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

    The judged value is :func:`advantage`. *Reproduced* if it is below ``factor`` for every seed,
    *partly* if only its geometric mean is. Seeds that only one side has are left out.

    Args:
        claim: the claim in words.
        runs: one run a seed.
        baseline: one run a seed.
        of: the effort, as for :func:`effort`.
        quantity: as for :func:`level_at`.
        factor: the ratio to stay below, > 0.

    Returns:
        The verdict; "not yet run" without matching runs.

    Raises:
        ValueError: if the factor is not positive, or one side had not been measured by then.
    """
    factor = number("factor", factor, above=0)
    criterion = (
        f"the {LOWER_IS_BETTER[choice('quantity', quantity, LOWER_IS_BETTER)]} divided by the "
        f"baseline's of the same seed when both have spent the same {words(of)} (the longer run "
        f"cut off), mean over the last tenth, below {factor:g} for every seed (partly: on average)"
    )
    ours, theirs = _matching(runs, baseline)
    if not ours:
        return Verdict(claim, "not yet run", "No runs so far.", criterion)
    ratios = advantage(ours, theirs, quantity, of)
    if np.isnan(ratios).any():
        raise ValueError(
            f"{quantity} must have been measured when the shorter run ends, got no value by then "
            f"({words(of)}): measure more often (gradient_norm_every)"
        )
    outcome = "not reproduced"
    if _mean(ratios) < factor:
        outcome = "reproduced" if max(ratios) < factor else "partly reproduced"
    many = f", from {min(ratios):.3g} to {max(ratios):.3g} over {len(ratios)} seeds"
    evidence = f"Ratio {_mean(ratios):.3g}{many if len(ratios) > 1 else ' (1 seed)'}."
    return Verdict(claim, outcome, evidence, criterion, ratios)


def _mean(ratios: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))
