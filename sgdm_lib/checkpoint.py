"""Checkpoints: atomic, safe to load, the one before kept; a damaged newest one falls back to it.

A checkpoint holds tensors and plain values only, so it loads with ``weights_only=True``. It says
where the run stands by one number, the step; the plan gives the rest.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from sgdm_lib.experiment import Experiment
from sgdm_lib.records import atomic_write

__all__ = ["NAME", "PREVIOUS", "delete", "load", "save"]

NAME, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"


def save(folder: Path, experiment: Experiment, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one before stays beside it.

    Args:
        folder: the run's folder.
        experiment: what is being run; loading checks it.
        state: tensors and plain values.

    Raises:
        OSError: if the folder cannot be written; an older checkpoint is then still whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    payload = {"experiment": experiment.to_json(), "state": _compact(state)}
    # the old one is moved aside only when the new one is whole: there is always one to load
    atomic_write(folder / NAME, lambda path: torch.save(payload, path), keep=folder / PREVIOUS)


def _compact(value: Any) -> Any:
    """The same values; a view would bring along all it is a view of."""
    if isinstance(value, torch.Tensor) and value.untyped_storage().nbytes() > value.nbytes:
        return value.clone()
    if isinstance(value, dict):
        return {key: _compact(each) for key, each in value.items()}
    return value


def load(folder: Path, experiment: Experiment, device: torch.device) -> dict[str, Any] | None:
    """The state to go on from, or None if there is no checkpoint.

    Raises:
        ValueError: if the checkpoint belongs to another experiment; names the fields.
        RuntimeError: if checkpoints are there, but none can be read.
    """
    damaged = ""
    for name in (NAME, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            _check_sums(path)
            payload = torch.load(path, map_location=device, weights_only=True)
            made_for, state = Experiment.from_json(payload["experiment"]), payload["state"]
        except Exception as error:  # torch and zipfile raise a dozen types for a damaged file
            damaged = f"{path} is damaged ({type(error).__name__}: {str(error)[:80]})"
            warnings.warn(f"{damaged}; trying the checkpoint before", stacklevel=3)
            continue
        if differences := made_for.differences(experiment):
            shown = "; ".join(f"{k}: {a!r} there, {b!r} now" for k, (a, b) in differences.items())
            raise ValueError(
                f"{path} belongs to another experiment ({shown}): choose another folder, or "
                "start anew with resume=False (sgdm run --fresh)"
            )
        return state
    if damaged:
        raise RuntimeError(
            f"{damaged} and there is no other: start anew with resume=False (sgdm run --fresh)"
        )
    return None


def _check_sums(path: Path) -> None:
    """Refuse a file with a flipped bit: torch writes checksums, but does not read them."""
    with zipfile.ZipFile(path) as file:
        if (part := file.testzip()) is not None:
            raise ValueError(f"the checksum of {part} is wrong")


def delete(folder: Path) -> None:
    """Remove a run's checkpoints, if any."""
    for name in (NAME, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
