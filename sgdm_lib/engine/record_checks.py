"""What a record must look like, and the errors of those that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from sgdm_lib.engine import seals
from sgdm_lib.engine.experiment import Experiment

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


class RecordError(ValueError):
    """A record that cannot be read: missing, damaged or of another format."""


class Damaged(RecordError):
    """A record whose bytes have changed, or were cut off."""


class Busy(RecordError):
    """Another process is writing into the folder: no failure, look again later."""


def unreadable(path: Path, reason: str) -> RecordError:
    """The error of a ``run.json`` that cannot be read, with what to do about it."""
    kind = Damaged if reason.startswith("it is damaged") else RecordError
    return kind(f"{path} is no readable record: {reason}; restore it from a copy, or move it away")


def check_description(path: Path, fields: dict[str, Any], experiment: Experiment) -> None:
    """Refuse a ``run.json`` whose status, hash or seed is not that of its experiment."""
    if "status" not in fields:
        raise unreadable(path, "it is damaged (it does not say its 'status')")
    if fields["status"] not in STATUSES:
        raise unreadable(path, f"it is damaged (unknown status {fields['status']!r})")
    for name, value in (("hash", experiment.hash), ("seed", experiment.seed)):
        if fields.get(name, value) != value:
            raise unreadable(
                path,
                f"it is damaged ({name} {fields[name]!r}, that of its experiment is {value!r})",
            )


def read_history(path: Path, fields: dict[str, Any], experiment: Experiment) -> pd.DataFrame:
    """Read the history of a run and compare it with its checksums and with its plan.

    Raises:
        RecordError: if it is missing, damaged or that of another run; the message says which.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is not a file")
        rows = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises types of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Damaged(
            f"{path} is no readable history: it is missing or damaged ({reason}); restore it from "
            "a copy, or run again in another folder"
        ) from error
    if missing := [name for name in COLUMNS if name not in rows.columns]:
        raise RecordError(f"{path} lacks the columns {missing}: it is not a history")
    try:
        if any(str(rows.dtypes[name]) != kind for name, kind in COLUMNS.items()):
            rows = rows.astype(COLUMNS)  # slower than all the rest of reading a record
    except (ValueError, TypeError) as error:
        raise RecordError(f"{path} holds values of the wrong type: {error}") from error
    own, rows.attrs = rows.attrs.get("sha256"), {}
    if seals.is_sealed(fields):
        count = fields["rows"]
        vouched = rows.iloc[:count]
        if len(rows) < count or seals.sha256_of_rows(vouched) != fields["history_sha256"]:
            whole = own == seals.sha256_of_rows(rows)
            if whole:
                run_json = path.with_name("run.json")
                raise RecordError(f"{path} belongs to another run than {run_json}: restore both")
            raise Damaged(
                f"{path} is damaged (its checksum does not agree): restore it from a copy"
            )
        rows = vouched
    if fields["status"] == "finished" and len(rows) != experiment.epochs:
        raise RecordError(
            f"{path} has {len(rows)} rows, its finished run {experiment.epochs} epochs: it belongs "
            "to another run"
        )
    try:
        reason = seals.misfit(experiment, rows)
    except ValueError as error:
        reason = f"its experiment has no plan ({error})"
    if reason:
        raise RecordError(f"{path} belongs to another run, or is damaged: {reason}")
    return rows
