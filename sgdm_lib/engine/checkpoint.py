"""Checkpoints: atomic, safe to load, the one before kept; a damaged newest one falls back to it.

A checkpoint holds tensors and plain values only, so it loads with ``weights_only=True``. It says
where the run stands by one number, the step; the plan gives the rest. A file of that name that is
not a checkpoint of this library is neither replaced nor removed.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from sgdm_lib.data.files import atomic_write
from sgdm_lib.engine.experiment import Experiment

__all__ = ["NAME", "PREVIOUS", "clear", "delete", "holds", "load", "save"]

NAME, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"


class _Foreign(ValueError):
    """A file that can be read, but is not a checkpoint of this library."""


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
    atomic_write(folder / NAME, lambda path: write_payload(payload, path), keep=folder / PREVIOUS)


def write_payload(payload: dict[str, Any], path: Path) -> None:
    """Write through memory: torch's own writer does not say why it could not write."""
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    path.write_bytes(buffer.getbuffer())


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
        ValueError: if the checkpoint belongs to another experiment (names the fields), or is none
            of this library.
        RuntimeError: if checkpoints are there, but none can be read.
    """
    damaged = ""
    for name in (NAME, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            _check_sums(path)
            payload = _payload(path, device)
            made_for, state = Experiment.from_json(payload["experiment"]), payload["state"]
            if not isinstance(state, dict):
                raise ValueError("its state is not a mapping")
        except _Foreign:
            raise
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
        if (
            damaged
        ):  # the newer one was this run's, too, and would only be moved into this one's place
            (folder / NAME).unlink(missing_ok=True)
        return state
    if damaged:
        raise RuntimeError(
            f"{damaged}, or is not a checkpoint of this library, and there is no other: it is "
            "kept; restore it from a copy, move it away, or choose another folder"
        )
    return None


def _payload(path: Path, device: torch.device | str) -> dict[str, Any]:
    """What a checkpoint holds.

    Raises:
        ValueError: if the file is none of this library.
    """
    payload = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(payload, dict) or payload.keys() != {"experiment", "state"}:
        raise _Foreign(
            f"{path} is not a checkpoint of this library: it is kept; move it away, or choose "
            "another folder"
        )
    return payload


def _check_sums(path: Path) -> None:
    """Refuse a file with a flipped bit: torch writes checksums, but does not read them."""
    if not path.is_file():
        raise ValueError("it is not a file")
    with zipfile.ZipFile(path) as file:
        if (part := file.testzip()) is not None:
            raise ValueError(f"the checksum of {part} is wrong")


def holds(folder: Path, experiment: Experiment) -> bool:
    """Whether there is a checkpoint of this experiment that can be loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return load(folder, experiment, torch.device("meta")) is not None
        except (ValueError, RuntimeError):
            return False


def clear(folder: Path) -> None:
    """Remove a run's checkpoints, if any, to start anew.

    Raises:
        ValueError: if a file of that name is not known to be one; nothing is removed then.
    """
    for name in (NAME, PREVIOUS):
        path = folder / name
        if path.exists() and not _is_ours(path):
            raise ValueError(
                f"{path} is damaged, or not a checkpoint of this library: it is kept; move it "
                "away, or choose another folder"
            )
    delete(folder)


def delete(folder: Path) -> None:
    """Remove a run's checkpoints, if any; other files of these names are kept."""
    for name in (NAME, PREVIOUS):
        if _is_ours(folder / name):
            (folder / name).unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    try:
        return path.is_file() and bool(_payload(path, "meta"))
    except Exception:  # torch raises a dozen types for what it cannot read
        return False
