"""How a batch of the plan is shared out among replicas and cut into pieces."""

from __future__ import annotations

from dataclasses import dataclass

from sgdm_lib.plan import TrainingPlan


@dataclass(frozen=True)
class Shares:
    """What one replica loads: every ``num_replicas``-th sample of each batch, cut into pieces."""

    plan: TrainingPlan
    num_replicas: int
    rank: int
    micro_batch_size: int | None
    """The most samples in a piece; None: a whole share."""

    def pieces(self, step: int) -> list[range]:
        """Where in the epoch's order the pieces of a step lie; an empty one has no samples left."""
        at = self.plan.position(step)
        share = range(at.first, at.last)[self.rank :: self.num_replicas]
        largest_share = -(-(at.last - at.first) // self.num_replicas)
        size = self.micro_batch_size or largest_share
        return [share[i : i + size] for i in range(0, largest_share, size)]

    def loss_weights(self, step: int) -> list[float]:
        """R |piece| / |B| of each piece of a step, for R replicas and the global batch B."""
        at = self.plan.position(step)
        total = at.last - at.first
        return [self.num_replicas * len(piece) / total for piece in self.pieces(step)]

    def batches_from(self, step: int) -> int:
        """Pieces from a step to the end of its epoch: all steps but the last have equally many."""
        end = int(self.plan.cumulative_steps[self.plan.position(step).epoch])
        return len(self.pieces(step)) * (end - 1 - step) + len(self.pieces(end - 1))
