"""Numbers of single runs: those behind the paper's tables, and two records with a common start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sgdm_lib.engine.records import Run
from sgdm_lib.study import papers

RUNS = ("first", "middle", "last")
SHARED = ("until", "lowest", "lowest_epoch", "seconds_low", "seconds_high")
"""What :func:`shared_start` gives."""


def counts(sfo: pd.DataFrame) -> dict[str, Any]:
    """What the decoded numbers of the paper's tables have in common.

    Args:
        sfo: as :func:`sgdm_lib.study.claims.tables.sfo_table` gives it.

    Returns:
        ``rows``; ``growing``: those with a growing batch size; ``after_growth``: those of them
        reached in the first epoch after a growth, and ``after_growth_epochs``, in words;
        ``shown``: rows whose schedule the figures show; of these ``as_mean`` agree with the mean
        of the three runs and ``as_one`` with one of the runs.
    """
    growing, shown = sfo[sfo["run"].str.contains("x2")], sfo[sfo["mean"].notna()]
    early = growing[growing["after_growth"]]["epoch"].unique()
    as_one = shown[[*RUNS]].eq(shown["epoch"], axis=0).any(axis=1)
    return {
        "rows": len(sfo),
        "growing": len(growing),
        "after_growth": int(growing["after_growth"].sum()),
        "after_growth_epochs": ", ".join(map(str, sorted(early))),
        "shown": len(shown),
        "as_mean": int((shown["epoch"] == shown["mean"]).sum()),
        "as_one": int(as_one.sum()),
    }


def with_other_baseline(
    sfo: pd.DataFrame, run: str, baseline: str, threshold: float
) -> dict[str, float]:
    """The ratio of two printed SFO, and what it is with another of the three runs as baseline.

    Args:
        sfo: as :func:`sgdm_lib.study.claims.tables.sfo_table` gives it.
        run: the numerator, a run of the tables.
        baseline: the denominator, whose schedule the figures show.
        threshold: the gradient norm that both reach.

    Returns:
        ``printed``, ``mean`` and ``first``: SFO of the run / of the baseline, for the printed
        baseline, for the mean of the three runs and for the first that gets there; and the epochs
        of the baseline, ``printed_epoch``, ``mean_epoch``, ``first_epoch``.

    Raises:
        KeyError: if the tables have no such run.
    """
    rows = sfo.set_index(["run", "threshold"])
    fixed, spent = rows.loc[(baseline, threshold)], rows.loc[(run, threshold)]["sfo"]
    plan = papers.catalogue()[f"kamo2025/sfo/{baseline}"].plan()
    cost = np.cumsum(plan.steps * plan.batch_sizes)
    found: dict[str, float] = {}
    for word, column in (("printed", "epoch"), ("mean", "mean"), ("first", "first")):
        found[f"{word}_epoch"] = int(fixed[column])
        found[word] = float(spent / cost[fixed[column] - 1])
    return found


def shared_start(
    runs: Sequence[Run], others: Sequence[Run], quantity: str = "full_gradient_norm_authors"
) -> dict[str, float | None]:
    """How long two records are the same, and where the first of them is lowest.

    Args:
        runs: records of an experiment; the first is looked at.
        others: records of another one; the first is looked at.
        quantity: a column of the history.

    Returns:
        ``until``: the last epoch up to which all measurements of the two are equal (0: none is);
        ``lowest`` and ``lowest_epoch``: the smallest measurement of the first, and when;
        ``seconds_low`` and ``seconds_high``: the time that the faster and the slower of the two
        took until then. None each if there is no record of one of them.
    """
    if not runs or not others:
        return dict.fromkeys(SHARED)
    ours, theirs = (group[0].history for group in (runs, others))
    both = pd.DataFrame({"ours": ours[quantity], "theirs": theirs[quantity]}).dropna()
    same = (both["ours"] == both["theirs"]).cummin()
    best = int(ours[quantity].idxmin())
    seconds = sorted(float(history["seconds"][: best + 1].sum()) for history in (ours, theirs))
    until = int(same[same].index[-1]) + 1 if same.any() else 0
    numbers = (until, float(ours[quantity].min()), best + 1, *seconds)
    return dict(zip(SHARED, numbers, strict=True))
