"""Where the repository lives, and copies of the chapters that run in Colab.

One setting says where: ``repository.url`` in ``_config.yml``, or the variable ``BOOK_REPOSITORY``
(``BOOK_BRANCH``), which the workflow that publishes the book fills in, so that a fork links to
itself. While neither is set the pages have no button that needs it.

Colab opens a notebook of a repository and nothing else: no library, no recorded runs. So the build
leaves copies whose first cell fetches both, the workflow puts them on a branch of their own, and
the chapters in git stay as they are. Binder builds ``binder/environment.yml`` and needs no copies.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from sgdm_lib.book.notebooks import chapters, read_yaml

__all__ = ["COPIES", "Repository", "repository", "setup_cell", "write_copies"]

COPIES = "colab"
"""The branch of the copies."""
INTRODUCTION = (
    "*A copy of a chapter that runs in Colab, best beside the book's page: words in braces in the "
    "text are marks that only the page resolves.*"
)
SETUP = """\
# Colab: fetch the book with its recorded runs, install its library. Nothing happens elsewhere.
import importlib.util
import os
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("sgdm_lib") is None:
    source = "{url}"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", "--branch={branch}", source, "book"],
                   check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "./book"]
    subprocess.run([*install, "matplotlib", "seaborn"], check=True)
    importlib.invalidate_caches()
    os.chdir("book/chapters")"""


class Repository(NamedTuple):
    """A public repository on GitHub."""

    url: str
    """Such as ``https://github.com/owner/name``."""
    branch: str
    """The branch that the book is built from."""


def repository(root: Path) -> Repository | None:
    """The repository that the pages link to, or None if nobody has said where it is.

    Args:
        root: the checkout.

    Raises:
        ValueError: if the address is not one of a repository on GitHub, or the branch is no name.
    """
    config = (read_yaml(root / "_config.yml") or {}).get("repository", {})
    url = os.environ.get("BOOK_REPOSITORY") or config.get("url") or ""
    branch = os.environ.get("BOOK_BRANCH") or config.get("branch") or "main"
    if not url:
        return None
    url = url.rstrip("/").removesuffix(".git")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        raise ValueError(
            f"repository must be like https://github.com/OWNER/NAME, got {url!r}: "
            "correct BOOK_REPOSITORY, or repository.url in _config.yml"
        )
    if not re.fullmatch(r"\w[\w./-]*", branch, flags=re.ASCII) or ".." in branch:
        raise ValueError(
            f"branch must be a name of letters, digits and . _ / -, got {branch!r}: correct "
            "BOOK_BRANCH, or repository.branch in _config.yml"
        )
    return Repository(url, branch)


def setup_cell(where: Repository) -> str:
    """The code of the cell that prepares a session in Colab; does nothing anywhere else."""
    return SETUP.format(url=where.url, branch=where.branch)


def write_copies(root: Path, folder: Path, where: Repository) -> list[Path]:
    """Write a copy of every chapter that runs in Colab.

    Args:
        root: the checkout.
        folder: gets the copies, under the chapters' own paths.
        where: what the first code cell fetches.

    Returns:
        The files, in the book's order.
    """
    import nbformat

    written = []
    for chapter in chapters(root):
        nb = nbformat.read(root / chapter, 4)
        first = next(i for i, cell in enumerate(nb.cells) if cell.cell_type == "code")
        nb.cells[first:first] = [
            nbformat.v4.new_markdown_cell(INTRODUCTION, id="colab-about"),
            nbformat.v4.new_code_cell(setup_cell(where), id="colab-setup"),
        ]
        path = folder / chapter
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, path)
        written.append(path)
    return written
