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

from sgdm_lib.data.files import atomic_write, is_alive, locked, remove_leftovers, write_together
from sgdm_lib.engine import seals
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.record_checks import (
    COLUMNS,
    Busy,
    Damaged,
    RecordError,
    check_description,
    read_history,
    unreadable,
)
from sgdm_lib.engine.versions import code_version, versions

__all__ = [
    "Busy",
    "COLUMNS",
    "Damaged",
    "NotSaved",
    "RecordError",
    "Run",
    "atomic_write",
    "code_version",
    "delete",
    "exclusive",
    "load",
    "save",
    "sign",
    "versions",
]


NAMES = ("history.parquet", "run.json", "checkpoint.pt", "checkpoint.previous.pt")


class NotSaved(OSError):
    """A run is over, but its record could not be written.

    Attributes:
        run: the run, complete; ``records.save(error.run, folder)`` writes it.
    """

    def __init__(self, error: OSError, run: Run) -> None:
        super().__init__(
            error.errno,
            f"{error.strerror or error}; the run is over and in memory only: make room and run "
            "again, or write it with records.save(error.run, folder)",
        )
        self.run = run


@dataclass(frozen=True)
class Run:
    """A run: what was asked for, what happened, and where it came from."""

    experiment: Experiment
    history: pd.DataFrame = field(repr=False)
    """One row an epoch; see :data:`COLUMNS`."""
    provenance: dict[str, Any] = field(repr=False)
    """experiment, hash, seed, status, versions, device, mode, data checksum, code version, started,
    seconds; ``owner`` while it is running; ``sessions`` if it was resumed elsewhere; ``stacked`` if
    it was trained in a stack; ``error`` if it broke off; ``weights_sha256`` if it has weights."""
    model: nn.Module | None = field(default=None, repr=False, compare=False)
    """The network at the end of the run; None if the run was read and its record has no weights."""

    @property
    def status(self) -> str:
        """One of "running", "finished", "diverged" and "interrupted"."""
        return str(self.provenance["status"])


def history(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of measurements as a history: its columns and types, then any others in the rows."""
    extra = {name: None for row in rows for name in row if name not in COLUMNS}
    return pd.DataFrame(rows, columns=[*COLUMNS, *extra]).astype(COLUMNS)


def save(run: Run, folder: str | os.PathLike[str]) -> Path:
    """Write a run into its folder (made if needed), with checksums; returns the folder.

    Raises:
        OSError: if the folder cannot be written; the message names the file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fields = seals.seal(run.provenance, run.history)
    text = json.dumps(fields, indent=2, sort_keys=True) + "\n"
    table = run.history.copy(deep=False)
    table.attrs = {"sha256": fields["history_sha256"]}
    writes = [
        (folder / "history.parquet", table.to_parquet),
        (folder / "run.json", lambda path: Path(path).write_text(text, "utf8")),
    ]
    if _vouched(folder) > fields["rows"]:  # run.json never vouches for rows that are not there
        writes.reverse()
    write_together(writes)
    return folder


def _vouched(folder: Path) -> int:
    """For how many rows the ``run.json`` in the folder vouches; 0 if there is none."""
    try:
        rows = json.loads(_text(folder / "run.json"))["rows"]
        return rows if isinstance(rows, int) else 0
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return 0


def load(folder: str | os.PathLike[str]) -> Run:
    """Read a run back, after checking it. Nothing named in it is imported or run.

    A run whose process is gone without having said so reads "interrupted", not "running".

    Raises:
        RecordError: if there is no record, it is damaged, its history belongs to another run, or
            a newer version wrote it; the message names the file and says which.
    """
    folder = Path(folder)
    text = _description(folder)
    while True:
        try:
            return _checked(folder, text)
        except RecordError:
            before, text = text, _description(folder)
            if text == before:  # else it was being written between reading the two files
                raise


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise ValueError("it is not a file")
    return path.read_text("utf8")


def _description(folder: Path) -> str:
    path = folder / "run.json"
    try:
        return _text(path)
    except FileNotFoundError:
        raise RecordError(
            f"no record in {folder}: run.json is missing; make it with 'sgdm run'"
        ) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, f"it is damaged ({error})") from error


def _checked(folder: Path, text: str) -> Run:
    path = folder / "run.json"
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, f"it is damaged ({error})") from error
    if not isinstance(fields, dict) or "experiment" not in fields:
        raise unreadable(path, "it is foreign, not a run of this library: it has no 'experiment'")
    sealed = seals.is_sealed(fields)
    if sealed and (
        not fields.keys() >= set(seals.FIELDS) or fields["sha256"] != seals.sha256_of(fields)
    ):
        raise unreadable(path, "it is damaged (its checksum does not agree)")
    if sealed and fields["format"] != seals.FORMAT:
        raise RecordError(
            f"{path} was written by a newer version (format {fields['format']}, this one reads up "
            f"to {seals.FORMAT}): update sgdm_lib"
        )
    try:
        experiment = Experiment.from_dict(fields["experiment"])
    except (ValueError, TypeError, RecursionError) as error:
        made_by = fields.get("code_version", "")
        raise unreadable(
            path,
            f"its experiment is not one that this version knows ({error}); it is damaged, or a "
            f"newer version wrote it ({str(made_by)[:60]!r})",
        ) from error
    check_description(path, fields, experiment)
    rows = read_history(folder / "history.parquet", fields, experiment)
    provenance = {name: value for name, value in fields.items() if name not in seals.FIELDS}
    if fields["status"] == "running" and is_alive(fields.get("owner")) is False:
        provenance["status"] = "interrupted"
        del provenance["owner"]
    return Run(experiment, rows, provenance)


def sign(folder: str | os.PathLike[str]) -> bool:
    """Give a record of the first format its checksums; only ``run.json`` changes.

    The history is checked against the plan before. Records that have checksums are checked and left
    as they are.

    Returns:
        Whether it was signed now.

    Raises:
        RecordError: as :func:`load`.
        OSError: if ``run.json`` cannot be written.
    """
    path = Path(folder) / "run.json"
    run = load(folder)
    fields = json.loads(_text(path))
    if seals.is_sealed(fields):
        return False
    text = json.dumps(seals.seal(fields, run.history), indent=2, sort_keys=True) + "\n"
    atomic_write(path, lambda file: file.write_text(text, "utf8"))
    return True


def delete(folder: str | os.PathLike[str]) -> None:
    """Remove a record, if any: ``run.json`` first, without which there is none.

    Raises:
        RecordError: if ``run.json`` is not one of this library; nothing is removed then.
    """
    path = Path(folder) / "run.json"
    if path.exists():
        try:
            ours = "experiment" in json.loads(_text(path))
        except (OSError, ValueError, TypeError, RecursionError):
            ours = False
        if not ours:
            raise RecordError(
                f"{path} is damaged, or not a record of this library: it is kept; move it away, or "
                "choose another folder"
            )
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
