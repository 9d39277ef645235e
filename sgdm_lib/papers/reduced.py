"""Counterparts of the papers' runs for a CPU: the same shapes of schedules, no run of the papers.

``quick/digits``: the embedded digits with a fifth of the labels drawn at random (so that the
gradient noise does not vanish), an MLP, 40 epochs: 8 doubled every 5 epochs up to 1024, quadrupled
every 10 up to 512, the shape of the runs on Tiny ImageNet; warm-up of 5 epochs, a rise in each.
Seconds a run.

``cnn/cifar100``: CIFAR-100 as in the papers, augmentation included, with a small CNN, 30 epochs: 8
doubled every 3 epochs up to 4096, quadrupled every 6 up to 2048, the shape of the runs on
CIFAR-100; warm-up of 3 epochs, a rise in each. The full gradient norm, exact, at the end of every
stage, because measuring it costs two thirds of an epoch's training.

Learning rates are the papers' but for this: these networks have no BatchNorm, and where NSHB's
learning rate would be 1.0 at batch size 8 their rectified units die (chance accuracy for good). So
SHB, whose steps are ten times NSHB's, has 0.03 instead of 0.1 in Kamo & Iiduka's schedules, and
starts from 0.01, the paper's other choice, in Kondo & Iiduka's; no warm-up is tenfold; SGD's ends
at 0.2 (with the CNN, 0.5 diverges).
"""

from __future__ import annotations

from typing import Any

from sgdm_lib.papers import kamo2025, kondo2025
from sgdm_lib.papers.authors import read_authors_config
from sgdm_lib.papers.run import CatalogueRun

CONSTANTS = {"constant8": 8, "constant128": 128}
QUICK: dict[str, Any] = {
    "model": "mlp",
    "augment": False,
    "label_noise": 0.2,
    "estimators": ("exact",),
}
CNN: dict[str, Any] = {"model": "cnn", "estimators": ("exact",), "gradient_norm_every": 3}


def runs() -> dict[str, CatalogueRun]:
    """The reduced runs by name, ``quick/digits/...`` and ``cnn/cifar100/...``."""
    return _runs("quick", "digits", 40, 5, QUICK) | _runs("cnn", "cifar100", 30, 3, CNN)


def _runs(
    scale: str, dataset: str, epochs: int, every: int, changes: dict[str, Any]
) -> dict[str, CatalogueRun]:
    kamo = kamo2025.configs(epochs=epochs, every=every, constants=CONSTANTS)
    kondo = kondo2025.configs(epochs=epochs, interval=every, warmup_interval=1)
    where = f"({dataset}, {changes['model']}, {epochs} epochs; not a run of the paper)"
    found = {}
    for name, config in _without_batchnorm(kamo | kondo).items():
        experiment = read_authors_config(config, dataset=dataset).replace(**changes)
        if name in kamo:
            source = f"after Kamo & Iiduka 2025: {kamo2025.SHAPES[name.rpartition('/')[2]]} {where}"
        else:
            source = f"after Kondo & Iiduka 2025, {kondo2025.describe(name)} {where}"
        found[f"{scale}/{dataset}/{name}"] = CatalogueRun(experiment, source)
    return found


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
