"""Momentum SGD with growing batch sizes: the library of the open research companion.

The library has wings, and each imports only from those before it:

* practitioner, at the top: ``optim``, ``schedules``, ``plan``, ``loaders``, ``recommend``,
  ``theory``, ``gradients``, ``data``, ``augment``, ``models``, ``plots``, ``checks``;
* ``engine``: run an experiment, resume it, keep records;
* ``study``: the claims of the two papers, judged on published and recorded curves;
* ``book`` and ``cli``: the pages and the command ``sgdm``.

The names below are the ones most people need; they are imported when first used, so that
``import sgdm_lib`` is quick and needs neither torchvision nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from sgdm_lib.engine.experiment import Experiment as Experiment
    from sgdm_lib.engine.records import Run as Run
    from sgdm_lib.engine.training import fit as fit
    from sgdm_lib.engine.training import fit_many as fit_many
    from sgdm_lib.engine.training import fit_seeds as fit_seeds
    from sgdm_lib.gradients import full_gradient_norm as full_gradient_norm
    from sgdm_lib.gradients import gradient_noise as gradient_noise
    from sgdm_lib.optim import NSHB as NSHB
    from sgdm_lib.optim import QHM as QHM
    from sgdm_lib.optim import SHB as SHB
    from sgdm_lib.plan import TrainingPlan as TrainingPlan

_HOMES = {
    "Experiment": "engine.experiment",
    "NSHB": "optim",
    "QHM": "optim",
    "Run": "engine.records",
    "SHB": "optim",
    "TrainingPlan": "plan",
    "fit": "engine.training",
    "fit_many": "engine.training",
    "fit_seeds": "engine.training",
    "full_gradient_norm": "gradients",
    "gradient_noise": "gradients",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":  # it looks for metadata, which takes time
        return import_module("sgdm_lib.engine.versions").version()
    if name in _HOMES:
        return getattr(import_module(f"sgdm_lib.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sgdm_lib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
