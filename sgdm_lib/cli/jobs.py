"""Turns the arguments of a command (names, patterns, files, changes, seeds) into checked runs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sgdm_lib.checks import choice, integer, shown
from sgdm_lib.engine.experiment import Experiment

__all__ = ["Job", "changed", "existing_folder", "jobs", "named", "numbers"]

MOST = 100_000
"""Numbers that one argument may name, and epochs of a run: more is a slip of the finger."""
LARGEST = 2**32 - 1
"""The largest seed of a network's initial weights."""


class Job(NamedTuple):
    """One run that a command executes, and its folder."""

    name: str
    experiment: Experiment
    folder: Path

    def __str__(self) -> str:
        return f"{self.name}, seed {self.experiment.seed}"


def jobs(names: Sequence[str], changes: Sequence[str], seeds: str, out: Path) -> list[Job]:
    """List the runs of each name with each seed; a changed experiment has a folder of its own.

    Args:
        names: names or patterns of the catalogue, or JSON files.
        changes: such as ``lr=0.05``, made to each.
        seeds: such as "0,3,5" or "0-2".
        out: the folder below which every run has its own.

    Raises:
        ValueError: if one of them is wrong; nothing has been run or written then.
    """
    chosen = numbers("seeds", seeds)
    found = {}
    for pattern in names:
        for name, experiment in named(pattern).items():
            new, suffix = changed(experiment, changes)
            integer("epochs", new.epochs, at_most=MOST, fix="a plan has a row for each")
            new.plan()  # schedules that do not fit the data
            found[name + suffix] = new
    return [
        Job(name, run.replace(seed=seed), out / name / f"seed{seed}")
        for name, run in found.items()
        for seed in chosen
    ]


def named(pattern: str) -> dict[str, Experiment]:
    """Find the experiments that match; a JSON file gives one experiment under the file's name.

    The file is one of the authors', or what :meth:`Experiment.to_json` writes.

    Raises:
        ValueError: if nothing matches, or the file cannot be read.
    """
    from sgdm_lib.study import papers

    if not pattern.endswith(".json"):
        return papers.find(pattern)
    path = Path(pattern)
    try:
        content = json.loads(path.read_text("utf8"))
    except (OSError, ValueError, RecursionError):
        content = None  # the authors' reader says what is wrong with it
    try:
        if isinstance(content, dict) and "dataset" in content:
            return {path.stem: Experiment.from_dict(content)}
        return {path.stem: papers.read_authors_config(path)}
    except RecursionError:
        raise ValueError(f"{pattern}: is nested too deeply for a description of a run") from None
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"{pattern}: does not describe a run ({error})") from None


def changed(experiment: Experiment, changes: Sequence[str]) -> tuple[Experiment, str]:
    """Change fields of an experiment, such as ``lr=0.05``; return it and the addition to its name.

    Raises:
        ValueError: if a field is unknown, or its value is out of range.

    >>> from sgdm_lib.study import papers
    >>> run = papers.catalogue()["quick/digits/nshb/x2"]
    >>> new, suffix = changed(run, ["lr=0.05", "epochs=5"])
    >>> new.epochs, suffix
    (5, '/lr=0.05,epochs=5')
    """
    if not changes:
        return experiment, ""
    fields, values = list(experiment.to_dict()), dict[str, Any]()
    fields.remove("seed")
    for change in changes:
        name, sign, text = change.partition("=")
        if not sign:
            raise ValueError(f"--set must be like lr=0.05, got {change!r}")
        if name == "seed":
            raise ValueError(f"--set must not name the seed, got {change!r}: use --seeds")
        values[choice("field of --set", name, fields)] = _value(text)
    new = Experiment.from_dict(experiment.to_dict() | values)
    suffix = ",".join(changes)
    short = len(suffix) < 100 and re.fullmatch(r"[\w.,=+-]+", suffix, flags=re.ASCII)
    return new, "/" + (suffix if short else new.replace(seed=0).hash)


def _value(text: str) -> Any:
    """Read a value as JSON (number, list, schedule, ...); anything else stays text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def existing_folder(name: str, path: Path, fix: str) -> Path:
    """Return the folder if it exists.

    Raises:
        ValueError: if there is none, or no file system could have one.
    """
    try:
        there = path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or has a zero byte
        there = False
    if not there:
        raise ValueError(f"{name} must be a folder, got {shown(str(path))}: {fix}")
    return path


def numbers(name: str, text: str) -> list[int]:
    """Parse whole numbers and ranges such as "0-2"; each number appears once.

    Raises:
        ValueError: if it is nothing of the kind, or too many.

    >>> numbers("seeds", "0,3-5,3")
    [0, 3, 4, 5]
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        ends = re.fullmatch(r" *([0-9]{1,12})(?:-([0-9]{1,12}))? *", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if first > last:
            raise ValueError(f"{name} must be like 0, 0-2 or 0,3,5, got {text[:60]!r}")
        if last > LARGEST:
            raise ValueError(f"{name} must be at most {LARGEST}, got {last}")
        if last - first >= MOST or len(found) >= MOST:
            raise ValueError(f"{name} must name at most {MOST:,} numbers, got {text[:60]!r}")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)
