"""The engine beside the loop everybody writes: PIL, torchvision, DataLoader, ``.item()``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from sgdm_lib import data, models
from sgdm_lib.engine.batches import EpochBatches, load_data
from sgdm_lib.engine.device import choose_device, numerics
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.interleave import on
from sgdm_lib.engine.interrupt import StopRequest
from sgdm_lib.engine.progress import Progress
from sgdm_lib.engine.run_state import RunState
from sgdm_lib.engine.steps import choose_mode

WARM_UP = 5  # steps before the clock: workers start, graphs are captured, libraries load
AT_LEAST = 3  # timed steps
LR = 1e-4


def plain_loop(
    experiment: Experiment,
    batch_sizes: Sequence[int],
    *,
    device: str = "auto",
    mode: str = "auto",
    workers: int = 2,
    seconds: float = 5.0,
    data_root: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Images per second of training, input included: this engine and the papers' way, in turn.

    The plain loop is that of the papers' code: torchvision transforms on PIL images behind a
    ``DataLoader``, the network as it comes, ``torch.optim.SGD`` with momentum, and two ``.item()``
    a step. Neither measures gradients; the engine's time includes its test pass wherever an epoch
    ends.

    Args:
        experiment: says which data, network, augmentation and precision; the engine runs it with
            each of the batch sizes.
        batch_sizes: to measure at.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        mode: of the engine's steps.
        workers: of the ``DataLoader``.
        seconds: to spend on each number after its warm-up, at most.
        data_root: folder of the data sets.

    Returns:
        One row a batch size: ``engine`` and ``plain`` in images/s, their ``ratio``, and how many
        steps each was timed over.

    Raises:
        ValueError: if the device or mode is unknown.
        sgdm_lib.data.DataError: if the data set is not there.
    """
    where = choose_device(device)
    mode, dataset = choose_mode(mode, where), load_data(experiment, data_root)
    source, rows = EpochBatches(dataset, experiment, where), []
    for size in batch_sizes:
        with numerics(experiment.precision):
            theirs, their_steps = _rate(_plain(experiment, dataset, size, where, workers), seconds)
            # enough epochs for the clock to stop first, at a rate at which nothing diverges
            asked = experiment.replace(batch_size=size, epochs=10_000, lr=LR, estimators=())
            training = RunState(asked, source.sharing(asked), None, mode)
            with on(training.stream):
                ours, our_steps = _rate(_engine(training), seconds)
        rows.append(
            {
                "batch_size": size,
                "engine": ours,
                "plain": theirs,
                "ratio": ours / theirs,
                "engine_steps": our_steps,
                "plain_steps": their_steps,
            }
        )
    return pd.DataFrame(rows).assign(
        model=experiment.model,
        dataset=experiment.dataset,
        precision=experiment.precision,
        mode=mode,
        workers=workers,
    )


def _rate(steps: Iterator[int], seconds: float) -> tuple[float, int]:
    """Images per second, and over how many steps; each item is a step's number of images."""
    _wait()  # what the first step needs may still be on its way, on another stream
    for _ in islice(steps, WARM_UP):
        pass
    _wait()
    images = count = 0
    begin = time.perf_counter()
    while count < AT_LEAST or time.perf_counter() - begin < seconds:
        images, count = images + next(steps), count + 1
    _wait()
    return images / (time.perf_counter() - begin), count


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _engine(training: RunState) -> Iterator[int]:
    """The engine's own loop."""
    bar = Progress(training.plan, shown=False, label="")
    before = 0
    for _ in training.advance(StopRequest(), bar):
        yield bar.images - before
        before = bar.images


def _plain(
    experiment: Experiment, dataset: data.Dataset, size: int, device: torch.device, workers: int
) -> Iterator[int]:
    """The papers' loop."""
    model = models.build(experiment.model, dataset.shape, len(dataset.classes), seed=0).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9)
    loader = DataLoader(
        Pictures(dataset, experiment.augment), size, shuffle=True, num_workers=workers
    )
    total, correct = 0.0, 0
    model.train()
    while True:
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            logits = _forward(model, x, experiment.precision)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            total += loss.item()
            correct += (logits.argmax(1) == y).sum().item()
            yield len(y)


def _forward(model: nn.Module, x: Tensor, precision: str) -> Tensor:
    if precision != "bf16":
        return model(x)
    with torch.autocast(x.device.type, torch.bfloat16):
        return model(x).float()


class Pictures(TorchDataset[tuple[Tensor, int]]):
    """The training images as PIL pictures through the papers' torchvision transforms.

    Args:
        dataset: the images.
        augment: crop, flip and rotate them.
    """

    def __init__(self, dataset: data.Dataset, augment: bool) -> None:
        from torchvision import transforms as T

        height, width = dataset.shape[1:]
        changes: list[Any] = []
        if augment:
            changes = [
                T.RandomCrop((height, width), padding=height // 8),
                T.RandomHorizontalFlip(),
                T.RandomRotation(15),
            ]
        self.transform = T.Compose([*changes, T.ToTensor(), T.Normalize(dataset.mean, dataset.std)])
        self.pixels = dataset.x_train.permute(0, 2, 3, 1).squeeze(-1).numpy()
        self.labels = dataset.y_train.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]
