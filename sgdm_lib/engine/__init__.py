"""The engine: run one experiment exactly, or many; keep records that can be trusted.

An :class:`Experiment` says what to run, :func:`fit` runs it, a :class:`Run` is what comes out. The
names below are imported when they are first used, so that reading a record needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgdm_lib.engine.batches import load_data as load_data
    from sgdm_lib.engine.checkpoint import PREVIOUS as PREVIOUS
    from sgdm_lib.engine.checkpoint import clear as clear
    from sgdm_lib.engine.checkpoint import holds as holds
    from sgdm_lib.engine.curvature import curvature_path as curvature_path
    from sgdm_lib.engine.device import choose_device as choose_device
    from sgdm_lib.engine.experiment import ESTIMATORS as ESTIMATORS
    from sgdm_lib.engine.experiment import MOMENTUM_METHODS as MOMENTUM_METHODS
    from sgdm_lib.engine.experiment import OPTIMIZERS as OPTIMIZERS
    from sgdm_lib.engine.experiment import PRECISIONS as PRECISIONS
    from sgdm_lib.engine.experiment import Experiment as Experiment
    from sgdm_lib.engine.inputs import LOG as LOG
    from sgdm_lib.engine.inputs import digest as digest
    from sgdm_lib.engine.inputs import logged as logged
    from sgdm_lib.engine.inputs import note as note
    from sgdm_lib.engine.interrupt import Stopped as Stopped
    from sgdm_lib.engine.interrupt import StopRequest as StopRequest
    from sgdm_lib.engine.noise import final_noise as final_noise
    from sgdm_lib.engine.progress import Progress as Progress
    from sgdm_lib.engine.records import COLUMNS as COLUMNS
    from sgdm_lib.engine.records import Busy as Busy
    from sgdm_lib.engine.records import Damaged as Damaged
    from sgdm_lib.engine.records import NotSaved as NotSaved
    from sgdm_lib.engine.records import RecordError as RecordError
    from sgdm_lib.engine.records import Run as Run
    from sgdm_lib.engine.records import atomic_write as atomic_write
    from sgdm_lib.engine.records import delete as delete
    from sgdm_lib.engine.records import exclusive as exclusive
    from sgdm_lib.engine.records import load as load
    from sgdm_lib.engine.records import save as save
    from sgdm_lib.engine.records import sign as sign
    from sgdm_lib.engine.seals import FIELDS as FIELDS
    from sgdm_lib.engine.seals import FORMAT as FORMAT
    from sgdm_lib.engine.seals import is_sealed as is_sealed
    from sgdm_lib.engine.seals import misfit as misfit
    from sgdm_lib.engine.seals import seal as seal
    from sgdm_lib.engine.seals import sha256_of as sha256_of
    from sgdm_lib.engine.seals import sha256_of_rows as sha256_of_rows
    from sgdm_lib.engine.snapshots import fit_with_snapshots as fit_with_snapshots
    from sgdm_lib.engine.snapshots import measuring_pass as measuring_pass
    from sgdm_lib.engine.training import fit as fit
    from sgdm_lib.engine.training import fit_many as fit_many
    from sgdm_lib.engine.training import fit_seeds as fit_seeds
    from sgdm_lib.engine.trial import draws_at_random as draws_at_random
    from sgdm_lib.engine.trial import refuse_single_images as refuse_single_images
    from sgdm_lib.engine.versions import code_version as code_version
    from sgdm_lib.engine.versions import version as version
    from sgdm_lib.engine.versions import versions as versions
    from sgdm_lib.engine.weights import NAME as NAME
    from sgdm_lib.engine.weights import load_model as load_model
    from sgdm_lib.engine.weights import save_weights as save_weights

_HOMES = {
    "Busy": "records",
    "COLUMNS": "records",
    "Damaged": "records",
    "ESTIMATORS": "experiment",
    "Experiment": "experiment",
    "FIELDS": "seals",
    "FORMAT": "seals",
    "LOG": "inputs",
    "MOMENTUM_METHODS": "experiment",
    "NAME": "weights",
    "NotSaved": "records",
    "OPTIMIZERS": "experiment",
    "PRECISIONS": "experiment",
    "PREVIOUS": "checkpoint",
    "Progress": "progress",
    "RecordError": "records",
    "Run": "records",
    "StopRequest": "interrupt",
    "Stopped": "interrupt",
    "atomic_write": "records",
    "choose_device": "device",
    "clear": "checkpoint",
    "code_version": "versions",
    "curvature_path": "curvature",
    "delete": "records",
    "digest": "inputs",
    "draws_at_random": "trial",
    "exclusive": "records",
    "final_noise": "noise",
    "fit": "training",
    "fit_many": "training",
    "fit_seeds": "training",
    "fit_with_snapshots": "snapshots",
    "holds": "checkpoint",
    "is_sealed": "seals",
    "load": "records",
    "load_data": "batches",
    "load_model": "weights",
    "logged": "inputs",
    "measuring_pass": "snapshots",
    "misfit": "seals",
    "note": "inputs",
    "refuse_single_images": "trial",
    "save": "records",
    "save_weights": "weights",
    "seal": "seals",
    "sha256_of": "seals",
    "sha256_of_rows": "seals",
    "sign": "records",
    "version": "versions",
    "versions": "versions",
}
__all__ = [
    "Busy",
    "COLUMNS",
    "Damaged",
    "ESTIMATORS",
    "Experiment",
    "FIELDS",
    "FORMAT",
    "LOG",
    "MOMENTUM_METHODS",
    "NAME",
    "NotSaved",
    "OPTIMIZERS",
    "PRECISIONS",
    "PREVIOUS",
    "Progress",
    "RecordError",
    "Run",
    "StopRequest",
    "Stopped",
    "atomic_write",
    "choose_device",
    "clear",
    "code_version",
    "curvature_path",
    "delete",
    "digest",
    "draws_at_random",
    "exclusive",
    "final_noise",
    "fit",
    "fit_many",
    "fit_seeds",
    "fit_with_snapshots",
    "holds",
    "is_sealed",
    "load",
    "load_data",
    "load_model",
    "logged",
    "measuring_pass",
    "misfit",
    "note",
    "refuse_single_images",
    "save",
    "save_weights",
    "seal",
    "sha256_of",
    "sha256_of_rows",
    "sign",
    "version",
    "versions",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
