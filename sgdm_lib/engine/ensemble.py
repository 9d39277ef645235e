"""Runs of one net and the same batch sizes, trained as one stack while batches are small.

The same mathematics as each alone, in the same order of samples; sums inside a matrix product may
be rounded in another order, so that the last digits can differ, and grow apart as training goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain
from typing import Any

import torch
from torch import Tensor

from sgdm_lib import data
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.interleave import Task, guarded, one_task_each
from sgdm_lib.engine.interrupt import Stopped, StopRequest
from sgdm_lib.engine.progress import Progress
from sgdm_lib.engine.run_state import RunState, finite_check_every
from sgdm_lib.engine.steps.look import Look
from sgdm_lib.engine.steps.stacked import StackedStep, same_but_seed
from sgdm_lib.gradients import has_batch_norm

# Up to so many pixels a batch, stacking beats taking turns for convolutions; from there on the
# grouped convolutions it is made of lose more than the saved calls gain.
PIXELS = 2_048

Member = tuple[RunState, Progress]


def stacked(runs: list[Member], stop: StopRequest) -> list[Task]:
    """Lanes of runs stacked where that is possible, the others each on its own.

    On a CPU all of it is one task: taking turns would gain nothing, and a run's seconds would
    count what others did meanwhile.
    """
    groups: dict[tuple[Any, ...], list[Member]] = {}
    for member in runs:
        groups.setdefault(_group_key(member[0]), []).append(member)
    tasks: list[Task] = []
    for group in groups.values():
        if len(group) > 1 and can_be_stacked(group[0][0]):
            families: dict[Experiment, list[Member]] = {}
            for member in group:
                families.setdefault(same_but_seed(member[0].experiment), []).append(member)
            members = [member for each in families.values() for member in each]
            alone = [run for run, _ in members]
            tasks.append((None, guarded(alone, Ensemble(members).advance(stop))))
        else:
            tasks += one_task_each(group, stop)
    on_cpu = [steps for stream, steps in tasks if stream is None]
    return [task for task in tasks if task[0] is not None] + [(None, chain(*on_cpu))]


def _group_key(run: RunState) -> tuple[Any, ...]:
    """Runs with the same one see batches of the same shape in the same net, step by step."""
    e = run.experiment
    return e.model, e.augment, e.precision, run.plan.batch_sizes.tobytes(), run.step


def can_be_stacked(run: RunState) -> bool:
    """Whether the run is on a CPU, eager, not in bf16; its net without BatchNorm and dropout."""
    return (
        run.source.device.type == "cpu"
        and run.train_step.mode == "eager"
        and run.experiment.precision != "bf16"
        and not has_batch_norm(run.model)
        and not run.draws
    )


class Ensemble:
    """Runs at the same step, advanced together until one diverges, all end, or batches are large.

    Args:
        members: the runs and their bars, on data of the same size; runs that differ in their seeds
            alone (:func:`sgdm_lib.engine.steps.stacked.same_but_seed`) stand side by side.
    """

    def __init__(self, members: list[Member]) -> None:
        self.members = members

    def advance(self, stop: StopRequest) -> Iterator[Look | None]:
        """Go on to the end or to a stop; hands over control after every step."""
        for run, _ in self.members:
            run.stacked = True
            run.mode = f"stacked with {len(self.members) - 1} others"
            run.begin()
        self._share_time()
        try:
            self._end_epochs(stop)  # of runs that were stopped before measuring
            while self._small():
                yield from self._stay_together(stop)
        except Stopped:
            for run, _ in self.members:
                run.interrupt()
        else:
            for run, bar in self.members:
                run.share = 1.0
                yield from run.advance(stop, bar)

    def _stay_together(self, stop: StopRequest) -> Iterator[Look | None]:
        """Epoch after epoch, until somebody leaves or batches are large."""
        step, size = StackedStep([run.train_step for run, _ in self.members]), len(self.members)
        try:
            while len(self.members) == size and self._small():
                step.start_epoch()
                try:
                    yield from self._train(step, stop)
                finally:
                    step.sync_back()
                self._end_epochs(stop)
        finally:
            step.unstack()

    def _small(self) -> bool:
        if not self.members:
            return False
        run, _ = self.members[0]
        batch_size = int(run.plan.batch_sizes[len(run.rows)])
        _, height, width = run.source.dataset.shape
        return run.experiment.model == "mlp" or batch_size * height * width <= PIXELS

    def _end_epochs(self, stop: StopRequest) -> None:
        """Measure runs whose epoch is trained or broken off; those that are over leave."""
        for member in list(self.members):
            run, bar = member
            if run.trained or not run.train_step.finite():
                for _ in run.end_epoch(stop, bar):  # on a CPU there is nothing to wait for
                    pass
            if run.status == "diverged" or len(run.rows) == run.plan.epochs:
                run.finish()
                self.members.remove(member)
        self._share_time()

    def _share_time(self) -> None:
        for run, _ in self.members:
            run.share = 1 / len(self.members)

    def _train(self, step: StackedStep, stop: StopRequest) -> Iterator[Look | None]:
        """Train the rest of the epoch that is due, or up to a loss that is not finite."""
        run, epoch = self.members[0][0], len(self.members[0][0].rows)
        first, batch_size = run.plan.first_step(epoch), int(run.plan.batch_sizes[epoch])
        firsts = accumulate(step.families[:-1], initial=0)
        hyperparameters = [self.members[k][0].plan.in_epoch(epoch) for k in firsts]
        for x, y in self._batches(run.step):
            stop.check()
            inside = run.step - first
            step.set([{n: float(v[inside]) for n, v in each.items()} for each in hyperparameters])
            step(x, y)
            for each, bar in self.members:
                each.step_done(y.shape[1], bar)
            if (
                run.step % finite_check_every(batch_size) == 0
                and not step.loss_sum.isfinite().all()
            ):
                return
            if run.save_is_due():
                step.sync_back()
                for each, _ in self.members:
                    each.save()
            yield None

    def _batches(self, at_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The members' batches side by side, from that step to the end of its epoch."""
        plan = self.members[0][0].plan
        at = plan.position(at_step)
        streams = []
        for run, _ in self.members:
            order = data.epoch_permutation(plan.n_train, run.experiment.seed, at.epoch)
            streams.append(run.source.blocks(order, at.batch_size, at.first, at.epoch, "augment"))
        for blocks in zip(*streams, strict=True):
            x, y = (torch.stack(part) for part in zip(*blocks, strict=True))
            for images, labels in zip(
                x.split(at.batch_size, 1), y.split(at.batch_size, 1), strict=True
            ):
                yield images.contiguous(), labels.contiguous()
