"""A run in progress: train an epoch, measure, note a row, save; stop and go on at any step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from sgdm_lib import checkpoint, models, records
from sgdm_lib.experiment import Experiment
from sgdm_lib.interrupt import Stopped, StopRequest
from sgdm_lib.progress import Progress
from sgdm_lib.records import Run
from sgdm_lib.steps import EagerStep, make_optimizer
from sgdm_lib.training.measure import measure
from sgdm_lib.training.source import Source

CHECKPOINT_SECONDS = 20.0  # at most so much training is done again after a kill
RECORD_SECONDS = 1.0  # an epoch can take milliseconds; a write to the disk takes several
FINITE_BLOCK = 2_048  # images between two looks at the loss, each of which waits for the device


class Ongoing:
    """A run in progress: weights, optimizer, rows so far, and where it stands.

    Attributes:
        step: optimizer steps taken. With ``rows`` it says all about where the run stands: epoch
            ``len(rows)`` (from 0) is being trained, or is trained and waits to be measured.
        rows: epochs trained and measured, as rows of the history.
        status: one of :data:`sgdm_lib.records.STATUSES`.
    """

    def __init__(
        self, experiment: Experiment, source: Source, folder: Path | None, device: torch.device
    ) -> None:
        dataset = source.dataset
        self.experiment, self.source, self.folder = experiment, source, folder
        self.plan = experiment.plan(dataset.n_train)
        shape, classes = dataset.shape, len(dataset.classes)
        self.model = models.build(experiment.model, shape, classes, seed=experiment.seed)
        self.model.to(device)
        self.optimizer = make_optimizer(experiment, self.model)
        self.train_step = EagerStep(self.model, self.optimizer, experiment.precision)
        self.step, self.spent = 0, 0.0
        self.rows: list[dict[str, Any]] = []
        self.status, self.started = "running", datetime.now(UTC).isoformat(timespec="seconds")
        if folder and (state := checkpoint.load(folder, experiment, device)):
            self._restore(state)
        self.clock = self.saved = time.perf_counter()
        self.noted = 0.0

    @property
    def images_done(self) -> int:
        """Images trained on so far."""
        if self.step == self.plan.total_steps:
            return self.plan.total_sfo
        at = self.plan.position(self.step)
        return at.epoch * self.plan.n_train + at.first

    def advance(self, stop: StopRequest, bar: Progress) -> Iterator[None]:
        """Go on to the end, a divergence or a stop; hands over control after every step."""
        self.clock = time.perf_counter()
        self._note()
        try:
            while self.status == "running" and len(self.rows) < self.plan.epochs:
                yield from self._train(len(self.rows), stop, bar)
                self._measure(len(self.rows), stop, bar)
        except Stopped:
            self.status = "interrupted"
            self._save()
            self._note()
        else:
            self._finish()

    def _train(self, epoch: int, stop: StopRequest, bar: Progress) -> Iterator[None]:
        first, batch_size = self.plan.first_step(epoch), int(self.plan.batch_sizes[epoch])
        if self.step == first + self.plan.steps[epoch]:
            return  # stopped between training and measuring
        hyperparameters = self.plan.in_epoch(epoch)
        self.model.train()
        for x, y in self.source.batches(self.plan, self.step):
            stop.check()
            inside = self.step - first
            self.train_step.set({name: float(v[inside]) for name, v in hyperparameters.items()})
            self.train_step(x, y)
            self.step += 1
            bar.step_done(len(y))
            if self.step % max(1, FINITE_BLOCK // batch_size) == 0 and not self.train_step.finite():
                return
            if self.folder and time.perf_counter() - self.saved > CHECKPOINT_SECONDS:
                self._save()
            yield

    def _measure(self, epoch: int, stop: StopRequest, bar: Progress) -> None:
        sound = self.train_step.finite() and all(
            bool(torch.isfinite(p).all()) for p in self.model.parameters()
        )
        measured = measure(self.model, self.source, self.plan, epoch, stop) if sound else {}
        self._tick()
        self.rows.append(self._row(epoch, sound, measured))
        self.status = "running" if sound else "diverged"
        self.spent = 0.0
        self.train_step.start_epoch()
        bar.epoch_done(self.rows[-1])
        if time.perf_counter() - self.noted > RECORD_SECONDS:
            self._note()

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
        provenance = {
            "experiment": self.experiment.to_dict(),
            "hash": self.experiment.hash,
            "seed": self.experiment.seed,
            "status": self.status,
            "versions": records.versions(),
            "device": _describe(self.source.device),
            "data_checksum": self.source.dataset.checksum,
            "code_version": records.code_version(),
            "started": self.started,
            "seconds": float(rows["seconds"].sum()),
        }
        return Run(self.experiment, rows, provenance, self.model)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.spent += now - self.clock
        self.clock = now

    def _note(self) -> None:
        if self.folder:
            records.save(self.run(), self.folder)
            self.noted = time.perf_counter()

    def _save(self) -> None:
        if self.folder:
            self._tick()
            checkpoint.save(self.folder, self.experiment, self._state())
            self.saved = time.perf_counter()

    def _finish(self) -> None:
        self.status = "diverged" if self.status == "diverged" else "finished"
        self._note()
        if self.folder:
            checkpoint.delete(self.folder)

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            # of the optimizer only the buffers: its hyperparameters follow from the plan
            "optimizer": self.optimizer.state_dict()["state"],
            "step": self.step,
            "rows": self.rows,
            "spent": self.spent,
            "started": self.started,
            "loss_sum": self.train_step.loss_sum,
            "correct": self.train_step.correct,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})
        self.train_step.loss_sum.copy_(state["loss_sum"])
        self.train_step.correct.copy_(state["correct"])
        for name in ("step", "rows", "spent", "started"):
            setattr(self, name, state[name])


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads)"
