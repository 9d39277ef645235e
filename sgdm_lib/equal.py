"""Equal what? Two schedules compared at equal epochs, steps, gradients or time.

Time is modelled, not measured: ``seconds = steps x overhead + images x per_image``. Counted in
units of one image's gradient it has a single parameter, the fixed cost c of a step in images:

    cost = SFO + c x steps,   c = overhead / per_image

c = 0 is a comparison at equal SFO, and for large c one at equal steps: time lies in between.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import torch

from sgdm_lib import data, estimate, models, papers
from sgdm_lib.checks import choice, number
from sgdm_lib.claims import Verdict
from sgdm_lib.experiment import Experiment
from sgdm_lib.records import Run
from sgdm_lib.steps import make_step
from sgdm_lib.training import choose_device

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

__all__ = [
    "LOWER_IS_BETTER",
    "Missing",
    "advantage",
    "effort",
    "ends_lower_at_equal",
    "level_at",
    "missing",
    "step_cost",
    "winners",
    "with_cost",
]

LOWER_IS_BETTER = {
    "full_gradient_norm": "full gradient norm",
    "full_gradient_norm_authors": "gradient norm, authors' estimator",
    "train_loss": "training loss",
    "test_loss": "test loss",
    "test_error": "test error",
}
WINDOW = 0.1  # a level is the mean over the last tenth of the effort spent
SMALL, LARGE, REPEATS = 4, 128, 9  # batch sizes and steps that are timed
EFFORTS = {"epoch": "epochs", "step": "steps", "sfo": "SFO"}


def effort(run: Run, of: str | float) -> np.ndarray:
    """What a run has spent by the end of each epoch, float64 (epochs,).

    Args:
        run: the run.
        of: "epoch", "step", "sfo", or a number: the fixed cost c of a step in images, for the
            modelled time ``SFO + c x steps``, in images.

    Raises:
        ValueError: if ``of`` is unknown or negative.
    """
    if isinstance(of, str):
        return run.history[choice("effort", of, EFFORTS)].to_numpy(dtype=np.float64)
    cost = number("step cost", of, at_least=0)
    return (run.history["sfo"] + cost * run.history["step"]).to_numpy(dtype=np.float64)


def with_cost(run: Run, cost: float) -> Run:
    """The run with the column ``cost``: modelled time, in images, for a step cost of ``cost``."""
    return replace(run, history=run.history.assign(cost=effort(run, float(cost))))


def step_cost(experiment: Experiment, device: str = "auto") -> float:
    """The fixed cost c of a step on this machine, in images, from the shortest of several steps.

    ``c = (t(small) - small a) / a`` with ``a = (t(large) - t(small)) / (large - small)``. Other
    work on the machine makes a step slower, never faster; yet on a busy one expect a factor of two.

    Args:
        experiment: says which network, data and optimizer.
        device: as for :func:`sgdm_lib.training.fit`.
    """
    size, where = data.size(experiment.dataset), choose_device(device)
    model = models.build(experiment.model, size.shape, size.n_classes, seed=0).to(where)
    step = make_step(experiment, model)
    step.set({"lr": 1e-3} | ({"momentum": 0.9} if experiment.momentum is not None else {}))

    def fastest(batch_size: int) -> float:
        x = torch.randn(batch_size, *size.shape, device=where)
        y = torch.arange(batch_size, device=where) % size.n_classes
        times = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            step(x, y)
            float(step.loss_sum)  # wait for the device
            times.append(time.perf_counter() - begin)
        return min(times)

    fastest(SMALL)  # the first steps are slower
    small, large = fastest(SMALL), fastest(LARGE)
    per_image = max((large - small) / (LARGE - SMALL), 1e-12)
    return max(small / per_image - SMALL, 0.0)


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


def _words(of: str | float) -> str:
    return EFFORTS[of] if isinstance(of, str) else f"time at {of:.3g} images a step"


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
    return table.style.set_caption(caption)


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
        f"baseline's of the same seed when both have spent the same {_words(of)} (the longer run "
        f"cut off), mean over the last tenth, below {factor:g} for every seed (partly: on average)"
    )
    ours, theirs = _matching(runs, baseline)
    if not ours:
        return Verdict(claim, "not yet run", "No runs so far.", criterion)
    ratios = advantage(ours, theirs, quantity, of)
    if np.isnan(ratios).any():
        raise ValueError(
            f"{quantity} must have been measured when the shorter run ends, got no value by then "
            f"({_words(of)}): measure more often (gradient_norm_every)"
        )
    outcome = "not reproduced"
    if _mean(ratios) < factor:
        outcome = "reproduced" if max(ratios) < factor else "partly reproduced"
    many = f", from {min(ratios):.3g} to {max(ratios):.3g} over {len(ratios)} seeds"
    evidence = f"Ratio {_mean(ratios):.3g}{many if len(ratios) > 1 else ' (1 seed)'}."
    return Verdict(claim, outcome, evidence, criterion, ratios)


def _mean(ratios: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))


@dataclass(frozen=True)
class Missing:
    """Runs that nobody has recorded, with the command that makes them; a box in a notebook."""

    names: tuple[str, ...]
    """Names in the catalogue."""
    seconds: float
    """Estimated wall time of one seed of each on the device asked about, in turn."""
    device: str
    """Which device that is."""

    def __str__(self) -> str:
        if not self.names:
            return "All of these runs are recorded."
        return (
            f"Not yet run ({len(self.names)}): sgdm run {' '.join(self.names)} "
            f"--out chapters/records. About {estimate.duration(self.seconds)} for one seed of "
            f"each on this machine's {self.device}."
        )

    def _repr_html_(self) -> str:
        if not self.names:
            return f"<p>{escape(str(self))}</p>"
        lines = " \\\n    ".join(["sgdm run", *map(escape, self.names), "--out chapters/records"])
        time = estimate.duration(self.seconds)
        return (
            f"<p>Not yet run: {len(self.names)}. The command that records them, about {time} for "
            f"one seed of each on this machine's {escape(self.device)}:</p><pre>{lines}</pre>"
        )


def missing(
    names: Sequence[str], recorded: Sequence[Sequence[Run]], device: str = "auto"
) -> Missing:
    """Which of these runs have no record, and what it takes to make them.

    Args:
        names: names of :func:`sgdm_lib.papers.catalogue`.
        recorded: for each name its recorded runs.
        device: where they would run, as for :func:`sgdm_lib.training.fit`.

    Raises:
        ValueError: if a name is unknown.
    """
    absent = tuple(name for name, runs in zip(names, recorded, strict=True) if not runs)
    known = papers.catalogue()
    total = sum(estimate.seconds(known[choice("run", name, known)], device) for name in absent)
    return Missing(absent, total, choose_device(device).type)
