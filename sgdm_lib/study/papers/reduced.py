"""Counterparts of the papers' runs for a CPU: the same shapes of schedules, no run of the papers.

``quick/digits``: the embedded digits with a fifth of the labels drawn at random (so that the
gradient noise does not vanish), an MLP, 40 epochs: 8 doubled every 5 epochs up to 1024, quadrupled
every 10 up to 512, the shape of the runs on Tiny ImageNet; warm-up of 5 epochs, a rise in each.
Seconds a run.

``cnn/cifar100``: CIFAR-100 as in the papers, augmentation included, with a small CNN, 30 epochs: 8
doubled every 3 epochs up to 4096, quadrupled every 6 up to 2048, the shape of the runs on
CIFAR-100; warm-up of 3 epochs, a rise in each. The full gradient norm, exact, at the end of every
stage, because measuring it costs two thirds of an epoch's training.

Their learning rates are the papers' but for this: these networks have no BatchNorm, and where
NSHB's learning rate would be 1.0 at batch size 8 their rectified units die (chance accuracy for
good). So SHB, whose steps are ten times NSHB's, has 0.03 instead of 0.1 in Kamo & Iiduka's
schedules, and starts from 0.01, the paper's other choice, in Kondo & Iiduka's; no warm-up is
tenfold; SGD's ends at 0.2 (with the CNN, 0.5 diverges).

``cnn10k/cifar100``: the same CNN with BatchNorm and so every learning rate of the papers; 10,000 of
the 50,000 images, 100 a class; 32 epochs: 8 doubled every 4 up to 1024, quadrupled every 8 up to
512, the shape of the runs on Tiny ImageNet, so that the last stages still have steps enough;
warm-up of 4 epochs, a rise in each. Both estimators of the full gradient norm, every 2 epochs.
Minutes a run on one core.

``fair/...``: the comparisons the papers do not make, at full scale, and in each of the reduced ones
as ``nshb/constant128_steps_of_x2`` and ``nshb/x2_from128``: a constant batch size of 128 for as
many steps as the growing run takes, and growth that starts from 128.
"""

from __future__ import annotations

import math
from typing import Any

from sgdm_lib import data
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.schedules import Constant, StageGrowth
from sgdm_lib.study.papers import kamo2025, kondo2025
from sgdm_lib.study.papers.authors import read_authors_config
from sgdm_lib.study.papers.run import CatalogueRun

CONSTANTS = {"constant8": 8, "constant128": 128}
QUICK: dict[str, Any] = {
    "model": "mlp",
    "augment": False,
    "label_noise": 0.2,
    "estimators": ("exact",),
    "precision": "fp32",
}
CNN: dict[str, Any] = {
    "model": "cnn",
    "estimators": ("exact",),
    "gradient_norm_every": 3,
    "precision": "fp32",
}
CNN10K: dict[str, Any] = {
    "model": "cnn_bn",
    "precision": "fp32",
    "n_train": 10_000,
    "estimators": ("exact", "authors"),
    "gradient_norm_every": 2,
}


def runs() -> dict[str, CatalogueRun]:
    """The runs that are not the papers', by name."""
    return (
        _scale("quick", "digits", 40, 5, QUICK)
        | _scale("cnn", "cifar100", 30, 3, CNN)
        | _scale("cnn10k", "cifar100", 32, 4, CNN10K)
        | _fair_runs()
    )


def _scale(
    scale: str, dataset: str, epochs: int, every: int, changes: dict[str, Any]
) -> dict[str, CatalogueRun]:
    kamo = kamo2025.configs(epochs=epochs, every=every, constants=CONSTANTS)
    kondo = kondo2025.configs(epochs=epochs, interval=every, warmup_interval=1)
    where = f"({dataset}, {changes['model']}, {epochs} epochs; not a run of the paper)"
    configs = kamo | kondo
    if changes["model"] != "cnn_bn":
        configs = _without_batchnorm(configs)
    found = {}
    for name, config in configs.items():
        experiment = read_authors_config(config, dataset=dataset).replace(**changes)
        if name in kamo:
            source = f"after Kamo & Iiduka 2025: {kamo2025.SHAPES[name.rpartition('/')[2]]} {where}"
        else:
            source = f"after Kondo & Iiduka 2025, {kondo2025.describe(name)} {where}"
        found[f"{scale}/{dataset}/{name}"] = CatalogueRun(experiment, source)
    base = found[f"{scale}/{dataset}/nshb/x2"].experiment
    for name, experiment, source in _fair(base, every):
        found[f"{scale}/{dataset}/nshb/{name}"] = CatalogueRun(experiment, f"{source} {where}")
    return found


def _fair_runs() -> dict[str, CatalogueRun]:
    """The comparisons the papers do not make, with their network and all of CIFAR-100."""
    x2 = kamo2025.runs()["kamo2025/cifar100/nshb/x2"].experiment
    runs = [
        ("constant8", x2.replace(batch_size=Constant(8)), "constant batch size 8"),
        *_fair(x2, 20),
    ]
    return {
        f"fair/cifar100/nshb/{name}": CatalogueRun(
            experiment, f"{source} (CIFAR-100; not a run of the paper)"
        )
        for name, experiment, source in runs
    }


def _fair(x2: Experiment, every: int) -> list[tuple[str, Experiment, str]]:
    """Name, experiment and description of the baselines of a run with doubling batch size."""
    n = x2.n_train or data.size(x2.dataset).n_train
    epochs = math.ceil(x2.plan(n).total_steps / math.ceil(n / 128))
    cap = int(x2.plan(n).batch_sizes[-1])
    same_steps = x2.replace(
        batch_size=Constant(128), epochs=epochs, gradient_norm_every=_every(x2, epochs)
    )
    return [
        (
            "constant128_steps_of_x2",
            same_steps,
            f"for a fair comparison: batch size 128 for the steps of x2, {epochs} epochs",
        ),
        (
            "x2_from128",
            x2.replace(batch_size=StageGrowth(128, 2, every=every, cap=cap)),
            "for a fair comparison: batch size doubled from 128",
        ),
    ]


def _every(x2: Experiment, epochs: int) -> int:
    """About as many measurements of the gradient norm in the longer run as in the shorter."""
    return x2.gradient_norm_every * max(1, round(epochs / x2.epochs))


def _without_batchnorm(configs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The configurations that networks without BatchNorm survive; see the top of this file."""
    found = {}
    for name, config in configs.items():
        if name == "sgd/warmup_const_max1.0":
            found["sgd/warmup_const_max0.2"] = config | {"lr_max": 0.2}
            continue
        shb, rise = name.startswith("shb/"), config.get("lr_max", 0) / config["init_lr"]
        if shb and not rise:
            config = config | {"init_lr": 0.01 if "lr_method" in config else 0.03}
        if ("warmup" in name and rise > 9) or (shb and config["init_lr"] == 0.1):
            continue
        found[name] = config
    return found
