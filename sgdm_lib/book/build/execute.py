"""Execute chapters with papermill's Python API, several at once, each in a kernel of its own."""

from __future__ import annotations

import os
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, NamedTuple

from sgdm_lib.engine import inputs
from sgdm_lib.book.build import kernels
from sgdm_lib.book.notebooks import check_parameters, defaults, environment, is_current, key_of
from sgdm_lib.checks import choice
from sgdm_lib.book.terminal import printable
from sgdm_lib.engine.versions import code_version, versions


class Job(NamedTuple):
    """One chapter to execute."""

    root: Path
    build: Path
    chapter: Path
    parameters: dict[str, Any]
    key: str
    timeout: int
    threads: int
    kernel: type


def execute_all(
    root: Path,
    build: Path,
    chapters: list[Path],
    parameters: dict[str, Any],
    jobs: int,
    timeout: int,
    force: bool,
) -> list[str]:
    """Execute the chapters that are not current; returns one message for each that failed.

    Raises:
        ValueError: if a chapter does not know a parameter; papermill would only log it.
    """
    for chapter in chapters:
        known = defaults(root / chapter)
        for name in parameters:
            choice(f"parameter of {chapter.name}", name, known)
    check_parameters(parameters, root / "chapters")
    env = environment(root)
    keys = {chapter: key_of(root / chapter, parameters, env) for chapter in chapters}
    todo = [c for c in chapters if force or not is_current(build / "executed" / c, keys[c])]
    jobs = max(1, min(jobs, len(todo)))
    shown = ", ".join(f"{name}={value!r}" for name, value in parameters.items()) or "defaults"
    print(
        f"{len(todo)} of {len(chapters)} chapters to execute ({shown}), {jobs} at a time",
        flush=True,
    )
    threads = max(1, (os.cpu_count() or 1) // jobs)
    kernel = kernels.manager(len(todo), jobs)
    errors = []
    shutil.rmtree(build / "speeds", ignore_errors=True)  # the machine may have been busy when they were measured
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), kernels.leave_with_parent)
    try:
        runs = [
            pool.submit(
                _execute, Job(root, build, c, parameters, keys[c], timeout, threads, kernel)
            )
            for c in todo
        ]
        for i, run in enumerate(as_completed(runs), 1):
            chapter, seconds, error = run.result()
            outcome = "FAILED" if error else "done"
            print(f"[{i}/{len(runs)}] {chapter}: {outcome} in {seconds:.1f} s", flush=True)
            errors += [printable(error)] * bool(error)
    except BaseException:  # Ctrl-C: nobody waits for the chapters under way
        pool.shutdown(wait=False, cancel_futures=True)
        for process in active_children():
            process.terminate()
        raise
    pool.shutdown()
    if folder := parameters.get("records"):
        _note_kept(root, build, todo, Path(folder))
    return errors


def _note_kept(root: Path, build: Path, executed: list[Path], records: Path) -> None:
    """Let chapters depend on the folder in which they have kept their runs, as it is now.

    All chapters may have written into it, so only now is it what the next build should find.
    """
    import nbformat

    for chapter in executed:
        path = build / "executed" / chapter
        folder = ((root / chapter).parent / records).absolute()
        if path.is_file():
            nb = nbformat.read(path, 4)
            seen = nb.metadata.get("book", {}).setdefault("inputs", {})
            seen[str(folder)] = inputs.digest(folder)
            nbformat.write(nb, path)


def _execute(job: Job) -> tuple[Path, float, str]:
    """Run one chapter; returns it, the seconds it took and its error, if any."""
    os.environ["OMP_NUM_THREADS"] = str(job.threads)  # jobs x threads should not exceed the cores
    os.environ["SGDM_SPEEDS"] = str(job.build / "speeds")
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as kernels have it
    import nbformat
    import papermill

    done = job.build / "executed" / job.chapter
    partial = job.build / "failed" / job.chapter
    done.parent.mkdir(parents=True, exist_ok=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    log = job.build / "inputs" / f"{job.chapter.stem}.jsonl"
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    os.environ[inputs.LOG] = str(log)  # the kernel notes there which records it looks for
    begin, error = time.perf_counter(), ""
    try:
        nb = papermill.execute_notebook(
            job.root / job.chapter,
            partial,
            job.parameters,
            cwd=(job.root / job.chapter).parent,
            progress_bar=False,
            kernel_name="python3",
            execution_timeout=job.timeout,
            extra_arguments=["--log-level=50"],  # the kernel's own log is not the reader's
            kernel_manager_class=job.kernel,
        )
    except papermill.PapermillExecutionError as raised:
        code = "\n".join("    " + line for line in raised.source.splitlines())
        error = (
            f"{job.chapter}, cell In [{raised.exec_count}]: {raised.ename}: {raised.evalue}\n{code}"
        )
    except Exception as raised:  # the kernel died, or a cell ran out of time
        error = f"{job.chapter}: {type(raised).__name__}: {raised}"
    seconds = time.perf_counter() - begin
    if error:
        return job.chapter, seconds, f"{error}\n  outputs so far: {partial}"
    known = defaults(job.root / job.chapter)
    for cell in nb.cells:  # the page shows papermill's cell only where it changed something
        same = all(repr(value) == repr(known[name]) for name, value in job.parameters.items())
        if same and "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("remove-cell")
    nb.cells.append(nbformat.v4.new_markdown_cell(provenance(known | job.parameters, seconds)))
    seen = {str(folder): inputs.digest(folder) for folder in inputs.logged(log)}
    nb.metadata["book"] = {"key": job.key, "inputs": seen}
    nbformat.write(nb, partial)
    os.replace(partial, done)
    return job.chapter, seconds, ""


def provenance(parameters: dict[str, Any], seconds: float) -> str:
    """The foldable box at the end of a page that says how it was made (MyST)."""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    rows = {
        "code": code_version(),
        "parameters": ", ".join(f"`{name}={value!r}`" for name, value in parameters.items()),
        "executed": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, in {seconds:.1f} s",
        "packages": packages,
        "machine": f"{os.cpu_count()} cores, {sys.platform}",
    }
    lines = [f"{name}\n: {text}\n" for name, text in rows.items()]
    return "\n".join([":::{dropdown} How this page was made", "", *lines, ":::"])
