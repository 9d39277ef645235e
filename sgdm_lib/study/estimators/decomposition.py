"""A change of the measured norm, split into a part of the estimator and one of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from sgdm_lib.checks import number


@dataclass(frozen=True)
class Drop:
    """A change of the measured norm, split into a factor of the estimator and one of the weights.

    Attributes:
        estimator: factor by which the estimate changes with the estimator, the weights held fixed.
        weights: factor by which it changes with the weights, the estimator held fixed.
        order: the estimator's factor on the weights before, divided by that on the weights after;
            1 where the split is unambiguous, and otherwise the reason why ``estimator`` and
            ``weights`` are geometric means over both orders.

    >>> drop = Drop(estimator=0.5, weights=0.25)
    >>> drop.total, round(drop.estimator_share, 6)
    (0.125, 0.333333)
    """

    estimator: float
    weights: float
    order: float = 1.0

    @property
    def total(self) -> float:
        """The estimate after, divided by the estimate before: what a plot shows."""
        return self.estimator * self.weights

    @property
    def estimator_share(self) -> float:
        """``log estimator / log total``, the estimator's part of a fall; NaN where nothing fell.

        Below 0 if the estimator hides part of the fall, above 1 if there is nothing else to it.
        """
        return math.log(self.estimator) / math.log(self.total) if self.total < 1 else math.nan


def decompose_drop(
    old_before: float, new_before: float, old_after: float, new_after: float
) -> Drop:
    """Split the step from ``old_before`` to ``new_after``: both estimators at both weights.

        total   = new_after / old_before
        estimator   = sqrt( new_before/old_before  new_after/old_after )
        weights = sqrt( old_after/old_before   new_after/new_before )

    so that estimator x weights = total, and swapping before and after inverts all three.

    Args:
        old_before: the old estimator's estimate on the weights before the change.
        new_before: the new estimator's on the same weights.
        old_after: the old estimator's on the weights after the change.
        new_after: the new estimator's on those.

    Raises:
        ValueError: if an estimate is not positive.

    >>> drop = decompose_drop(1.0, 0.8, 0.5, 0.4)
    >>> round(drop.estimator, 6), round(drop.weights, 6), round(drop.order, 6)
    (0.8, 0.5, 1.0)
    """
    estimates = {
        "old_before": old_before,
        "new_before": new_before,
        "old_after": old_after,
        "new_after": new_after,
    }
    for name, value in estimates.items():
        number(name, value, above=0)
    first, second = new_before / old_before, new_after / old_after
    weights = math.sqrt(old_after / old_before * new_after / new_before)
    return Drop(math.sqrt(first * second), weights, first / second)


def decompose_by_reference(
    before: float, after: float, reference_before: float, reference_after: float
) -> Drop:
    """Split a step by an estimator that did not change: all that two columns of a record allow.

        weights = reference_after / reference_before;   estimator = the rest of after / before

    The rest also holds whatever the weights did to the ratio of the two estimators.

    Args:
        before: the estimate before, with the estimator used then.
        after: the estimate after, with the estimator used then.
        reference_before: the reference estimator's estimate before.
        reference_after: the reference estimator's estimate after.

    Raises:
        ValueError: if an estimate is not positive.

    >>> decompose_by_reference(1.0, 0.25, 2.0, 1.0)
    Drop(estimator=0.5, weights=0.5, order=1.0)
    """
    estimates = {
        "before": before,
        "after": after,
        "reference_before": reference_before,
        "reference_after": reference_after,
    }
    for name, value in estimates.items():
        number(name, value, above=0)
    weights = reference_after / reference_before
    return Drop(after / before / weights, weights)


def chain(drops: Iterable[Drop]) -> Drop:
    """Several steps in a row as one: the factors multiply.

    >>> chain([Drop(0.5, 0.5), Drop(0.5, 1.0)])
    Drop(estimator=0.25, weights=0.5, order=1.0)
    """
    parts = list(drops)
    return Drop(
        math.prod(d.estimator for d in parts),
        math.prod(d.weights for d in parts),
        math.prod(d.order for d in parts),
    )
