"""``sgdm status`` shows the state of each run below a folder; it only reads."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from sgdm_lib.book.terminal import printable
from sgdm_lib.cli.errors import one_line
from sgdm_lib.cli.jobs import existing_folder

__all__ = ["STATES", "State", "show_status", "survey"]

STATES = ("done", "diverged", "running", "interrupted", "failed")
"""A run is *interrupted* if it is unfinished and no process runs it: ``sgdm run`` continues it.
It has *failed* if its record cannot be read."""


class State(NamedTuple):
    """The state of one run."""

    run: str
    """Its folder, seen from the one that was asked about."""
    state: str
    """One of :data:`STATES`."""
    epoch: int | None
    """Epochs done."""
    epochs: int | None
    """Epochs asked for."""
    note: str
    """Why it failed, or what to do."""


def survey(folder: Path) -> list[State]:
    """Find the state of every run below a folder, sorted by name.

    Raises:
        ValueError: if there is no such folder.
    """
    existing_folder("OUT", folder, "give that of sgdm run --out")
    found = {path.parent for name in ("run.json", "checkpoint.pt") for path in folder.rglob(name)}
    return [_state(path, path.relative_to(folder).as_posix()) for path in sorted(found)]


def _state(folder: Path, name: str) -> State:
    from sgdm_lib.engine import records

    at_work = _is_locked(folder)
    if not (folder / "run.json").exists():
        note = "" if at_work else "no record yet; its checkpoint is there"
        return State(name, "running" if at_work else "interrupted", None, None, note)
    try:
        run = records.load(folder)
    except Exception as error:
        return State(name, "failed", None, None, one_line(error))
    over = {"finished": "done", "diverged": "diverged"}.get(run.status)
    state = over or ("running" if at_work else "interrupted")
    return State(name, state, len(run.history), run.experiment.epochs, "")


def _is_locked(folder: Path) -> bool:
    """Tell whether a process holds the run's lock; no lock file is made."""
    lock = folder / ".lock"
    if not lock.is_file():  # a pipe of that name would wait for a writer
        return False
    try:
        import fcntl

        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):  # no locks here; or it has just gone
        return lock.is_file()
    return False


def show_status(args: argparse.Namespace) -> None:
    """Print the state of the runs below a folder."""
    found = survey(args.out)
    if args.json:
        print(json.dumps([state._asdict() for state in found], indent=2))
        return
    width = max((len(state.run) for state in found), default=0)
    for each in found:
        at = "" if each.epoch is None else f"epoch {each.epoch} of {each.epochs}"
        line = f"{each.run:<{width}}  {each.state:<11}  {at}  {each.note}"
        print(printable(line).rstrip())
    counts = Counter(state.state for state in found)
    parts = [f"{counts[state]} {state}" for state in STATES if counts[state]]
    print(f"{len(found)} runs" + (f": {', '.join(parts)}" if parts else ""))
