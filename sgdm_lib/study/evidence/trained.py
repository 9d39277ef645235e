"""Runs trained in a chapter, in the form that the papers' claims are judged on."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.engine.records import Run
from sgdm_lib.engine.training import fit_seeds
from sgdm_lib.study import papers
from sgdm_lib.study.criteria.curves import Curve
from sgdm_lib.study.evidence.recorded import PROTOCOLS, Recorded, of_runs


@dataclass(frozen=True)
class Trained:
    """Curves of runs at hand, so that :meth:`Claim.judge` judges them like the paper's.

    Args:
        runs: by short name, such as ``nshb/x2``, the runs of one experiment, one a seed. They need
            the authors' estimator for ``gradient_norm``; without BatchNorm it is the exact norm
            but for the weight of the short last batch.
        protocol: one of ``sgdm_lib.study.evidence.PROTOCOLS``; but for "full", absolute values
        such as
            an accuracy of 70% are not judged.

    Raises:
        ValueError: if the protocol is unknown.
    """

    runs: Mapping[str, Sequence[Run]] = field(repr=False)
    protocol: str = "quick"

    def __post_init__(self) -> None:
        choice("protocol", self.protocol, PROTOCOLS)

    @property
    def title(self) -> str:
        """The protocol in words."""
        return PROTOCOLS[self.protocol]

    @property
    def full_scale(self) -> bool:
        """Whether the protocol is the paper's own."""
        return self.protocol == "full"

    def curve(self, run: str, quantity: str) -> Curve | None:
        """The curve; None if there is no such run, or it measured nothing of the kind."""
        return of_runs(self.runs.get(run, ()), quantity)


def train(
    runs: Iterable[str],
    *,
    seeds: Sequence[int],
    paper: str = "kamo2025",
    protocol: str = "quick",
    estimators: Sequence[str] = ("authors",),
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    one_by_one: bool = False,
) -> Trained:
    """Train runs of the catalogue by their short names, those with equal batch sizes as a stack.

    Args:
        runs: short names, such as ``nshb/x2``.
        seeds: which seeds.
        paper: whose short names: "kamo2025" or "kondo2025".
        protocol: one of ``sgdm_lib.study.evidence.PROTOCOLS``.
        estimators: which full gradient norms to measure.
        out: a folder that keeps the runs; None keeps nothing.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        one_by_one: train one experiment after the other, so that their seconds can be compared.

    Returns:
        The runs as a source of curves.

    Raises:
        ValueError: if there is no such run or protocol, or no seed.
    """
    source, known = Recorded(Path(), paper, protocol), papers.catalogue()
    experiments = {
        run: known[choice("run", source.name(run), known)].replace(estimators=tuple(estimators))
        for run in runs
    }
    parts = [{run: experiments[run]} for run in experiments] if one_by_one else [experiments]
    trained = [fit_seeds(part, seeds, out=out, device=device) for part in parts]
    return Trained({run: group for part in trained for run, group in part.items()}, protocol)


def matching_digits(runs: Sequence[Run], others: Sequence[Run], quantity: str) -> tuple[int, int]:
    """To how many digits runs agree with others at least, after the first and the last epoch.

    Args:
        runs: one run a seed.
        others: as many runs with the same seeds.
        quantity: a column of the history.

    Returns:
        Of ``-log10 |log(run / other)|`` the smallest over the seeds, rounded down, at most 16:
        after the first and after the last epoch.
    """
    gaps = np.array(
        [
            np.abs(np.log((a.history[quantity] / b.history[quantity]).iloc[[0, -1]]))
            for a, b in zip(runs, others, strict=True)
        ]
    )
    first, last = (int(-math.log10(max(gap, 1e-16))) for gap in gaps.max(axis=0))
    return first, last
