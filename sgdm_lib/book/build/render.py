"""Render the executed chapters with jupyter-book, every warning an error."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from sgdm_lib.engine import inputs
from sgdm_lib.book.build.launch import repository
from sgdm_lib.book.terminal import printable

STAMP = ".made-from"
UNSEEN = ("_build", "tests", "benchmarks", "build", "dist")
"""Folders of the checkout that the pages do not depend on."""


def render(root: Path, build: Path, pdf: str | None = None) -> list[str]:
    """Make ``build``/html; returns the warnings, at least one line if it failed.

    ``pdf`` is the name of a PDF that will be laid beside the first page: each page links to it.

    Nothing is done where a rendering without warnings has been made from the same files.

    ``--all``, because a page that Sphinx does not read again warns no second time: without it the
    second run of a failed build passes.

    Raises:
        ValueError: if jupyter-book is not installed.
    """
    stamp, now = build / "html" / STAMP, _state(root, build, pdf)
    if stamp.is_file() and stamp.read_text("utf8") == now:
        print("The pages have not changed", flush=True)
        return []
    program = Path(sys.executable).with_name("jupyter-book")
    if not program.exists():
        raise ValueError("jupyter-book is missing: pip install 'sgdm-lib[book]'")
    shutil.rmtree(build / "html", ignore_errors=True)  # no pages of removed chapters
    print("Rendering the pages", flush=True)
    command = [str(program), "build", str(root), "--path-output", str(build.parent)]
    command += ["--all", "-W", "-n", "--keep-going", "-q"]
    environment = {**os.environ, "BOOK_EXECUTED": str(build / "executed"), "BOOK_PDF": pdf or ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode == 0:
        stamp.write_text(now, "utf8")
        return []
    lines = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr).splitlines()  # no colours
    telling = [line for line in lines if "WARNING" in line or "ERROR" in line or "Error" in line]
    found = telling or lines[-20:] or [f"jupyter-book ended with status {done.returncode}"]
    return [printable(line) for line in found]


def _state(root: Path, build: Path, pdf: str | None) -> str:
    """Compute a hash of all that the pages are made from; equal hashes give equal pages."""
    tops = [path for path in sorted(root.iterdir()) if path.name not in UNSEEN]
    visible = [path for path in tops if not path.name.startswith(".")]
    where = repository(root) if (root / "_config.yml").is_file() else None
    packages = sorted(f"{each.name} {each.version}" for each in metadata.distributions())
    parts = [inputs.digest(*visible, build / "executed"), where, pdf, packages]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
