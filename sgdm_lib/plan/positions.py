"""Stages and positions: the stretches of a run, and the places between two of its steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Stage(NamedTuple):
    """Consecutive epochs with one batch size."""

    first_epoch: int
    """The first epoch, from 0."""
    epochs: int
    """How many epochs the stage has."""
    batch_size: int
    """How many samples a full batch has."""
    steps_per_epoch: int
    """How many steps an epoch has; the last one, with the ragged batch, counts."""


class Position(NamedTuple):
    """The place of a run between two steps, described by the batch that comes next."""

    step: int
    """How many steps are done; this is the number of the next step, from 0."""
    epoch: int
    """The epoch of the next step, from 0."""
    step_in_epoch: int
    """The number of the next step within its epoch, from 0."""
    batch_size: int
    """The nominal size of the next batch."""
    first: int
    """Where the next batch starts in the epoch's order of samples."""
    last: int
    """Where the next batch ends in that order; this place belongs to the batch after it."""


def stages_of(batch_sizes: np.ndarray, steps: np.ndarray) -> list[Stage]:
    """Return the stretches of constant batch size, in order.

    Args:
        batch_sizes: batch size of every epoch, int64 (epochs,).
        steps: number of steps of every epoch, int64 (epochs,).

    >>> stages_of(np.array([8, 8, 16]), np.array([4, 4, 2]))[1]
    Stage(first_epoch=2, epochs=1, batch_size=16, steps_per_epoch=2)
    """
    starts = np.flatnonzero(np.diff(batch_sizes, prepend=0) != 0)
    ends = np.append(starts[1:], len(batch_sizes))
    return [
        Stage(int(a), int(b - a), int(batch_sizes[a]), int(steps[a]))
        for a, b in zip(starts, ends, strict=True)
    ]
