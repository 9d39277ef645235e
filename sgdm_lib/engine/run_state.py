"""A run in progress: train an epoch, measure, note a row, save; stop and go on at any step."""

from __future__ import annotations

import errno
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from sgdm_lib import models
from sgdm_lib.engine import checkpoint, records
from sgdm_lib.engine.batches import EpochBatches, layout
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.interrupt import Stopped, StopRequest
from sgdm_lib.engine.measure import measure
from sgdm_lib.engine.progress import Progress
from sgdm_lib.engine.provenance import device_name, provenance
from sgdm_lib.engine.randomness import OwnRandomness
from sgdm_lib.engine.records import NotSaved, Run
from sgdm_lib.engine.steps import make_step
from sgdm_lib.engine.steps.look import Look
from sgdm_lib.engine.trial import draws_at_random, refuse_single_images
from sgdm_lib.engine.weights import save_weights

CHECKPOINT_SECONDS = 20.0  # at most so much training is done again after a kill
RECORD_SECONDS = 1.0  # an epoch can take milliseconds; a write to the disk takes several
PROGRESS_KEYS = ("step", "rows", "spent", "started", "sessions", "stacked")
AT_ONCE = (errno.EACCES, errno.EPERM, errno.EROFS)  # waiting would not help: said before training
FINITE_BLOCK = 2_048  # images between two looks at the loss, each of which waits for the device


