"""Runs on disk: one folder each, ``history.parquet`` and ``run.json``; complete or absent.

Every write goes to a temporary file in the same folder, is flushed to the disk and then renamed, so
a reader sees the old file or the new one, never half of one, also while the run goes on.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from sgdm_lib.experiment import Experiment
from sgdm_lib.files import atomic_write, locked, remove_leftovers
from sgdm_lib.versions import code_version, versions

__all__ = [
    "Busy",
    "COLUMNS",
    "RecordError",
    "Run",
    "atomic_write",
    "code_version",
    "delete",
    "exclusive",
    "load",
    "save",
    "versions",
]

COLUMNS = {
    "epoch": "int64",
    "step": "int64",
    "sfo": "int64",
    "batch_size": "int64",
    "lr": "float64",
    "momentum": "float64",
    "train_loss": "float64",
    "train_accuracy": "float64",
    "test_loss": "float64",
    "test_accuracy": "float64",
    "full_gradient_norm": "float64",
    "full_gradient_norm_authors": "float64",
    "seconds": "float64",
    "status": "str",
}
"""Columns of a history, one row an epoch (from 1). ``step`` and ``sfo`` are cumulative; ``lr`` and
``momentum`` are those of the epoch's last step; ``train_loss`` is the mean over steps of the batch
losses, as the papers print it; accuracies are fractions; ``seconds`` is the epoch's wall time, all
measuring included; ``status`` is "ok" or "diverged". NaN where something was not measured."""

STATUSES = ("running", "finished", "diverged", "interrupted")


NAMES = ("history.parquet", "run.json", "checkpoint.pt", "checkpoint.previous.pt")


class RecordError(ValueError):
    """A record that cannot be read: missing, damaged or of another format."""


class Busy(RecordError):
    """Another process is writing into the folder: no failure, look again later."""


@dataclass(frozen=True)
class Run:
    """A run: what was asked for, what happened, and where it came from."""

    experiment: Experiment
    history: pd.DataFrame = field(repr=False)
    """One row an epoch; see :data:`COLUMNS`."""
    provenance: dict[str, Any] = field(repr=False)
    """experiment, hash, seed, status, versions, device, data checksum, code version, started,
    seconds."""
    model: nn.Module | None = field(default=None, repr=False, compare=False)
    """The network at the end of the run; None if the run was read from its record."""

    @property
    def status(self) -> str:
        """One of "running", "finished", "diverged" and "interrupted"."""
        return str(self.provenance["status"])


def history(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of measurements as a history with the right columns and types."""
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def save(run: Run, folder: str | os.PathLike[str]) -> Path:
    """Write a run into its folder (made if needed); returns the folder.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "history.parquet", run.history.to_parquet)
    text = json.dumps(run.provenance, indent=2, sort_keys=True) + "\n"
    atomic_write(folder / "run.json", lambda path: Path(path).write_text(text, "utf8"))
    return folder


def load(folder: str | os.PathLike[str]) -> Run:
    """Read a run back.

    Raises:
        RecordError: if there is no record, or it is damaged; the message names the file.
    """
    folder = Path(folder)
    try:
        provenance = json.loads((folder / "run.json").read_text("utf8"))
        experiment = Experiment.from_dict(provenance["experiment"])
        if provenance["status"] not in STATUSES:
            raise ValueError(f"unknown status {provenance['status']!r}")
    except FileNotFoundError:
        raise RecordError(
            f"no record in {folder}: run.json is missing; make it with 'sgdm run'"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"{folder / 'run.json'} is no readable record: {error}; restore {folder}, or delete it"
        ) from error
    rows = _read_history(folder / "history.parquet")
    if provenance["status"] == "finished" and len(rows) != experiment.epochs:
        raise RecordError(
            f"{folder / 'history.parquet'} has {len(rows)} rows, its finished run "
            f"{experiment.epochs} epochs: it belongs to another run"
        )
    return Run(experiment, rows, provenance)


def _read_history(path: Path) -> pd.DataFrame:
    try:
        rows = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises types of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RecordError(
            f"{path} is no readable history: {reason}; restore {path.parent}, or delete it"
        ) from error
    if list(rows.columns) != list(COLUMNS):
        raise RecordError(f"{path} has the columns {list(rows.columns)}, not those of a history")
    try:
        return rows.astype(COLUMNS)
    except (ValueError, TypeError) as error:
        raise RecordError(f"{path} holds values of the wrong type: {error}") from error


def delete(folder: str | os.PathLike[str]) -> None:
    """Remove a record, if any: ``run.json`` first, without which there is none."""
    for name in ("run.json", "history.parquet"):
        (Path(folder) / name).unlink(missing_ok=True)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep the folder (made if needed) to this process; a dead process keeps nothing.

    Raises:
        Busy: if another process is writing into it.
        OSError: if the folder cannot be written; the message names it.
    """
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder / ".lock"))
            remove_leftovers(folder, NAMES)
        except BlockingIOError:
            raise Busy(
                f"{folder} is being written by another process: wait for it, or choose another "
                "folder"
            ) from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                reason = f"{folder / '.lock'} is a link, which is not followed"
            else:
                reason = error.strerror or str(error)
            raise OSError(
                error.errno or errno.EIO,
                f"cannot write into {folder}: {reason}; choose another folder",
            ) from error
        yield
