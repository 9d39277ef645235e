"""The batch sampler that follows a training plan."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler

from sgdm_lib.checks import integer
from sgdm_lib.data import epoch_permutation
from sgdm_lib.loaders.shares import Shares
from sgdm_lib.loaders.state import (
    Iteration,
    PieceIndex,
    check_replicas_are_given,
    checked_plan,
    checked_sampler_state,
    processes,
)
from sgdm_lib.plan import TrainingPlan


class PlanBatchSampler(Sampler[list[int]]):
    """A batch sampler that yields the batches of a training plan.

    Use it as ``DataLoader(dataset, batch_sampler=PlanBatchSampler(plan))``. Epoch k visits the
    samples in the order ``epoch_permutation(n_train, seed, k)``, which depends on (seed, k) alone.
    The sampler cuts this order into batches of the plan's size for that epoch; the last batch takes
    what is left. The first ``iter()`` is epoch 0 and each new one is the next epoch, or the epoch
    that :meth:`set_epoch` names. The only state is the position in the plan, so :meth:`resume_at`
    and :meth:`load_state_dict` go on in the middle of an epoch with exactly the batches of an
    uninterrupted run. Workers, persistent workers and prefetching are allowed: an epoch begins when
    its first batch is drawn. Give each loader its own sampler.

    The text of :mod:`sgdm_lib.loaders` says how to resume with the same bits, how replicas share
    each batch, how micro-batches divide it, and how to serve a trainer that expects epochs of equal
    length.

    Args:
        plan: the plan; indices run over its ``n_train`` samples.
        seed: seed of the order, 0 .. 2**32 - 1; all replicas need the same seed.
        shuffle: False visits the samples in the data set's own order in every epoch.
        micro_batch_size: the most samples to load at once, >= 1; None: a replica's whole share.
        num_replicas: how many processes share each batch, >= 1; None: only this process.
        rank: the number of this process among them, 0 .. ``num_replicas`` - 1.
        whole_run: one ``iter()`` runs to the end of the plan; :meth:`set_epoch` does nothing then.
        data: the data set, if its length is to be compared with the plan's ``n_train``.

    Raises:
        ValueError: if an argument is out of range, the data set has another length than the plan,
            or ``torch.distributed`` runs several processes and ``num_replicas`` is None.

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
    >>> PlanBatchSampler(plan, shuffle=False, num_replicas=3, rank=1).loss_weights(0)
    [0.75]
    """

    def __init__(
        self,
        plan: TrainingPlan,
        *,
        seed: int = 0,
        shuffle: bool = True,
        micro_batch_size: int | None = None,
        num_replicas: int | None = None,
        rank: int = 0,
        whole_run: bool = False,
        data: Sized | None = None,
    ) -> None:
        self.plan = checked_plan(plan)
        if micro_batch_size is not None:
            fix = "give the number of samples that fit in memory, or None"
            micro_batch_size = integer("micro_batch_size", micro_batch_size, at_least=1, fix=fix)
        if data is not None and len(data) != plan.n_train:
            raise ValueError(
                f"data must have {plan.n_train} samples, the plan's n_train, got {len(data)}: "
                "build the plan with TrainingPlan(len(data), ...)"
            )
        self.seed = integer("seed", seed, at_least=0, at_most=2**32 - 1)
        self.shuffle = shuffle
        self.micro_batch_size = micro_batch_size
        self._alone = num_replicas is None
        self._check_processes()
        number = 1 if num_replicas is None else num_replicas
        self.num_replicas = integer("num_replicas", number, at_least=1)
        fix = f"replicas are numbered from 0; there are {self.num_replicas}"
        self.rank = integer("rank", rank, at_least=0, at_most=self.num_replicas - 1, fix=fix)
        self.whole_run = whole_run
        self._shares = Shares(plan, self.num_replicas, self.rank, micro_batch_size)
        self._start = PieceIndex(0)
        self._announced = False
        self._running: Iteration | None = None

    @property
    def next_step(self) -> int:
        """The global step at which the next ``iter()`` starts; ``plan.total_steps`` at the end."""
        return self._start.step

    @property
    def next_piece(self) -> int:
        """The piece of ``next_step`` with which the next ``iter()`` starts; 0 but after a load."""
        return self._start.piece

    @property
    def epoch(self) -> int:
        """The epoch of the next ``iter()``, from 0; ``plan.epochs`` when the plan is at its end."""
        step = self._start.step - self._start.at_end  # at_end: the last step's epoch still runs
        if step == self.plan.total_steps:
            return self.plan.epochs
        return self.plan.position(step).epoch

    @property
    def batch_size(self) -> int:
        """There is no such number, because a plan has many batch sizes; see ``plan.batch_sizes``.

        Reading it raises an AttributeError in a single process. With several processes it raises a
        ValueError, because only a framework that is about to share out the batches a second time
        reads it there.
        """
        if processes() > 1:
            raise ValueError(
                "batch_size of a PlanBatchSampler must not be read with several processes, got "
                f"{processes()}: something is about to share out batches that the sampler shares "
                "out itself; do not pass the loader to prepare() or setup_dataloaders(), give the "
                "sampler num_replicas and rank"
            )
        raise AttributeError("a PlanBatchSampler has no single batch_size: see plan.batch_sizes")

    def coming_steps(self) -> range:
        """Return the global steps of the next ``iter()``, from ``next_step`` to the epoch's end.

        With ``whole_run`` they go on to the end of the plan.

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
        return range(self._start.step, end)

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
            self._start = PieceIndex(first)
        self._announced, self._running = True, None

    def resume_at(self, step: int) -> None:
        """Start the next ``iter()`` with the batch of a global step, also in mid-epoch.

        Args:
            step: steps done so far, 0 .. ``plan.total_steps``; at the latter nothing is left.

        Raises:
            ValueError: if the plan has no such step.
        """
        fix = "give the number of optimizer steps done so far"
        total = self.plan.total_steps
        self._go_to(PieceIndex(integer("step", step, at_least=0, at_most=total, fix=fix)))

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the next batch that nobody has drawn, as plain data.

        ``StatefulDataLoader`` saves and loads it by itself. Another loader with workers draws
        batches before the loop uses them, so the sampler is ahead of the loop: save the number of
        optimizer steps then, and call :meth:`resume_at`.

        Returns:
            ``step`` and ``piece`` of the next batch; ``pieces``, the number of pieces of the step;
            ``at_end``, whether all batches of the running epoch are drawn but its end is not
            reached (the next ``iter()`` is empty then); ``plan``, ``seed`` and ``shuffle``, which
            must be the same where the state is loaded.
        """
        start = self._running.place if self._running and self._running.drawing else self._start
        pieces = len(self._shares.pieces(start.step)) if start.piece else 1
        same = {"plan": self.plan.fingerprint, "seed": self.seed, "shuffle": self.shuffle}
        return {**start._asdict(), "pieces": pieces, **same}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Start the next ``iter()`` with the batch that a saved state names.

        Args:
            state_dict: what :meth:`state_dict` returned. The number of replicas may be another one,
                unless the state lies between two pieces of a step.

        Raises:
            ValueError: if it belongs to another plan, seed or order, or is no such state.
        """
        same = {"seed": self.seed, "shuffle": self.shuffle}
        self._go_to(checked_sampler_state(state_dict, self._shares, same))

    def _go_to(self, start: PieceIndex) -> None:
        self._start, self._announced, self._running = start, False, None

    def _check_processes(self) -> None:
        if self._alone:
            check_replicas_are_given(processes())

    def loss_weights(self, step: int) -> list[float]:
        """Return the loss weight of each piece that this replica loads in a step.

        The loss weight is R |piece| / |B|, for R replicas and the global batch B. Multiply the mean
        loss over the piece by it: the gradients, summed over pieces and averaged over replicas, are
        then the mean gradient over B.

        Args:
            step: global step, from 0.

        Returns:
            One number for each piece; ``[1.0]`` for one replica without micro-batches.

        Raises:
            ValueError: if the plan has no such step.
        """
        return self._shares.loss_weights(step)

    def __iter__(self) -> Iterator[list[int]]:
        if self._running:  # whoever asks for the state now means the iteration to come
            self._running.drawing = False
        return self._batches()

    def _batches(self) -> Iterator[list[int]]:
        # All in the generator's body, so that nothing happens until the first batch is drawn: a
        # DataLoader with workers calls iter() twice for its first epoch and drops one of the two.
        self._check_processes()
        steps = self.coming_steps()
        first_piece = self._start.piece
        running = Iteration(self._start, self._announced, self._coming_batches())
        self._running = running
        self._start, self._announced = PieceIndex(steps.stop), False
        try:
            for step in steps:
                position = self.plan.position(step)
                if step == steps.start or position.step_in_epoch == 0:
                    order = self._order(position.epoch)
                pieces = list(enumerate(self._shares.pieces(step)))
                for i, piece in pieces[first_piece if step == steps.start else 0 :]:
                    piece = piece if len(piece) else range(position.first, position.first + 1)
                    last = i == len(pieces) - 1
                    at_end = last and step == steps.stop - 1
                    running.place = PieceIndex(step + last, 0 if last else i + 1, at_end)
                    running.drawing = True
                    yield order[piece.start : piece.stop : piece.step].tolist()
            running.drawing = False
        finally:
            running.over = True

    def __len__(self) -> int:
        """Return the number of batches of the running epoch, or of the next one if none runs.

        With micro-batches it counts pieces.

        An epoch runs from its first batch to its last. After that, the length is that of the next
        epoch (0 at the end of the plan), unless :meth:`set_epoch` announced the one that is over:
        then it stays until the next ``iter()`` or :meth:`set_epoch`. So a loop that begins every
        epoch with :meth:`set_epoch` may ask for the length before, within and after the epoch. Do
        so with workers, which draw the last batches before the loop gets them.

        With ``whole_run`` the length is always that of the whole plan.
        """
        if self.whole_run:
            return self._whole_length
        if self._running and (self._running.announced or not self._running.over):
            return self._running.length
        return self._coming_batches()

    def _order(self, epoch: int) -> Tensor:
        n = self.plan.n_train
        if not self.shuffle:
            return torch.arange(n, device="cpu")
        return epoch_permutation(n, self.seed, epoch)

    def _coming_batches(self) -> int:
        start = self._start
        if start.at_end or start.step == self.plan.total_steps:
            return 0
        return self._shares.batches_from(start.step) - start.piece

    @cached_property
    def _whole_length(self) -> int:
        return sum(
            self._shares.batches_from(self.plan.first_step(e)) for e in range(self.plan.epochs)
        )