class RunState:
    """A run in progress: weights, optimizer, rows so far, and where it stands.

    Attributes:
        step: optimizer steps taken. With ``rows`` it says all about where the run stands: epoch
            ``len(rows)`` (from 0) is being trained, or is trained and waits to be measured.
        rows: epochs trained and measured, as rows of the history.
        status: one of :data:`sgdm_lib.engine.records.STATUSES`.
        mode: how steps are run, for the provenance.
        share: which part of the time that passes is this run's; less than 1 beside others.
        stacked: whether any of its steps was taken in a stack, which rounds differently.
        sessions: on what it was trained, each time it was started, if these differ.
        weights: whether to keep the trained weights in the folder.
        error: what it broke off with.
        at_once: how many runs were started together.
    """

    def __init__(
        self,
        experiment: Experiment,
        source: EpochBatches,
        folder: Path | None,
        mode: str = "eager",
        *,
        stackable: bool = False,
        weights: bool = False,
    ) -> None:
        dataset, device = source.dataset, source.device
        self.experiment, self.source, self.folder = experiment, source, folder
        self.plan = experiment.plan(dataset.n_train)
        shape, classes = dataset.shape, len(dataset.classes)
        self.model = models.build(experiment.model, shape, classes, seed=experiment.seed)
        refuse_single_images(self.model, self.plan, shape)
        self.draws = draws_at_random(self.model, shape)
        self.random = OwnRandomness(experiment.seed, device)
        self.model.to(device).to(memory_format=layout(experiment))
        self.train_step, self.mode = make_step(experiment, self.model, mode), mode
        self.step, self.spent, self.share, self.at_once = 0, 0.0, 1.0, 1
        self.stacked, self.weights, self.weights_sha256 = False, weights, ""
        self.sessions: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self.trouble = ""
        self.rows: list[dict[str, Any]] = []
        self.status, self.started = "running", datetime.now(UTC).isoformat(timespec="seconds")
        if folder and (state := checkpoint.load(folder, experiment, device)):
            self._go_on(state, folder, stackable)
        # on a GPU a stream of its own: a graph cannot be captured on the default one
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.clock = self.saved = self.noted = time.perf_counter()

    def _go_on(self, state: dict[str, Any], folder: Path, stackable: bool) -> None:
        """Stand where a checkpoint stood; those of earlier versions lack some fields.

        Raises:
            ValueError: if the data have changed since, or the run was trained in a stack and may
                not be now.
        """
        now = self.source.dataset.checksum
        if state.get("data_checksum", now) != now:
            raise ValueError(
                f"{folder / checkpoint.NAME} was made with other data (checksum "
                f"{str(state['data_checksum'])[:12]} there, {now[:12]} now): restore them, or "
                "choose another folder"
            )
        if state.get("stacked") and not stackable:
            raise ValueError(in_a_stack(folder))
        self.train_step.load(state)
        for name in PROGRESS_KEYS:
            setattr(self, name, state.get(name, getattr(self, name)))
        self.random.load(state.get("random", {}))

    @property
    def images_done(self) -> int:
        """Images trained on so far."""
        if self.step == self.plan.total_steps:
            return self.plan.total_sfo
        at = self.plan.position(self.step)
        return at.epoch * self.plan.n_train + at.first

    @property
    def trained(self) -> bool:
        """Whether all steps of the epoch that is due are taken."""
        return self.step == self.plan.cumulative_steps[len(self.rows)]

    def advance(self, stop: StopRequest, bar: Progress) -> Iterator[Look | None]:
        """Go on to the end, a divergence or a stop; hands over control after every step.

        What it hands over is what it will read next, if that may still be on its way from the
        device: whoever has other work need not come back before it is ready.
        """
        self.begin()
        try:
            while self.status == "running" and len(self.rows) < self.plan.epochs:
                yield from self._train(stop, bar)
                yield from self.end_epoch(stop, bar)
        except Stopped:
            self.interrupt()
        else:
            self.finish()

    def begin(self) -> None:
        """Start the clock, and a record for those who look.

        Raises:
            OSError: if the record may not be written.
        """
        self.clock = self.saved = time.perf_counter()
        session = {"device": device_name(self.source.device), "mode": self.mode}
        session |= {"torch": records.versions()["torch"], "code_version": records.code_version()}
        if session not in self.sessions:
            self.sessions = [*self.sessions, session]
        try:
            self._record()
        except OSError as error:
            if error.errno in AT_ONCE:
                raise
            self._warn(error)

    def _train(self, stop: StopRequest, bar: Progress) -> Iterator[Look | None]:
        """Train the rest of the epoch that is due, or up to a loss that is not finite."""
        epoch = len(self.rows)
        first, batch_size = self.plan.first_step(epoch), int(self.plan.batch_sizes[epoch])
        if self.trained:
            return  # stopped between training and measuring
        hyperparameters = self.plan.in_epoch(epoch)
        self.model.train()
        for x, y in self.source.batches(self.plan, self.step):
            stop.check()
            inside = self.step - first
            self.train_step.set({name: float(v[inside]) for name, v in hyperparameters.items()})
            self.train_step(x, y)
            self.step_done(len(y), bar)
            look = (
                self.train_step.look() if self.step % finite_check_every(batch_size) == 0 else None
            )
            if look is not None and look.ready() and not look.true():
                return
            if self.save_is_due():
                self.save()
            yield look
            if look is not None and not look.true():
                return

    def step_done(self, images: int, bar: Progress) -> None:
        """Count a step."""
        self.step += 1
        bar.step_done(images)

    def save_is_due(self) -> bool:
        """Whether the last checkpoint is old; runs side by side save as often as one alone."""
        age = time.perf_counter() - self.saved
        return self.folder is not None and age > CHECKPOINT_SECONDS * self.at_once

    def end_epoch(self, stop: StopRequest, bar: Progress) -> Iterator[Look]:
        """Measure and note a row; an epoch that broke off with a loss not finite ends the run.

        Hands over control where it would wait for the device, as :meth:`advance` does.

        Raises:
            Stopped: if a stop was asked for; the epoch is then still to be measured.
        """
        epoch = len(self.rows)
        yield (look := Look(self.train_step.all_finite()))
        sound = look.true()
        measured = measure(self.model, self.source, self.plan, epoch, stop) if sound else {}
        if measured:
            yield Look(measured["test_loss"])  # the last one to be there
        self._tick()
        self.rows.append(self._row(epoch, sound, {n: float(v) for n, v in measured.items()}))
        self.status = "running" if sound else "diverged"
        self.spent = 0.0
        self.train_step.start_epoch()
        bar.epoch_done(self.rows[-1])
        if time.perf_counter() - self.noted > RECORD_SECONDS:
            self._note()

    def interrupt(self) -> None:
        """Save everything needed to go on."""
        self.status = "interrupted"
        self.save()
        self._note()

    def fail(self, error: Exception) -> None:
        """Say in the record that the run broke off, and why; its checkpoint is kept."""
        if self.status == "running":
            self.error, self.status = error, "interrupted"
            with suppress(OSError):
                self._record()

    def finish(self) -> None:
        """Write the last record; nothing is left to go on from. If it cannot be written, say so."""
        self.status = "diverged" if self.status == "diverged" else "finished"
        try:
            if self.folder and self.weights:
                self.weights_sha256 = save_weights(self.folder, self.model)
            self._record()
            if self.folder:
                checkpoint.delete(self.folder)
        except OSError as error:
            self.error = NotSaved(error, self.run())

    def save(self) -> None:
        """Write a checkpoint, if the run has a folder; a full disk does not end the run."""
        if self.folder:
            self._tick()
            try:
                checkpoint.save(self.folder, self.experiment, self.state())
                self.trouble = ""
            except OSError as error:
                self._warn(error)
            self.saved = time.perf_counter()

    def _warn(self, error: OSError) -> None:
        if str(error) != self.trouble:  # once for each cause
            goes_on = (
                "it was stopped" if self.status == "interrupted" else "the run goes on in memory"
            )
            warnings.warn(
                f"{error.strerror or error}; {goes_on} and this is tried again", stacklevel=3
            )
        self.trouble = str(error)

    def _row(self, epoch: int, sound: bool, measured: dict[str, float]) -> dict[str, Any]:
        last, done = self.plan.at(self.step - 1), self.train_step
        seen = self.images_done - epoch * self.plan.n_train
        return {
            "epoch": epoch + 1,
            "step": self.step,
            "sfo": self.images_done,
            "batch_size": int(self.plan.batch_sizes[epoch]),
            "lr": last["lr"],
            "momentum": last["momentum"],
            "train_loss": float(done.loss_sum) / (self.step - self.plan.first_step(epoch)),
            "train_accuracy": int(done.correct) / seen,
            "seconds": self.spent,
            "status": "ok" if sound else "diverged",
            **measured,
        }

    def run(self) -> Run:
        """The run as it stands."""
        rows = records.history(self.rows)
        return Run(self.experiment, rows, provenance(self, rows), self.model)

    def take_share(self, share: float) -> None:
        """From now on that part of the time that passes is this run's."""
        self._tick()
        self.share = share

    def _tick(self) -> None:
        now = time.perf_counter()
        self.spent += self.share * (now - self.clock)
        self.clock = now

    def _note(self) -> None:
        try:
            self._record()
        except OSError as error:
            self._warn(error)
        self.noted = time.perf_counter()

    def _record(self) -> None:
        if self.folder:
            records.save(self.run(), self.folder)
        self.noted = time.perf_counter()

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: tensors and plain values."""
        place = {name: getattr(self, name) for name in PROGRESS_KEYS}
        place |= {"data_checksum": self.source.dataset.checksum, "random": self.random.state()}
        return self.train_step.state() | place


def in_a_stack(folder: Path) -> str:
    """The sentence that refuses a run trained in a stack where the exact one is asked for."""
    return (
        f"{folder} holds this run as trained in a stack (fit_many(..., vectorize=True)), which "
        "differs from the run alone in its last digits: choose another folder, or read it with "
        "records.load"
    )


def finite_check_every(batch_size: int) -> int:
    """Steps between two looks at the loss; a rule of its own, the same after a resumption."""
    return max(1, FINITE_BLOCK // batch_size)
