"""Every run of both papers as an experiment, by name, and the reader of the authors' files.

Names read paper/data set/optimizer/schedule: ``kamo2025/cifar100/nshb/x2``,
``kondo2025/cifar100/shb/warmup_cosine_max0.5``. ``kamo2025/sfo/...`` are the schedules of the
tables of gradient computations. ``quick/digits/...``, ``cnn/cifar100/...`` and
``cnn10k/cifar100/...`` have the same shapes of schedules on a small scale; ``fair/cifar100/...``
are comparisons the papers do not make.

>>> run = catalogue()["kamo2025/cifar100/nshb/x2"]
>>> plan = run.plan(50_000)
>>> plan.total_steps, plan.batch_sizes[-1].item()
(249840, 4096)
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sgdm_lib.checks import choice
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.study.papers import kamo2025, kondo2025, reduced
from sgdm_lib.study.papers.authors import read_authors_config
from sgdm_lib.study.papers.run import CatalogueRun

__all__ = ["authors_config", "catalogue", "find", "read_authors_config", "citation"]


@lru_cache(maxsize=1)
def _runs() -> Mapping[str, CatalogueRun]:
    return MappingProxyType(kamo2025.runs() | kondo2025.runs() | reduced.runs())


def _run(name: str) -> CatalogueRun:
    return _runs()[choice("run", name, _runs())]


def catalogue() -> dict[str, Experiment]:
    """All runs by name, the papers' first.

    The papers' runs are exact: network, data set, epochs, schedules, momentum, weight decay,
    augmentation, both estimators of the full gradient norm, seed 0. Two names may mean the same
    run (``kamo2025/sfo/b128`` is ``kamo2025/cifar100/nshb/constant``); then the hashes agree.

    Returns:
        A new dictionary, in the order of papers, data sets, optimizers and schedules.

    >>> len([name for name in catalogue() if name.startswith("kondo2025/cifar100/")])
    51
    """
    return {name: run.experiment for name, run in _runs().items()}


def find(pattern: str) -> dict[str, Experiment]:
    """The runs whose names match a shell pattern (``*``, ``?``, ``[...]``; ``*`` spans slashes).

    Args:
        pattern: a pattern, or a name.

    Raises:
        ValueError: if nothing matches; the message shows the nearest names.

    >>> list(find("kamo2025/cifar100/*/x4"))[:2]
    ['kamo2025/cifar100/nshb/x4', 'kamo2025/cifar100/shb/x4']
    >>> find("kamo2025/cifar100/nshb/x3")
    Traceback (most recent call last):
    ValueError: no run is called 'kamo2025/cifar100/nshb/x3'; the nearest are
    kamo2025/cifar100/nshb/x4, kamo2025/cifar100/nshb/x2, kamo2025/cifar100/shb/x4
    """
    found = {name: run for name, run in catalogue().items() if fnmatchcase(name, pattern)}
    if not found:
        near = get_close_matches(pattern, _runs(), n=3, cutoff=0.5)
        families = sorted({name.partition("/")[0] for name in _runs()})
        hint = f"names begin with {', '.join(families)}"
        if near:
            hint = f"the nearest are {', '.join(near)}"
        raise ValueError(f"no run is called {pattern!r}; {hint}")
    return found


def citation(name: str) -> str:
    """Where a run comes from: the paper and its figure, table or the authors' file, in one line.

    Raises:
        ValueError: if there is no such run.

    >>> citation("kamo2025/cifar100/nshb/x2")
    'Kamo & Iiduka 2025, section 4, Fig. 2: batch size doubled from 8 (CIFAR-100)'
    """
    return _run(name).source


def authors_config(name: str) -> dict[str, Any]:
    """The run in the authors' JSON keys, to hand to their code.

    Raises:
        ValueError: if there is no such run, or their format cannot describe it.

    >>> authors_config("kamo2025/cifar100/nshb/x4")["bs_growth_rate"]
    4.0
    """
    config = _run(name).config
    if config is None:
        raise ValueError(
            f"run must be one that the authors' JSON format can describe, got {name!r}: it has no "
            "capped growth, no small networks and no label noise"
        )
    return dict(config)
