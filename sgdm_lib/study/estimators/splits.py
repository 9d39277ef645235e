"""Falls of the gradient norm, split into estimator and weights, and the verdict on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.checks import number
from sgdm_lib.engine.records import Run
from sgdm_lib.study.criteria import Verdict, judge, no_data
from sgdm_lib.study.estimators.decomposition import (
    Drop,
    chain,
    decompose_by_reference,
    decompose_drop,
)

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class StageChange:
    """One growth of the batch size, and the split of what the gradient norm did from then on.

    Attributes:
        epoch: the last epoch with the old batch size, from 1.
        old: batch size up to there.
        new: batch size from there on.
        drop: the estimate at the end of the new stage, by the new estimator, against the one at
            the end of the old stage, by the old estimator; split.
    """

    epoch: int
    old: int
    new: int
    drop: Drop


def split(
    table: DataFrame, *, weights: str = "authors", augmented: bool = False
) -> list[StageChange]:
    """Split the fall of the norm from the end of each stage to the end of the next.

    Every estimate is the geometric mean over its shuffles.

    Args:
        table: as :func:`sgdm_lib.study.estimators.stage_estimates` makes it.
        weights: which of the estimates.
        augmented: which of the estimates.

    Returns:
        The changes, in order.

    Raises:
        ValueError: if there are no such estimates.
    """
    chosen = table[(table.weights == weights) & (table.augmented == augmented)]
    if chosen.empty:
        raise ValueError(
            f"the table must hold estimates with weights = {weights!r} and augmented = "
            f"{augmented}, got none: read them with stage_estimates"
        )
    logs = np.log(chosen.norm).groupby([chosen.epoch, chosen.batch_size, chosen.estimator]).mean()
    norm = {key: math.exp(value) for key, value in logs.items()}
    ends = sorted({key[:2] for key in norm})
    return [
        StageChange(
            int(before[0]),
            int(before[1]),
            int(after[1]),
            decompose_drop(
                *(
                    norm[(*end, estimator)]
                    for end in (before, after)
                    for estimator in (before[1], after[1])
                )
            ),
        )
        for before, after in pairwise(ends)
    ]


def split_record(run: Run) -> list[StageChange]:
    """Split a record's falls from stage to stage, with its exact norm as the fixed estimator.

    Each stage is represented by its last measured epoch. What is booked as the estimator's is the
    change of the ratio authors'/exact, which the weights can change, too.

    Args:
        run: a run with both estimators measured.

    Returns:
        The changes; none for a constant batch size, or if one of the estimators is missing.
    """
    both = ["full_gradient_norm", "full_gradient_norm_authors"]
    measured = run.history.dropna(subset=both)
    ends = measured[measured.batch_size != measured.batch_size.shift(-1)]
    return [
        StageChange(
            int(old.epoch),
            int(old.batch_size),
            int(new.batch_size),
            decompose_by_reference(
                *(row[column] for column in reversed(both) for row in (old, new))
            ),
        )
        for (_, old), (_, new) in pairwise(ends.iterrows())
    ]


def mostly_weights(
    claim: str, groups: Sequence[Sequence[StageChange]], *, share: float = 0.5
) -> Verdict:
    """Judge whether most of the fall over a run's changes is in the weights, not in the estimator.

    The judged value is the estimator's share of the fall, log(estimator) / log(total), over all
    changes of a run together, one a seed. A run whose norm has not fallen counts as the worst
    possible.

    Args:
        claim: the claim in words.
        groups: for each seed the run's changes.
        share: the share that the estimator must stay below, in (0, 1).

    Returns:
        The verdict; "no data" without runs.

    Raises:
        ValueError: if ``share`` lies outside its range.
    """
    share = number("share", share, above=0, below=1)
    criterion = (
        "the estimator's share of the fall, log(estimator factor) / log(total factor) over "
        f"all changes of the batch size, below {share:g}"
    )
    wholes = [chain(change.drop for change in group) for group in groups if group]
    if not wholes:
        return replace(no_data(criterion), claim=claim)
    found = judge(
        [whole.estimator_share if whole.total < 1 else math.inf for whole in wholes],
        share,
        scale="difference",
        criterion=criterion,
        form="the estimator's share is {:.0%}",
    )
    total, estimator, weights = (
        float(np.exp(np.mean([math.log(getattr(d, part)) for d in wholes])))
        for part in ("total", "estimator", "weights")
    )
    said = (
        f"The estimate is multiplied by {total:.3g} = {estimator:.3g} (estimator) x {weights:.3g} "
        f"(weights); {found.evidence}"
    )
    return replace(found, claim=claim, evidence=said)
