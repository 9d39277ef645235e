"""Render the executed chapters with jupyter-book, every warning an error."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path


def render(root: Path, build: Path, pdf: str | None = None) -> list[str]:
    """Make ``build``/html; returns the warnings, at least one line if it failed.

    ``pdf`` is the name of a PDF that will be laid beside the first page: each page links to it.

    ``--all``, because a page that Sphinx does not read again warns no second time: without it the
    second run of a failed build passes.

    Raises:
        ValueError: if jupyter-book is not installed.
    """
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
        return []
    lines = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr).splitlines()  # no colours
    telling = [line for line in lines if "WARNING" in line or "ERROR" in line or "Error" in line]
    return telling or lines[-20:] or [f"jupyter-book ended with status {done.returncode}"]
