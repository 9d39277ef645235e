"""Shares divide each batch of a plan among replicas and cut it into pieces."""

from __future__ import annotations

from dataclasses import dataclass

from sgdm_lib.plan import TrainingPlan


@dataclass(frozen=True)
class Shares:
    """One replica loads every ``num_replicas``-th sample of each batch, cut into pieces."""

    plan: TrainingPlan
    num_replicas: int
    rank: int
    micro_batch_size: int | None
    """The most samples in a piece; None for a whole share."""

    def pieces(self, step: int) -> list[range]:
        """Return the places of each piece of a step in the epoch's order; a piece may be empty."""
        position = self.plan.position(step)
        share = range(position.first, position.last)[self.rank :: self.num_replicas]
        largest_share = -(-(position.last - position.first) // self.num_replicas)
        size = self.micro_batch_size or largest_share
        return [share[i : i + size] for i in range(0, largest_share, size)]

    def loss_weights(self, step: int) -> list[float]:
        """Return R |piece| / |B| of each piece of a step, for R replicas and the global batch B."""
        position = self.plan.position(step)
        total = position.last - position.first
        return [self.num_replicas * len(piece) / total for piece in self.pieces(step)]

    def batches_from(self, step: int) -> int:
        """Return how many pieces come from a step to the end of its epoch."""
        # all steps of an epoch but the last have equally many pieces
        end = int(self.plan.cumulative_steps[self.plan.position(step).epoch])
        return len(self.pieces(step)) * (end - 1 - step) + len(self.pieces(end - 1))
