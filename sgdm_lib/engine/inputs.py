"""Which folders of records something has looked into: what a page of the book depends on."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

__all__ = ["LOG", "digest", "logged", "note"]

LOG = "SGDM_INPUTS"
"""A file that gets a line for each folder, if this environment variable names one."""


def note(folder: Path) -> Path:
    """Note that something looks into this folder, whether or not it is there; returns it."""
    if log := os.environ.get(LOG):
        with suppress(OSError), open(log, "a", encoding="utf8") as file:
            file.write(json.dumps(os.path.abspath(folder)) + "\n")
    return folder


def logged(log: Path) -> list[Path]:
    """The folders in a log, each once; none if nothing has been noted."""
    if not log.exists():
        return []
    return [Path(json.loads(line)) for line in dict.fromkeys(log.read_text("utf8").splitlines())]


def digest(*paths: Path) -> str:
    """A hash of the files below these paths, of their places and their content.

    Files that belong to no record (``.DS_Store``, locks, temporary files, byte code) do not count.
    """
    found = hashlib.sha256()
    for top in paths:
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        for path in files:
            inside = path.relative_to(top).parts
            stray = any(part.startswith(".") or part == "__pycache__" for part in inside)
            if not stray and path.is_file():
                place, content = "/".join(inside), hashlib.sha256(path.read_bytes()).hexdigest()
                found.update(f"{len(place)} {place} {content}\n".encode())
        found.update(b"--\n")
    return found.hexdigest()
