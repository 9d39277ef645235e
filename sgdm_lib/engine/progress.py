"""Progress of a run: a bar on a terminal, about ten plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm

from sgdm_lib.plan import TrainingPlan

__all__ = ["Progress"]

LINES = 10
REFRESH_SECONDS = 0.5


class Progress:
    """Shows images/s and the time left while entered; says nothing if not ``shown``.

    Args:
        plan: of the run.
        shown: whether to show anything.
        label: what the run is called.
        done: images that an earlier part of the run has done.
    """

    def __init__(self, plan: TrainingPlan, shown: bool, label: str, done: int = 0) -> None:
        self.plan, self.shown, self.label, self.done = plan, shown, label, done
        self.bar: tqdm | None = None
        self.images, self.waiting = 0, 0

    def __enter__(self) -> Progress:
        self.begin = self.refreshed = time.perf_counter()
        if self.shown and sys.stderr.isatty():
            self.bar = tqdm(
                total=self.plan.total_sfo,
                initial=self.done,
                desc=self.label,
                unit="img",
                unit_scale=True,
                leave=False,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def step_done(self, images: int) -> None:
        """Count one step's images."""
        self.images += images
        self.waiting += images
        if self.bar is not None and time.perf_counter() - self.refreshed > REFRESH_SECONDS:
            self.bar.update(self.waiting)
            self.waiting, self.refreshed = 0, time.perf_counter()

    def epoch_done(self, row: dict[str, Any]) -> None:
        """Report an epoch's row of the history."""
        epoch, epochs = row["epoch"], self.plan.epochs
        if not self.shown or self.bar is not None or epoch % max(1, epochs // LINES):
            return
        seconds = time.perf_counter() - self.begin
        rate = self.images / seconds
        left = self.plan.n_train * (epochs - epoch) / rate
        print(
            f"{self.label}: epoch {epoch}/{epochs}, batch size {row['batch_size']}, "
            f"loss {row['train_loss']:.4g}, test accuracy {row['test_accuracy']:.1%}, "
            f"{rate:,.0f} images/s, {left:.0f} s left",
            flush=True,
        )
