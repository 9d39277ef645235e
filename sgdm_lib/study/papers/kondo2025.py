"""The runs of Kondo & Iiduka 2025 (arXiv 2508.03105).

ResNet-18, 300 epochs, momentum 0.9 (0.87 where the learning rate grows tenfold), NSHB and SHB:

* (i) batch size 128, learning rate 0.1 constant or decaying;
* (ii) batch size from 8 doubled every 30 epochs, the same learning rates;
* (iii) batch size as in (ii), learning rate growing at the same epochs;
* (iv) batch size as in (ii), learning rate raised every 3 of the first 30 epochs, then constant or
  decaying along a cosine;

and SGD, Adam, AdamW and RMSprop for comparison. On Tiny ImageNet (NSHB only) the batch size grows
along the ladder 8, 10, 14, 22, 38, 70, 134, 261, 516, 1024.

The authors publish 62 files. The 51 for CIFAR-100 (19 NSHB, 28 SHB, 4 others) are all here. Of the
11 that this leaves for Tiny ImageNet six are known by name; which of the 13 other runs of the same
kinds the remaining five are is not known to us, so all 19 are here and ``source`` tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sgdm_lib.study.papers.authors import read_authors_config
from sgdm_lib.study.papers.run import CatalogueRun

DECAYS: dict[str, dict[str, Any]] = {
    "constant": {},
    "cosine": {},
    "diminishing": {},
    "linear": {},
    "poly": {"power": 2.0},
}
RISES = {
    "nshb": ((0.1, 0.2), (0.1, 0.5), (0.1, 1.0)),
    "shb": ((0.01, 0.02), (0.01, 0.05), (0.01, 0.1), (0.1, 0.2), (0.1, 0.5), (0.1, 1.0)),
}
OTHERS = {"adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-2}
FOLDERS = {
    "constant": "const_bs_decay_lr",
    "growing": "incr_bs_decay_lr",
    "both": "incr_bs_incr_lr",
    "warmup": "incr_bs_warmup_lr",
}
TINY_FILES = (
    "constant_poly",
    "growing_constant",
    "growing_diminishing",
    "both_growing_max1.0",
    "warmup_const_max0.5",
    "warmup_const_max1.0",
)


def runs() -> dict[str, CatalogueRun]:
    """The paper's runs by name: all on CIFAR-100, NSHB's on Tiny ImageNet too."""
    found = {}
    for name, config in configs().items():
        experiment = read_authors_config(config)
        found[f"kondo2025/cifar100/{name}"] = CatalogueRun(experiment, _source(name), config)
    for name, config in configs(bs_max=1024).items():
        if name.startswith("nshb/"):
            if name == "nshb/warmup_const_max0.5":
                config["init_beta"] = 0.87  # so says the authors' file, though 0.5 is fivefold only
            experiment = read_authors_config(config, dataset="tiny_imagenet")
            tiny = CatalogueRun(experiment, _tiny_source(name), config)
            found[f"kondo2025/tiny_imagenet/{name}"] = tiny
    return found


def configs(
    *,
    epochs: int = 300,
    interval: int = 30,
    warmup_interval: int = 3,
    bs_max: int | None = None,
) -> dict[str, dict[str, Any]]:
    """All schedules (i)-(iv) and the other optimizers, in the authors' JSON keys.

    Args:
        epochs: length of the runs.
        interval: epochs from one growth to the next, and length of the warm-up.
        warmup_interval: epochs from one rise to the next in the warm-up.
        bs_max: end of the batch-size ladder; None: pure doubling.

    Returns:
        Configurations by name: ``nshb/constant_cosine``, ..., ``shb/warmup_cosine_max0.5``, ...
    """
    growth: dict[str, Any] = {"bs_method": "exp_growth", "init_bs": 8, "bs_growth_rate": 2.0}
    growth |= {"incr_interval": interval} | ({} if bs_max is None else {"bs_max": bs_max})
    constant = {"bs_method": "constant", "init_bs": 128}
    warmup = {"warmup_epochs": interval, "warmup_interval": warmup_interval}
    found = {}
    for optimizer in RISES:
        for batch, sizes in (("constant", constant), ("growing", growth)):
            for method, extra in DECAYS.items():
                lr = {"lr_method": method, "init_lr": 0.1, "init_beta": 0.9, **extra}
                found[f"{optimizer}/{batch}_{method}"] = sizes | lr
        for name, lr in _rises(optimizer, warmup):
            found[f"{optimizer}/{name}"] = growth | lr
    to_one = {"lr_method": "warmup_const", "init_lr": 0.1, "lr_max": 1.0, **warmup}
    found["sgd/warmup_const_max1.0"] = growth | to_one
    for optimizer, lr0 in OTHERS.items():
        found[f"{optimizer}/growing_constant"] = growth | {"lr_method": "constant", "init_lr": lr0}
    return {
        name: {"optimizer": name.partition("/")[0], "model": "resnet18", "epochs": epochs, **config}
        for name, config in found.items()
    }


def _rises(optimizer: str, warmup: dict[str, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Schedules (iii) and (iv): names and the keys of the learning rate."""
    methods: tuple[tuple[str, str, dict[str, int]], ...] = (
        ("both_growing", "exp_growth", {}),
        ("warmup_const", "warmup_const", warmup),
        ("warmup_cosine", "warmup_cosine", warmup),
    )
    for name, method, extra in methods:
        for start, end in RISES[optimizer]:
            beta = 0.87 if end / start > 9 else 0.9
            lr = {"lr_method": method, "init_lr": start, "lr_max": end, "init_beta": beta}
            yield f"{name}_max{end}", lr | extra


def describe(name: str) -> str:
    """The schedule of a name such as ``nshb/growing_cosine`` in words."""
    kind, _, rest = name.partition("/")[2].partition("_")
    method, _, peak = rest.partition("_max")
    if kind == "constant":
        return f"(i) constant batch size, {method} lr"
    if kind == "growing":
        return f"(ii) growing batch size, {method} lr"
    if kind == "both":
        return f"(iii) growing batch size and lr, lr to {peak}"
    after = {"const": "constant", "cosine": "cosine"}[method]
    return f"(iv) growing batch size, warm-up of the lr to {peak}, then {after}"


def _file(name: str, folder: str) -> str:
    """The authors' file of a run."""
    kind, _, rest = name.partition("/")[2].partition("_")
    stem = rest.replace("poly", "poly_2.0")
    if kind == "both":
        stem = rest.replace("growing", "doubly_incr_lr")
    elif kind == "warmup":
        stem = f"warmup_{rest}"
    return f"{folder}/{FOLDERS[kind]}/{stem}.json"


def _source(name: str) -> str:
    optimizer = name.partition("/")[0]
    file = f"json_other/{optimizer}.json"
    if optimizer in RISES:
        file = _file(name, f"json_{optimizer}")
    return f"Kondo & Iiduka 2025, {describe(name)} (CIFAR-100); authors' file {file}"


def _tiny_source(name: str) -> str:
    file = f"authors' file {_file(name, 'nshb_tiny_imagenet')}"
    if name.partition("/")[2] not in TINY_FILES:
        file = "built like the others of its kind, no file of the authors' known to us"
    return f"Kondo & Iiduka 2025, {describe(name)} (Tiny ImageNet); {file}"
