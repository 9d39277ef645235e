"""The book: execute its notebooks with papermill, render them with jupyter-book 1.x.

The notebooks in git stay free of outputs. Everything made here goes to ``_build`` of the checkout
(or of ``out``):

    executed/   the chapters as papermill ran them; jupyter-book renders these
    failed/     what a chapter that raised had produced until then
    html/       the book
    pdf/        the book as one PDF, if wanted; a copy of it lies in html/
    colab/      copies of the chapters for Colab, where the repository's address is known
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from sgdm_lib.book.build.execute import execute_all
from sgdm_lib.book.build.launch import COPIES, Repository, repository, write_copies
from sgdm_lib.book.notebooks import chapters, check_parameters, find_root, select
from sgdm_lib.book.pdf import PDF, find_chromium, make_pdf
from sgdm_lib.book.build.render import render
from sgdm_lib.data.files import locked

__all__ = ["BookError", "build", "find_root"]


class BookError(RuntimeError):
    """A chapter failed, or the rendered book has warnings; the message says which."""


def build(
    parameters: dict[str, Any],
    *,
    root: Path | None = None,
    out: Path | None = None,
    chapter: str = "",
    jobs: int = 2,
    timeout: int = 1_800,
    force: bool = False,
    pdf: bool = False,
) -> Path:
    """Execute what has changed, then render the book.

    A chapter runs again when its cells, the parameters, the library's code (not its comments and
    docstrings), a version that matters, or records that it has looked for changed.

    Args:
        parameters: papermill parameters for every chapter, for instance ``{"scale": "quick"}``.
        root: the checkout; by default found from the working folder.
        out: folder that gets ``_build``; by default the checkout.
        chapter: execute only chapters whose name begins with or contains this ("02", "noise").
        jobs: chapters executed at once.
        timeout: seconds one cell may take.
        force: execute what has not changed, too.
        pdf: print the book as one PDF, too, and link it on each page.

    Returns:
        The path of the book's first page.

    Raises:
        ValueError: if there is no checkout, no such chapter, a chapter lacks a parameter, or the
            repository's address is not one.
        BookError: if another build is at work in ``out``, if a chapter fails (the others are still
            executed; nothing is rendered), or if the rendering of a book whose chapters are all
            executed has warnings.
        RuntimeError: if a PDF is wanted and there is no Chromium, or the book cannot be printed.
    """
    if pdf:
        find_chromium()  # before minutes are spent
    root = find_root(root)
    build_folder = (out or root).resolve() / "_build"
    chosen = select(chapters(root), chapter)
    where = repository(root)
    check_parameters(parameters, root / "chapters")
    build_folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(build_folder / ".lock"):
            return _build(root, build_folder, chosen, parameters, jobs, timeout, force, pdf, where)
    except BlockingIOError:
        raise BookError(
            f"another 'sgdm book' is building in {build_folder}: wait for it, or build somewhere "
            "else with --out"
        ) from None


def _build(
    root: Path,
    build_folder: Path,
    chosen: list[Path],
    parameters: dict[str, Any],
    jobs: int,
    timeout: int,
    force: bool,
    pdf: bool,
    where: Repository | None,
) -> Path:
    begin = time.perf_counter()
    errors = execute_all(root, build_folder, chosen, parameters, jobs, timeout, force)
    if errors:
        failed = f"{len(errors)} of {len(chosen)} chapters failed; the book was not rendered."
        raise BookError("\n\n".join(["", *errors, failed]))
    problems = render(root, build_folder, PDF if pdf else None)
    page = build_folder / "html" / "index.html"
    absent = [each for each in chapters(root) if not (build_folder / "executed" / each).exists()]
    if problems and absent and page.exists():
        print(
            f"{len(problems)} warnings, not counted: {len(absent)} chapters have never been "
            "executed, and others refer to their figures and numbers",
            flush=True,
        )
    elif problems:
        shown = "\n".join(problems)
        raise BookError(f"{shown}\n\nThe rendered book has warnings, which count as errors.")
    if where:
        write_copies(root, build_folder / COPIES, where)
    if pdf:
        shutil.copy(make_pdf(root, build_folder), build_folder / "html")
    print(f"The book is ready after {time.perf_counter() - begin:.0f} s: {page}", flush=True)
    return page
