"""Runs trained in a chapter, in the form that the papers' claims are judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sgdm_lib.checks import choice
from sgdm_lib.claims.curves import PROTOCOLS, Curve, of_runs
from sgdm_lib.records import Run


@dataclass(frozen=True)
class Trained:
    """Curves of runs at hand, so that :meth:`Claim.judge` judges them like the paper's.

    Args:
        runs: by short name, such as ``nshb/x2``, the runs of one experiment, one a seed. They need
            the authors' estimator for ``gradient_norm``; without BatchNorm it is the exact norm
            but for the weight of the short last batch.
        protocol: one of :data:`sgdm_lib.claims.PROTOCOLS`; but for "full", absolute values such as
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

    def curve(self, run: str, quantity: str) -> Curve | None:
        """The curve; None if there is no such run, or it measured nothing of the kind."""
        return of_runs(self.runs.get(run, ()), quantity)
