"""A run in progress: train an epoch, measure, note a row, save."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgdm_lib import checkpoint, data, models, records
from sgdm_lib.experiment import Experiment
from sgdm_lib.gradients import CHUNK, full_gradient_norm
from sgdm_lib.interrupt import StopRequest
from sgdm_lib.progress import Progress
from sgdm_lib.records import Run
from sgdm_lib.steps import EagerStep, make_optimizer, set_hyperparameters
from sgdm_lib.training.source import Source

CHECKPOINT_SECONDS = 20.0  # at most that much work is done again after a kill


class Ongoing:
    """A run in progress: weights, optimizer, rows so far, and where it stands."""

    def __init__(
        self, experiment: Experiment, source: Source, folder: Path | None, device: torch.device
    ) -> None:
        dataset = source.dataset
        self.experiment, self.source, self.folder = experiment, source, folder
        self.plan = experiment.plan(dataset.n_train)
        built = models.build(
            experiment.model, dataset.shape, len(dataset.classes), seed=experiment.seed
        )
        self.model = built.to(device)
        self.optimizer = make_optimizer(experiment, self.model)
        self.train_step = EagerStep(self.model, self.optimizer, experiment.precision)
        self.step, self.spent = 0, 0.0
        self.rows: list[dict[str, Any]] = []
        self.status, self.started = "running", datetime.now(UTC).isoformat(timespec="seconds")
        torch.backends.cuda.matmul.allow_tf32 = experiment.precision != "fp32"
        torch.backends.cudnn.allow_tf32 = experiment.precision != "fp32"
        if folder and (state := checkpoint.load(folder, experiment, device)):
            self._restore(state)
        self.saved = time.perf_counter()

    @property
    def epoch(self) -> int:
        """The epoch that comes next, from 0."""
        done = self.step >= self.plan.total_steps or self.status == "diverged"
        return self.plan.epochs if done else self.plan.position(self.step).epoch

    def run_epoch(self, epoch: int, stop: StopRequest, bar: Progress) -> bool:
        """Train, measure and save; False if the run is to end here."""
        begin = time.perf_counter()
        if not self._train(epoch, stop, bar):
            self.spent += time.perf_counter() - begin
            self.status = "interrupted"
            self._save()
            return False
        measured = self._measure(epoch)
        self.spent += time.perf_counter() - begin
        self.rows.append(self._row(epoch, measured, self.spent))
        self.spent = 0.0
        self.train_step.start_epoch()
        if self.rows[-1]["status"] == "diverged":
            self.status = "diverged"
        bar.epoch_done(self.rows[-1])
        due = time.perf_counter() - self.saved > CHECKPOINT_SECONDS or stop.signal is not None
        if self.folder and (due or self.status == "diverged"):
            self._save()
        elif self.folder:
            records.save(self._run(), self.folder)
        return self.status != "diverged" and stop.signal is None

    def _train(self, epoch: int, stop: StopRequest, bar: Progress) -> bool:
        self.model.train()
        first = self.plan.first_step(epoch)
        hyperparameters = self.plan.in_epoch(epoch)
        before: dict[str, float] = {}
        for x, y in self.source.batches(self.plan, self.step):
            now = {name: float(v[self.step - first]) for name, v in hyperparameters.items()}
            if now != before:
                set_hyperparameters(self.optimizer, now)
                before = now
            self.train_step(x, y)
            self.step += 1
            bar.step_done(len(y))
            if stop.signal is not None and self.step < first + self.plan.steps[epoch]:
                return False
        return True

    def _measure(self, epoch: int) -> dict[str, float]:
        source, found = self.source, {}
        if (epoch + 1) % self.experiment.gradient_norm_every == 0:
            if "exact" in self.experiment.estimators:
                whole = (source.x_train, source.y_train)
                found["full_gradient_norm"] = full_gradient_norm(self.model, whole)
            if "authors" in self.experiment.estimators:
                found["full_gradient_norm_authors"] = self._authors_norm(epoch)
        loss, correct = evaluate(self.model, source.x_test, source.y_test)
        return found | {"test_loss": loss, "test_accuracy": correct}

    def _authors_norm(self, epoch: int) -> float:
        order = data.generator(self.experiment.seed, epoch, "measure")
        shuffled = torch.randperm(self.plan.n_train, generator=order)
        size = int(self.plan.batch_sizes[epoch])
        parts = list(self.source.in_order(shuffled, size, 0, epoch, "measure"))
        x, y = (torch.cat(column) for column in zip(*parts, strict=True))
        return full_gradient_norm(self.model, (x, y), estimator="authors", batch_size=size)

    def _row(self, epoch: int, measured: dict[str, float], seconds: float) -> dict[str, Any]:
        step = self.train_step
        loss = float(step.loss_sum) / int(self.plan.steps[epoch])
        last = self.plan.at(self.step - 1)
        finite = all(torch.isfinite(p).all() for p in self.model.parameters())
        return {
            "epoch": epoch + 1,
            "step": self.step,
            "sfo": self.plan.n_train * (epoch + 1),
            "batch_size": int(self.plan.batch_sizes[epoch]),
            "lr": last["lr"],
            "momentum": last["momentum"],
            "train_loss": loss,
            "train_accuracy": int(step.correct) / self.plan.n_train,
            "seconds": seconds,
            "status": "ok" if finite and loss < float("inf") else "diverged",
            **measured,
        }

    def _run(self) -> Run:
        rows = records.history(self.rows)
        provenance = {
            "experiment": self.experiment.to_dict(),
            "hash": self.experiment.hash,
            "seed": self.experiment.seed,
            "status": self.status,
            "versions": records.versions(),
            "device": _describe(next(self.model.parameters()).device),
            "data_checksum": self.source.dataset.checksum,
            "code_version": records.code_version(),
            "started": self.started,
            "seconds": float(rows["seconds"].sum()),
        }
        return Run(self.experiment, rows, provenance)

    def _save(self) -> None:
        if self.folder:
            checkpoint.save(self.folder, self.experiment, self._state())
            records.save(self._run(), self.folder)
            self.saved = time.perf_counter()

    def _state(self) -> dict[str, Any]:
        step = self.train_step
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "rows": self.rows,
            "spent": self.spent,
            "started": self.started,
            "status": "running" if self.status == "interrupted" else self.status,
            "sums": {"loss": step.loss_sum, "correct": step.correct},
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.train_step.loss_sum.copy_(state["sums"]["loss"])
        self.train_step.correct.copy_(state["sums"]["correct"])
        for name in ("step", "rows", "spent", "started", "status"):
            setattr(self, name, state[name])

    def finish(self) -> Run:
        """Mark the run as ended, write its record and drop its checkpoints."""
        self.status = "diverged" if self.status == "diverged" else "finished"
        run = self._run()
        if self.folder:
            records.save(run, self.folder)
            checkpoint.delete(self.folder)
        return run


@torch.no_grad()
def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in eval mode."""
    model.eval()
    loss, correct = torch.zeros((), device=x.device, dtype=torch.float64), 0
    for images, labels in zip(x.split(CHUNK), y.split(CHUNK), strict=True):
        logits = model(images).float()
        loss += F.cross_entropy(logits, labels, reduction="sum")
        correct += int((logits.argmax(1) == labels).sum())
    return float(loss) / len(y), correct / len(y)


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads)"
