"""Reader of the JSON files that describe a run in the code published by the authors of both papers.

Two flavours exist. Kamo & Iiduka's files have no ``lr_method``: the learning rate is constant, the
momentum 0.9, and NSHB and SHB are called ``custom_momentum`` and ``momentum``. Kondo & Iiduka's
have ``lr_method`` and ``init_beta``. Their first version said ``nshb: true | false`` and
``beta_method: "constant"`` where the present one says ``optimizer``; both are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from sgdm_lib.checks import choice, shown
from sgdm_lib.engine.experiment import ESTIMATORS, Experiment
from sgdm_lib.schedules import (
    AffineGrowthTo,
    Constant,
    Cosine,
    Diminishing,
    GrowthTo,
    Polynomial,
    Schedule,
    StageGrowth,
    WarmUp,
    linear,
)
from sgdm_lib.study.papers.authors_keys import Keys, content_of

KAMO_OPTIMIZERS = {
    "custom_momentum": "nshb",
    "momentum": "shb",
    **{name: name for name in ("sgd", "adam", "adamw", "rmsprop")},
}
KONDO_OPTIMIZERS = ("nshb", "shb", "sgd", "adam", "adamw", "rmsprop")
MODELS = {"resnet18": "resnet18", "WideResNet28_10": "wideresnet28_10"}


def read_authors_config(
    config: str | PathLike[str] | Mapping[str, Any], *, dataset: str = "cifar100"
) -> Experiment:
    """The experiment that one of the authors' JSON files describes.

    With k = floor(epoch / incr_interval), epochs counted from 0, the batch size is init_bs, or
    init_bs * bs_growth_rate^k, or with ``bs_max``, which is no cap, the ladder of
    :class:`~sgdm_lib.schedules.AffineGrowthTo` that ends there; always rounded up. The learning
    rate follows ``lr_method``: constant; cosine (per epoch); diminishing, linear, poly (per step);
    exp_growth; warmup_const, warmup_cosine. Keys that the chosen methods do not use are left aside,
    as in the authors' code, and so are ``use_wandb``, ``checkpoint_path`` and ``csv_path``; a null
    counts as absent. What the files do not say is as in the papers: augmentation, weight decay 0.01
    for AdamW and 0 otherwise, both estimators of the full gradient norm.

    Args:
        config: path of the file, or its content as a mapping.
        dataset: the files do not name it; the authors have one script for each data set.

    Returns:
        The experiment, with seed 0.

    Raises:
        ValueError: if the file cannot be read, a key is unknown or missing, or a value has a wrong
            type or is out of range; the message names the file, the key and the fix.

    Evidence: the files and scripts that accompany Kamo & Iiduka 2025 (arXiv 2501.08883) and Kondo &
    Iiduka 2025 (arXiv 2508.03105).

    >>> config = {"optimizer": "nshb", "model": "resnet18", "bs_method": "exp_growth",
    ...           "lr_method": "exp_growth", "init_bs": 8, "init_lr": 0.1, "init_beta": 0.87,
    ...           "lr_max": 1.0, "epochs": 300, "incr_interval": 30, "bs_growth_rate": 2.0}
    >>> run = read_authors_config(config)
    >>> str(run.lr), str(run.batch_size), run.plan(50_000).total_steps
    ('0.1*(1/0.1)^(floor(t/30)*30/(T-30))', '8*2^floor(t/30)', 374760)
    >>> read_authors_config({**config, "lr_methods": "cosine"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: authors' configuration: unknown key 'lr_methods': remove it, or use one of ...
    """
    where, content = content_of(config)
    try:
        return _experiment(Keys(content), dataset)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _experiment(keys: Keys, dataset: str) -> Experiment:
    optimizer = _optimizer(keys)
    fix = "the networks of sgdm_lib.models that the authors have too"
    model = MODELS[choice("model", keys.need("model"), MODELS, fix=fix)]
    momentum = None
    if optimizer in ("nshb", "shb"):
        momentum = 0.9
        if keys.kondo:
            momentum = keys.real("init_beta", f"optimizer {optimizer!r}", at_least=0, below=1)
    return Experiment(
        dataset=dataset,
        model=model,
        optimizer=optimizer,
        epochs=keys.whole("epochs", at_least=1),
        batch_size=_batch_size(keys),
        lr=_lr(keys),
        momentum=momentum,
        weight_decay=0.01 if optimizer == "adamw" else 0.0,
        augment=True,
        precision="tf32",  # PyTorch's default for convolutions on the authors' A100
        estimators=ESTIMATORS,
    )


def _optimizer(keys: Keys) -> str:
    if "beta_method" in keys:
        fix = "the papers keep the momentum fixed"
        choice("beta_method", keys.values["beta_method"], ["constant"], fix=fix)
    if "nshb" not in keys:
        if not keys.kondo:
            return KAMO_OPTIMIZERS[keys.word("optimizer", KAMO_OPTIMIZERS)]
        theirs = keys.values.get("optimizer") in list(KAMO_OPTIMIZERS)  # it may be any JSON
        fix = "Kamo & Iiduka's name; their files have no lr_method" if theirs else ""
        return choice("optimizer", keys.need("optimizer"), KONDO_OPTIMIZERS, fix=fix)
    if "optimizer" in keys:
        raise ValueError("the keys 'nshb' and 'optimizer' say the same: remove 'nshb'")
    if not isinstance(keys.values["nshb"], bool):
        raise ValueError(f"nshb must be true or false, got {shown(keys.values['nshb'])}")
    return "nshb" if keys.values["nshb"] else "shb"


def _batch_size(keys: Keys) -> Schedule:
    method = keys.word("bs_method", ["constant", "exp_growth"])
    start = keys.whole("init_bs", at_least=1)
    if method == "constant":
        return Constant(start)
    because = "bs_method 'exp_growth'"
    if "bs_max" not in keys:
        every = keys.whole("incr_interval", because, at_least=1)
        return StageGrowth(start, keys.real("bs_growth_rate", because, at_least=1), every)
    rate = keys.real("bs_growth_rate", because, above=1, fix="bs_max needs growth")
    every = keys.interval("incr_interval", "bs_max", "epochs")
    return AffineGrowthTo(start, keys.whole("bs_max", at_least=start), rate, every)


def _lr(keys: Keys) -> Schedule:
    start = keys.real("init_lr", above=0)
    if not keys.kondo:
        return Constant(start)
    return LR_METHODS[keys.word("lr_method", LR_METHODS)](keys, start)


def _cosine(keys: Keys, start: float) -> Schedule:
    return Cosine(start, _lr_min(keys, start))


def _lr_min(keys: Keys, start: float) -> float:
    return keys.real("lr_min", at_least=0, at_most=start) if "lr_min" in keys else 0.0


def _poly(keys: Keys, start: float) -> Schedule:
    return Polynomial(start, power=keys.real("power", "lr_method 'poly'", above=0))


def _growing(keys: Keys, start: float) -> Schedule:
    because = "lr_method 'exp_growth'"
    if "lr_growth_rate" not in keys:
        every = keys.interval("incr_interval", because, "epochs")
        return GrowthTo(start, _lr_max(keys, start, because), every)
    if "lr_max" not in keys:
        every = keys.whole("incr_interval", because, at_least=1)
        return StageGrowth(start, keys.real("lr_growth_rate", above=0), every)
    rate = keys.real("lr_growth_rate", above=1, fix="with lr_max it must grow")
    every = keys.interval("incr_interval", because, "epochs")
    return AffineGrowthTo(start, _lr_max(keys, start, because), rate, every)


def _lr_max(keys: Keys, start: float, because: str) -> float:
    either = f"{because} without 'lr_growth_rate'"
    return keys.real("lr_max", either, at_least=start, fix="init_lr is where the growth begins")


def _warm_up(keys: Keys, start: float, then: Callable[[float], Schedule]) -> Schedule:
    """The rise, then ``then(peak)``; ``lr_growth_rate`` takes precedence over ``lr_max``."""
    because = f"lr_method {keys.values['lr_method']!r}"
    every = keys.interval("warmup_interval", because, "warmup_epochs")
    fix = "below epochs, so that something is left after the warm-up"
    last = keys.whole("epochs", at_least=1) - 1
    length = keys.whole("warmup_epochs", because, at_least=1, at_most=last, fix=fix)
    if "lr_growth_rate" not in keys:
        peak = _lr_max(keys, start, because)
        return WarmUp(GrowthTo(start, peak, every), length, then(peak))
    rate = keys.real("lr_growth_rate", above=0)
    peak = start * rate ** ((length - every) // every)
    return WarmUp(StageGrowth(start, rate, every), length, then(peak))


def _warm_up_cosine(keys: Keys, start: float) -> Schedule:
    return _warm_up(keys, start, lambda peak: Cosine(peak, _lr_min(keys, peak)))


LR_METHODS: dict[str, Callable[[Keys, float], Schedule]] = {
    "constant": lambda keys, start: Constant(start),
    "cosine": _cosine,
    "diminishing": lambda keys, start: Diminishing(start),
    "linear": lambda keys, start: linear(start),
    "poly": _poly,
    "exp_growth": _growing,
    "warmup_const": lambda keys, start: _warm_up(keys, start, Constant),
    "warmup_cosine": _warm_up_cosine,
}
