"""Images per second of the input pipeline: one gather for a batch against torchvision on PIL.

    python benchmarks/input_pipeline.py [--write]

Both sides deliver shuffled, augmented (crop, flip, rotation), normalised float32 batches of 32x32
images with their labels, in the same run on the same cores, taking turns. Theirs is the papers'
pipeline: torchvision transforms on PIL images behind ``DataLoader(num_workers=2)``; the clock
starts at its first batch, so that starting the workers costs it nothing. Ours runs in one thread
and includes the epoch's order and parameters. Before the clocks run, both are compared image by
image for the same parameters.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torchvision
from PIL import Image
from PIL import __version__ as pillow_version
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms
from torchvision.transforms import functional

from sgdm_lib import augment, data

SIZE, PADDING, DEGREES = (32, 32), 4, 15.0
BARS = {8: 6.0, 128: 10.0, 512: 10.0}
RESULTS = Path(__file__).parent / "results"


class PilImages(TorchDataset):  # type: ignore[type-arg]
    """Images kept as torchvision's CIFAR classes keep them: bytes, made into PIL when asked for."""

    def __init__(self, dataset: data.Dataset) -> None:
        self.images = dataset.x_train.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = dataset.y_train.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(SIZE[0], padding=PADDING),
                transforms.RandomHorizontalFlip(),
                transforms.RandomRotation(DEGREES),
                transforms.ToTensor(),
                transforms.Normalize(dataset.mean, dataset.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one augmented image and its label."""
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def their_batches(images: PilImages, batch_size: int, workers: int) -> Iterator[int]:
    """Yield the size of each batch that the DataLoader delivers."""
    loader = DataLoader(images, batch_size=batch_size, shuffle=True, num_workers=workers)
    for x, _ in loader:
        yield len(x)


def our_batches(dataset: data.Dataset, batch_size: int, epoch: int) -> Iterator[int]:
    """Yield the size of each batch that comes out of the resident data set."""
    n = dataset.n_train
    order = data.epoch_permutation(n, 0, epoch)
    generator = data.generator(0, epoch, "augment")
    params = augment.sample_params(n, generator, PADDING, DEGREES, size=SIZE)
    for first in range(0, n, batch_size):
        part = slice(first, first + batch_size)
        moved = augment.augment(dataset.x_train.index_select(0, order[part]), params[part])
        x = augment.normalise(moved, dataset.mean, dataset.std)
        dataset.y_train.index_select(0, order[part])
        yield len(x)


def rate(batches: Iterator[int], seconds: float, *, skip_first: bool) -> float:
    """Return images per second over about ``seconds``, or until the epoch ends."""
    if skip_first:
        next(batches)
    images, start = 0, time.perf_counter()
    for size in batches:
        images += size
        if time.perf_counter() - start >= seconds:
            break
    return images / (time.perf_counter() - start)


def count_differences(dataset: data.Dataset, n: int) -> int:
    """Number of images, of n, that differ from torchvision's on PIL for the same parameters."""
    params = augment.sample_params(n, data.generator(0, 0, "augment"), PADDING, DEGREES, size=SIZE)
    images = dataset.x_train[:n]
    ours = augment.normalise(augment.augment(images, params), dataset.mean, dataset.std)
    differing = 0
    for index in range(n):
        pil = Image.fromarray(np.ascontiguousarray(images[index].permute(1, 2, 0).numpy()))
        pil = functional.pad(pil, [PADDING] * 4, fill=0)
        pil = functional.crop(pil, int(params.top[index]), int(params.left[index]), *SIZE)
        pil = functional.hflip(pil) if params.flip[index] else pil
        pil = functional.rotate(pil, float(params.angle[index]), fill=0)
        theirs = functional.normalize(functional.to_tensor(pil), dataset.mean, dataset.std)
        differing += not torch.equal(ours[index], theirs)
    return differing


def load() -> tuple[data.Dataset, str]:
    """Return real CIFAR-100 if it is there, else random bytes of its shape, and which it is."""
    try:
        return data.load("cifar100"), "real CIFAR-100"
    except data.DataError:
        images = torch.randint(0, 256, (50_000, 3, *SIZE), dtype=torch.uint8)
        labels, channels = torch.arange(50_000) % 100, (0.5, 0.5, 0.5)
        names = tuple(map(str, range(100)))
        fake = data.Dataset("random", images, labels, images, labels, channels, channels, names)
        return fake, "random bytes of CIFAR-100's shape"


def measure(
    dataset: data.Dataset, batch_sizes: list[int], workers: int, repeats: int, seconds: float
) -> list[str]:
    """Return the rows of the table, one a batch size."""
    images, rows = PilImages(dataset), []
    for batch_size in batch_sizes:
        rate(our_batches(dataset, batch_size, 0), 0.5, skip_first=False)  # warm up
        theirs, ours = [], []
        for repeat in range(repeats):
            batches = their_batches(images, batch_size, workers)
            theirs.append(rate(batches, seconds, skip_first=True))
            del batches  # ends the workers before the other side's clock starts
            ours.append(rate(our_batches(dataset, batch_size, repeat), seconds, skip_first=False))
        ratio, bar = median(ours) / median(theirs), BARS.get(batch_size)
        rows.append(
            f"| {batch_size} | {median(theirs):,.0f} ({min(theirs):,.0f} - {max(theirs):,.0f}) "
            f"| {median(ours):,.0f} ({min(ours):,.0f} - {max(ours):,.0f}) | {ratio:.1f} "
            f"| {f'{bar:g}' if bar else ''} |"
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure, print the table and, with --write, keep it among the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=list(BARS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--check", type=int, default=5000, help="images compared bit for bit")
    parser.add_argument("--write", action="store_true", help="write the table into results/")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset, which = load()
    differing = count_differences(dataset, options.check)
    today = datetime.date.today().isoformat()
    head = [
        f"# Input pipeline, {today}",
        "",
        f"Images per second: median (minimum - maximum) of {options.repeats} measurements of "
        f"{options.seconds:g} s, taking turns; ratio of the medians. Data: {which}.",
        f"{differing} of {options.check:,} images differ between the two for the same parameters "
        "(compared bit for bit after normalisation).",
        "",
        f"Machine: {os.cpu_count()} CPU cores ({platform.machine()}), {options.workers} worker "
        f"processes for theirs, one thread for ours, load {os.getloadavg()[0]:.1f} "
        f"at the start. Python {platform.python_version()}, torch {torch.__version__}, torchvision "
        f"{torchvision.__version__}, Pillow {pillow_version}.",
        "",
        f"| batch size | torchvision on PIL, DataLoader({options.workers} workers) | sgdm_lib | "
        "ratio | bar |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(head), flush=True)
    rows = measure(dataset, options.batch_sizes, options.workers, options.repeats, options.seconds)
    end = (
        f"Load at the end: {os.getloadavg()[0]:.1f}. The measurement itself is at most three "
        "busy processes; more means that others used the machine, which costs both sides."
    )
    print(end)
    command = "`SGDM_DATA=... python benchmarks/input_pipeline.py --write`"
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / f"input_pipeline_{today}.md"
        file.write_text("\n".join([*head, *rows, "", end, "", f"Made by {command}.", ""]))
        print(f"written to {file}")


if __name__ == "__main__":
    main()
