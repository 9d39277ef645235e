"""A change of the measured gradient norm, split into a part of the ruler and one of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from sgdm_lib.checks import number


@dataclass(frozen=True)
class Drop:
    """A change of the measured norm, split into a factor of the ruler and one of the weights.

    Attributes:
        ruler: factor by which the reading changes with the ruler, the weights held fixed.
        weights: factor by which it changes with the weights, the ruler held fixed.
        order: the ruler's factor on the weights before, divided by that on the weights after; 1
            where the split is unambiguous, and otherwise the reason why ``ruler`` and ``weights``
            are geometric means over both orders.

    >>> drop = Drop(ruler=0.5, weights=0.25)
    >>> drop.total, round(drop.ruler_share, 6)
    (0.125, 0.333333)
    """

    ruler: float
    weights: float
    order: float = 1.0

    @property
    def total(self) -> float:
        """The reading after, divided by the reading before: what a plot shows."""
        return self.ruler * self.weights

    @property
    def ruler_share(self) -> float:
        """``log ruler / log total``, the ruler's part of a fall; NaN where nothing has fallen.

        Below 0 if the ruler hides part of the fall, above 1 if there is nothing else to it.
        """
        return math.log(self.ruler) / math.log(self.total) if self.total < 1 else math.nan


def decompose_drop(
    old_before: float, new_before: float, old_after: float, new_after: float
) -> Drop:
    """Split the step from ``old_before`` to ``new_after`` with both rulers read at both weights.

        total   = new_after / old_before
        ruler   = sqrt( new_before/old_before  new_after/old_after )
        weights = sqrt( old_after/old_before   new_after/new_before )

    so that ruler x weights = total, and swapping before and after inverts all three.

    Args:
        old_before: the old ruler's reading on the weights before the change.
        new_before: the new ruler's on the same weights.
        old_after: the old ruler's on the weights after the change.
        new_after: the new ruler's on those.

    Raises:
        ValueError: if a reading is not positive.

    >>> drop = decompose_drop(1.0, 0.8, 0.5, 0.4)
    >>> round(drop.ruler, 6), round(drop.weights, 6), round(drop.order, 6)
    (0.8, 0.5, 1.0)
    """
    readings = {
        "old_before": old_before,
        "new_before": new_before,
        "old_after": old_after,
        "new_after": new_after,
    }
    for name, value in readings.items():
        number(name, value, above=0)
    first, second = new_before / old_before, new_after / old_after
    weights = math.sqrt(old_after / old_before * new_after / new_before)
    return Drop(math.sqrt(first * second), weights, first / second)


def decompose_by_reference(
    before: float, after: float, reference_before: float, reference_after: float
) -> Drop:
    """Split a step with one ruler that did not change: all that a record with two columns allows.

        weights = reference_after / reference_before;   ruler = the rest of after / before

    The rest also holds whatever the weights did to the ratio of the two rulers.

    Args:
        before: the reading before, with the ruler used then.
        after: the reading after, with the ruler used then.
        reference_before: the reference ruler's reading before.
        reference_after: the reference ruler's reading after.

    Raises:
        ValueError: if a reading is not positive.

    >>> decompose_by_reference(1.0, 0.25, 2.0, 1.0)
    Drop(ruler=0.5, weights=0.5, order=1.0)
    """
    readings = {
        "before": before,
        "after": after,
        "reference_before": reference_before,
        "reference_after": reference_after,
    }
    for name, value in readings.items():
        number(name, value, above=0)
    weights = reference_after / reference_before
    return Drop(after / before / weights, weights)


def chain(drops: Iterable[Drop]) -> Drop:
    """Several steps in a row as one: the factors multiply.

    >>> chain([Drop(0.5, 0.5), Drop(0.5, 1.0)])
    Drop(ruler=0.25, weights=0.5, order=1.0)
    """
    parts = list(drops)
    return Drop(
        math.prod(d.ruler for d in parts),
        math.prod(d.weights for d in parts),
        math.prod(d.order for d in parts),
    )
