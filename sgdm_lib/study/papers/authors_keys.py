"""The keys of the authors' JSON files: which there are, and each value checked when it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from sgdm_lib.checks import choice, integer, number

IGNORED = ("use_wandb", "checkpoint_path", "csv_path")
MEANING = {
    "model": "the network",
    "optimizer": "the optimizer",
    "bs_method": "how the batch size changes",
    "lr_method": "how the learning rate changes",
    "init_bs": "the first batch size",
    "init_lr": "the first learning rate",
    "init_beta": "the momentum",
    "epochs": "the number of epochs",
    "incr_interval": "the epochs from one growth to the next",
    "bs_growth_rate": "the factor of the batch size",
    "bs_max": "the last batch size",
    "lr_max": "the largest learning rate",
    "lr_min": "the last learning rate of the cosine",
    "lr_growth_rate": "the factor of the learning rate",
    "warmup_epochs": "the length of the warm-up",
    "warmup_interval": "the epochs from one rise to the next",
    "power": "the exponent of the polynomial",
}
KAMO_KEYS = (
    *("model", "optimizer", "bs_method", "init_bs", "init_lr", "epochs"),
    *("incr_interval", "bs_growth_rate", "bs_max"),
)
EARLIER_KEYS = ("nshb", "beta_method")  # of the first version of Kondo & Iiduka's files
KONDO_KEYS = (*MEANING, *EARLIER_KEYS)
WORDS = ("model", "optimizer", "bs_method", "lr_method", *EARLIER_KEYS)


def content_of(config: str | PathLike[str] | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What to call the configuration in messages, and its keys."""
    if isinstance(config, Mapping):
        return "authors' configuration", config
    where = str(config)
    try:
        text = Path(config).read_text(encoding="utf-8")
        content = json.loads(text, object_pairs_hook=_no_key_twice)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{where}: cannot be read ({reason}): give the path of a file") from None
    except (ValueError, TypeError) as error:  # JSON, encoding, a key given twice, no path at all
        raise ValueError(f"{where}: not one of the authors' JSON files: {error}") from None
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ValueError(f"{where}: must hold one JSON object with the keys of a run, got a {kind}")
    return where, content


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the key {name!r} is given twice: keep one")
    return dict(pairs)


class Keys:
    """The keys of one file, each checked when it is asked for; without those that say nothing."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        values = {k: v for k, v in content.items() if v is not None and k not in IGNORED}
        self.values = values
        of_kondo = any(key in KONDO_KEYS and key not in KAMO_KEYS for key in values)
        self.kondo = of_kondo or values.get("optimizer") in ("nshb", "shb")
        for key, value in values.items():
            if key not in KONDO_KEYS:
                known = ", ".join((*KONDO_KEYS, *IGNORED))
                raise ValueError(f"unknown key {key!r}: remove it, or use one of {known}")
            if key not in WORDS:
                number(key, value)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def need(self, key: str, because: str = "") -> Any:
        """The value of a key that must be there."""
        if key not in self.values:
            reason = f", needed for {because}," if because else ""
            raise ValueError(f"the key {key!r} ({MEANING[key]}){reason} is missing: add it")
        return self.values[key]

    def word(self, key: str, allowed: Iterable[str]) -> str:
        """One of the allowed words."""
        return choice(key, self.need(key), allowed)

    def whole(self, key: str, because: str = "", **limits: Any) -> int:
        """A whole number within limits."""
        return integer(key, self.need(key, because), **limits)

    def real(self, key: str, because: str = "", **limits: Any) -> float:
        """A number within limits."""
        return number(key, self.need(key, because), **limits)

    def interval(self, key: str, because: str, length: str) -> int:
        """A stage of several within ``length``: one stage alone leaves nothing to grow."""
        end = self.whole(length, because, at_least=1)
        fix = f"below {length}, so that there are several stages"
        return self.whole(key, because, at_least=1, at_most=end - 1, fix=fix)
