"""The runs of Kamo & Iiduka 2025 (arXiv 2501.08883).

ResNet-18, 200 epochs, lr 0.1 for SGD, SHB and NSHB, 1e-3 for Adam and AdamW, 1e-2 for RMSprop,
momentum 0.9, nothing scheduled but the batch size: 128; from 8 doubled every 20 epochs (25 on Tiny
ImageNet); from 8 quadrupled every 40 (50).
"""

from __future__ import annotations

from typing import Any

from sgdm_lib.schedules import Constant, StageGrowth
from sgdm_lib.study.papers.authors import read_authors_config
from sgdm_lib.study.papers.run import CatalogueRun

LR = {"nshb": 0.1, "shb": 0.1, "sgd": 0.1, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-2}
AUTHORS_NAMES = {"nshb": "custom_momentum", "shb": "momentum"}
TITLES = {"cifar100": "CIFAR-100", "tiny_imagenet": "Tiny ImageNet"}
FIGURES = {"constant": "Fig. 1", "x2": "Fig. 2", "x4": "Fig. 3"}
SHAPES = {
    "constant": "constant batch size 128",
    "constant8": "constant batch size 8",
    "constant128": "constant batch size 128",
    "x2": "batch size doubled from 8",
    "x4": "batch size quadrupled from 8",
}
# Of the tables the paper prints the SFO; the epoch at whose end it is reached was worked out from
# steps x batch size. It also shows that "cap 1024" is a cap and not the authors' `bs_max` ladder:
# 2,050,016 = 20 * 50,000 + 20 * 50,000 + 50,016 is epoch 41 at batch size 32 (the ladder has 14),
# and 1,301,376 = 25 * 50,048 + 50,176 is epoch 26 at 256 (the ladder has 136). No threshold is
# reached late enough for the cap itself to matter.
SFO_SCHEDULES = {
    "b8": Constant(8),
    "b8_x2_every20": StageGrowth(8, 2, every=20, cap=1024),
    "b128": Constant(128),
    "b128_x2_every50": StageGrowth(128, 2, every=50, cap=1024),
    "b128_x2_every25": StageGrowth(128, 2, every=25, cap=1024),
}
SFO_THRESHOLDS = {
    "b8": "gradient norm 0.1, 0.05 and test accuracy 70%",
    "b8_x2_every20": "gradient norm 0.1, 0.05 and test accuracy 70%",
    "b128": "gradient norm 0.1, 0.06 and test accuracy 70%",
    "b128_x2_every50": "gradient norm 0.1, 0.06",
    "b128_x2_every25": "test accuracy 70%",
}


def runs() -> dict[str, CatalogueRun]:
    """The paper's runs by name: CIFAR-100, Tiny ImageNet, and those of the SFO tables."""
    found = {}
    for dataset, every in (("cifar100", 20), ("tiny_imagenet", 25)):
        for name, config in configs(epochs=200, every=every).items():
            schedule = name.rpartition("/")[2]
            place = f"section 4, {FIGURES[schedule]}" if every == 20 else "appendix A.4"
            source = f"Kamo & Iiduka 2025, {place}: {SHAPES[schedule]} ({TITLES[dataset]})"
            experiment = read_authors_config(config, dataset=dataset)
            found[f"kamo2025/{dataset}/{name}"] = CatalogueRun(experiment, source, config)
    return found | _sfo_runs()


def _sfo_runs() -> dict[str, CatalogueRun]:
    base = read_authors_config(config("nshb", epochs=200, batch_size=128))
    return {
        f"kamo2025/sfo/{name}": CatalogueRun(
            base.replace(batch_size=schedule),
            "Kamo & Iiduka 2025, section 4.2, Tables 2-5: gradient computations (SFO) to "
            f"{SFO_THRESHOLDS[name]} (NSHB, CIFAR-100)",
            config("nshb", epochs=200, batch_size=int(schedule.value))
            if isinstance(schedule, Constant)
            else None,
        )
        for name, schedule in SFO_SCHEDULES.items()
    }


def configs(
    *, epochs: int, every: int, constants: dict[str, int] | None = None
) -> dict[str, dict[str, Any]]:
    """The schedules for all six optimizers, in the authors' JSON keys.

    Args:
        epochs: length of the runs.
        every: epochs from one doubling to the next; a quadrupling takes twice as long.
        constants: the constant batch sizes by name; default 128 as ``constant``.

    Returns:
        Configurations by name: ``nshb/constant``, ``nshb/x2``, ``nshb/x4``, ``shb/constant``...
    """
    constants = {"constant": 128} if constants is None else constants
    found = {}
    for optimizer in LR:
        for name, size in constants.items():
            found[f"{optimizer}/{name}"] = config(optimizer, epochs=epochs, batch_size=size)
        for rate, interval in ((2, every), (4, 2 * every)):
            growth = {"incr_interval": interval, "bs_growth_rate": float(rate)}
            grown = config(optimizer, epochs=epochs, batch_size=8, **growth)
            found[f"{optimizer}/x{rate}"] = grown
    return found


def config(optimizer: str, *, epochs: int, batch_size: int, **growth: float) -> dict[str, Any]:
    """One run in the authors' JSON keys; with ``growth`` the batch size grows."""
    return {
        "model": "resnet18",
        "optimizer": AUTHORS_NAMES.get(optimizer, optimizer),
        "bs_method": "exp_growth" if growth else "constant",
        "init_bs": batch_size,
        "init_lr": LR[optimizer],
        "epochs": epochs,
        **growth,
    }
