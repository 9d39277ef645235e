"""A batch sampler that follows a training plan."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from sgdm_lib.checks import integer
from sgdm_lib.data import epoch_permutation
from sgdm_lib.plan import TrainingPlan


class PlanBatchSampler(Sampler[list[int]]):
    """The batches of a training plan, for ``DataLoader(dataset, batch_sampler=...)``.

    Epoch k visits the samples in the order ``epoch_permutation(n_train, seed, k)``, which depends
    on (seed, k) alone, cut into batches of the plan's size for that epoch; the last one takes what
    is left. The first ``iter()`` is epoch 0 and each new one the next epoch, or the one that
    :meth:`set_epoch` names. The only state is the step at which the next ``iter()`` starts, so
    :meth:`resume_at` goes on in the middle of an epoch with exactly the batches that an
    uninterrupted run would have seen. It works with workers, persistent workers and prefetching:
    an epoch counts as begun when its first batch is drawn. Give each loader its own sampler.

    **Resuming with the same bits.** The sampler leaves the global random state alone; a
    ``DataLoader`` does not: each ``iter()`` takes its workers' seed from it, so that dropout draws
    other masks after a start in mid-epoch. Pass ``DataLoader(..., generator=torch.Generator())``.
    Random transforms inside workers begin anew with the workers.

    **Replicas.** Replica r of R loads the samples r, r + R, r + 2R, ... of each global batch B: the
    shares are disjoint, together they are B, and their sizes differ by one at most; nothing is
    dropped, nothing counted twice. Shares of different sizes make the plain average over replicas
    (what ``DistributedDataParallel`` computes) differ from the mean gradient over B, so multiply
    the local mean loss of a share S by its weight R |S| / |B| (:meth:`weights`):

        (1/R) sum_r (R |S_r| / |B|) (mean gradient over S_r)  =  mean gradient over B.

    The weights are all 1 where R divides |B|. A replica whose share is empty (a batch smaller than
    R) loads the batch's first sample with weight 0, so that every replica takes part in every step.

    **Micro-batches.** With ``micro_batch_size`` a share comes in pieces of at most that many
    samples; :func:`~sgdm_lib.loaders.accumulate` groups the pieces of a step and gives each its
    weight. Every replica has the same number of pieces in a step (a missing one is replaced by a
    sample of weight 0).

    **Whole run.** Some trainers ask once how long an epoch is and take every epoch for as long.
    With ``whole_run=True`` one ``iter()`` goes through all epochs of the plan and the length is the
    whole run's: to such a trainer the run is one epoch (evaluate and save by steps then).

    Args:
        plan: the plan; indices run over its ``n_train`` samples.
        seed: the order's seed, 0 .. 2**32 - 1, the same in every replica.
        shuffle: False visits the samples in the data set's own order in every epoch.
        micro_batch_size: the most samples to load at once, >= 1; None: a replica's whole share.
        num_replicas: number of processes that share each batch, >= 1.
        rank: which of them this one is, 0 .. ``num_replicas`` - 1.
        whole_run: one ``iter()`` runs to the end of the plan; :meth:`set_epoch` does nothing then.

    Raises:
        ValueError: if an argument is out of range.

    >>> from sgdm_lib.schedules import StageGrowth
    >>> plan = TrainingPlan(10, 2, batch_size=StageGrowth(4, 2, every=1), lr=0.1)
    >>> sampler = PlanBatchSampler(plan, shuffle=False)
    >>> list(sampler)
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    >>> list(sampler)
    [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9]]
    >>> sampler.resume_at(1)
    >>> list(sampler)
    [[4, 5, 6, 7], [8, 9]]
    >>> list(PlanBatchSampler(plan, shuffle=False, num_replicas=3, rank=1))
    [[1], [5], [9]]
    >>> PlanBatchSampler(plan, shuffle=False, num_replicas=3, rank=1).weights(0)
    [0.75]
    """

    def __init__(
        self,
        plan: TrainingPlan,
        *,
        seed: int = 0,
        shuffle: bool = True,
        micro_batch_size: int | None = None,
        num_replicas: int = 1,
        rank: int = 0,
        whole_run: bool = False,
    ) -> None:
        if micro_batch_size is not None:
            fix = "give the number of samples that fit in memory, or None"
            micro_batch_size = integer("micro_batch_size", micro_batch_size, at_least=1, fix=fix)
        self.plan = plan
        self.seed = integer("seed", seed, at_least=0, at_most=2**32 - 1)
        self.shuffle = shuffle
        self.micro_batch_size = micro_batch_size
        self.num_replicas = integer("num_replicas", num_replicas, at_least=1)
        fix = f"replicas are numbered from 0; there are {self.num_replicas}"
        self.rank = integer("rank", rank, at_least=0, at_most=self.num_replicas - 1, fix=fix)
        self.whole_run = whole_run
        self._next_step = 0
        self._announced = False
        self._announced_start: int | None = None  # of the epoch that set_epoch named last

    @property
    def next_step(self) -> int:
        """The global step at which the next ``iter()`` starts; ``plan.total_steps`` at the end."""
        return self._next_step

    @property
    def epoch(self) -> int:
        """The epoch of the next ``iter()``, from 0; ``plan.epochs`` when the plan is at its end."""
        if self._next_step == self.plan.total_steps:
            return self.plan.epochs
        return self.plan.position(self._next_step).epoch

    def coming_steps(self) -> range:
        """The global steps of the next ``iter()``: from ``next_step`` to the end of its epoch.

        (To the end of the plan with ``whole_run``.)

        Raises:
            ValueError: if the plan is at its end.
        """
        epoch, plan = self.epoch, self.plan
        if epoch == plan.epochs:
            raise ValueError(
                f"epoch must be < {plan.epochs}, the plan's epochs, got {plan.epochs}: the plan "
                "ends there; loop over range(sampler.epoch, plan.epochs), or plan more epochs"
            )
        end = plan.total_steps if self.whole_run else int(plan.cumulative_steps[epoch])
        return range(self._next_step, end)

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch of the next ``iter()``.

        If that epoch is the one that comes next anyway, nothing changes: a start in the middle of
        it (:meth:`resume_at`) is kept. Without another call, later iterations go on from there.

        Args:
            epoch: from 0.

        Raises:
            ValueError: if the plan has no such epoch.
        """
        first = self.plan.first_step(epoch)
        if self.whole_run:
            return
        if self.epoch != epoch:
            self._next_step = first
        self._announced, self._announced_start = True, None

    def resume_at(self, step: int) -> None:
        """Start the next ``iter()`` with the batch of a global step, also in mid-epoch.

        Args:
            step: steps done so far, 0 .. ``plan.total_steps``; at the latter nothing is left.

        Raises:
            ValueError: if the plan has no such step.
        """
        fix = "give the number of optimizer steps done so far"
        total = self.plan.total_steps
        self._next_step = integer("step", step, at_least=0, at_most=total, fix=fix)
        self._announced, self._announced_start = False, None

    def weights(self, step: int) -> list[float]:
        """The weight of each piece that this replica loads in a step.

        R |piece| / |B|, for R replicas and the global batch B: multiply the mean loss over the
        piece by it, and the gradients, summed over pieces and averaged over replicas, are the mean
        gradient over B.

        Args:
            step: global step, from 0.

        Returns:
            One number a piece; ``[1.0]`` for one replica without micro-batches.

        Raises:
            ValueError: if the plan has no such step.
        """
        at = self.plan.position(step)
        total = at.last - at.first
        return [self.num_replicas * len(piece) / total for piece in self._pieces(step)]

    def _pieces(self, step: int) -> list[range]:
        """Where in the epoch's order the pieces of a step lie; an empty one has no samples left."""
        at = self.plan.position(step)
        share = range(at.first, at.last)[self.rank :: self.num_replicas]
        largest_share = -(-(at.last - at.first) // self.num_replicas)
        size = self.micro_batch_size or largest_share
        return [share[i : i + size] for i in range(0, largest_share, size)]

    def _order(self, epoch: int) -> Tensor:
        n = self.plan.n_train
        return epoch_permutation(n, self.seed, epoch) if self.shuffle else torch.arange(n)

    def __iter__(self) -> Iterator[list[int]]:
        # All in the generator's body, so that nothing happens until the first batch is drawn: a
        # DataLoader with workers calls iter() twice for its first epoch and drops one of the two.
        steps = self.coming_steps()
        self._next_step = steps.stop
        self._announced_start = steps.start if self._announced else None
        self._announced = False
        for step in steps:
            at = self.plan.position(step)
            if step == steps.start or at.step_in_epoch == 0:
                order = self._order(at.epoch)
            for piece in self._pieces(step):
                piece = piece if len(piece) else range(at.first, at.first + 1)
                yield order[piece.start : piece.stop : piece.step].tolist()

    def __len__(self) -> int:
        """Batches that the next ``iter()`` yields (pieces, with micro-batches), 0 after the end.

        With ``whole_run`` always those of the whole plan, wherever the next ``iter()`` starts.
        While an epoch named by :meth:`set_epoch` runs, still the length of that epoch, so that
        loops which count on the length of the running one are right.
        """
        if self.whole_run:
            return sum(self._batches_from(self.plan.first_step(e)) for e in range(self.plan.epochs))
        start = self._next_step if self._announced_start is None else self._announced_start
        return 0 if start == self.plan.total_steps else self._batches_from(start)

    def _batches_from(self, step: int) -> int:
        """Batches from a step to the end of its epoch: all steps but the last have equally many."""
        end = int(self.plan.cumulative_steps[self.plan.position(step).epoch])
        return len(self._pieces(step)) * (end - 1 - step) + len(self._pieces(end - 1))
