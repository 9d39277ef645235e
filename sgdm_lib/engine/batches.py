"""A data set on the device, cut into an epoch's batches as the plan says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from sgdm_lib import data
from sgdm_lib.augment import AugmentParams, augment, normalise, sample_params
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.gradients.full import pass_size
from sgdm_lib.plan import TrainingPlan

BLOCK = 2_048  # images gathered and augmented at once: many tiny batches share the fixed cost


def load_data(experiment: Experiment, root: str | os.PathLike[str] | None = None) -> data.Dataset:
    """The experiment's data set, its subset and its random labels applied.

    The subset and the labels do not depend on the experiment's seed, so that seeds share them.

    Raises:
        sgdm_lib.data.DataError: if the data set is not there.
    """
    dataset = data.load(experiment.dataset, root)
    if experiment.n_train is not None:
        dataset = data.subset(dataset, experiment.n_train)
    if experiment.label_noise > 0:
        dataset = data.with_random_labels(dataset, experiment.label_noise)
    return dataset


class EpochBatches:
    """A data set on the device as bytes, cut into batches as the plan says.

    Images become floats a block at a time: the whole set as floats would take four times the room.
    """

    def __init__(self, dataset: data.Dataset, experiment: Experiment, device: torch.device) -> None:
        self.dataset, self.experiment, self.device = dataset, experiment, device
        self.y_train, self.y_test = dataset.y_train.to(device), dataset.y_test.to(device)
        self.x_train, self.x_test = dataset.x_train.to(device), dataset.x_test.to(device)
        self.ahead = device.type == "cuda"  # a CPU would only take time from training
        self.sampled: dict[str, tuple[tuple[int, int], Future[AugmentParams]]] = {}
        if device.type == "cuda":
            # kept constants come into being here, before runs on several streams share them, also
            # those of augmentation, which another run on the same data may need
            warm = self.sharing(experiment.replace(augment=True))
            next(warm.blocks(torch.arange(1, device="cpu"), 1, 0, 0, "augment"))
            torch.cuda.synchronize(device)

    def sharing(self, experiment: Experiment) -> EpochBatches:
        """A source for another experiment on the same data: the same tensors."""
        other = copy(self)
        other.experiment, other.sampled = experiment, {}
        return other

    def pieces(self, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        """All images of "train" or "test" in order, not augmented, as many as fit one pass."""
        x, y = (self.x_train, self.y_train) if part == "train" else (self.x_test, self.y_test)
        size = pass_size(self.dataset.shape, self.device)
        for images, labels in zip(x.split(size), y.split(size), strict=True):
            yield self._ready(images), labels

    def batches(self, plan: TrainingPlan, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The rest of the epoch in which ``step`` lies, from that step on."""
        at = plan.position(step)
        order = data.epoch_permutation(plan.n_train, self.experiment.seed, at.epoch)
        yield from self.in_order(order, at.batch_size, at.first, at.epoch, "augment")

    def in_order(
        self, order: Tensor, batch_size: int, first: int, epoch: int, stream: str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the training images in that order, augmented if the experiment says so."""
        for x, y in self.blocks(order, batch_size, first, epoch, stream):
            yield from zip(x.split(batch_size), y.split(batch_size), strict=True)

    def blocks(
        self, order: Tensor, batch_size: int, first: int, epoch: int, stream: str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """As :meth:`in_order`, several whole batches at a time."""
        n, order = len(order), order.to(self.device)
        params = self._augment_params(n, epoch, stream)
        size = max(batch_size, BLOCK // batch_size * batch_size)
        for a in range(first, n, size):
            which = order[a : a + size]
            pixels = self.x_train[which]
            if params is not None:
                pixels = augment(pixels, params[a : a + size])
            yield self._ready(pixels), self.y_train[which]

    def _augment_params(self, n: int, epoch: int, stream: str) -> AugmentParams | None:
        """An epoch's augmentation; beside a GPU the next one's is drawn meanwhile, in a thread."""
        if not self.experiment.augment:
            return None
        wanted, (key, pending) = (n, epoch), self.sampled.pop(stream, (None, None))
        params = pending.result() if pending and key == wanted else self._sampled(n, epoch, stream)
        each = self.experiment.gradient_norm_every if stream == "measure_augment" else 1
        if self.ahead and epoch + each < self.experiment.epochs:
            pending = _sampler().submit(self._sampled, n, epoch + each, stream)
            self.sampled[stream] = (n, epoch + each), pending
        return replace(params, table=params.table.to(self.device))  # the rest is for people

    def _sampled(self, n: int, epoch: int, stream: str) -> AugmentParams:
        height, width = self.dataset.shape[1:]
        generator = data.generator(self.experiment.seed, epoch, stream)
        return sample_params(n, generator, padding=height // 8, size=(height, width))

    def _ready(self, pixels: Tensor) -> Tensor:
        images = normalise(pixels, self.dataset.mean, self.dataset.std)
        return images.contiguous(memory_format=layout(self.experiment))


@cache
def _sampler() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "augmentation")


def layout(experiment: Experiment) -> torch.memory_format:
    """Channels last for nets of convolutions, which run faster so; the usual order for others."""
    return torch.contiguous_format if experiment.model == "mlp" else torch.channels_last
