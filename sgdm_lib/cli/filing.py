"""``sgdm records add``: records made elsewhere are checked, filed, and judged."""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from sgdm_lib.book.notebooks import find_root, read
from sgdm_lib.cli.errors import Failure, one_line
from sgdm_lib.engine import inputs, records
from sgdm_lib.engine.records import RecordError, Run
from sgdm_lib.study import pages, papers

FILES = ("history.parquet", "run.json")
LARGEST = 16 * 2**20
"""Bytes of a file in an archive; a history of 300 epochs has 50,000."""
FREE = ("seed", "precision", "gradient_norm_every")
"""Fields in which a record may differ from the catalogue's run of its name."""
QUOTES = re.compile(r"page\.(source|recorded|scorecard)|reproduce\.recorded")


def add(archive: Path, chapters: Path | None = None) -> None:
    """File the finished runs of an archive, judge the claims anew, name the pages to rebuild.

    Every record is checked as whoever reads one does, and must be a run of the catalogue, up to its
    seed, its precision and how often its gradient norms were measured. A record that is there
    already stays. Runs that are not over are left out, and named.

    Args:
        archive: a tar file, compressed or not, or a folder, with one folder a run.
        chapters: the folder that has ``records`` and ``scorecard.csv``; None: the checkout's.

    Raises:
        ValueError: if there is no such archive, or it holds no runs.
        Failure: if a run could not be filed; the others have been.
    """
    chapters = chapters or find_root() / "chapters"
    if not chapters.is_dir():
        raise ValueError(f"chapters must be a folder, got {str(chapters)!r}: give the checkout's")
    filed, failed = 0, []
    with tempfile.TemporaryDirectory() as scratch:
        found = list(_runs(archive, Path(scratch)))
        if not found:
            raise ValueError(f"archive must hold runs (run.json), got none in {str(archive)!r}")
        for place, folder in found:
            try:
                new, said = _file(records.load(folder), place, chapters / "records")
            except (RecordError, OSError) as error:
                failed.append(f"{place}: {one_line(error)}")
                continue
            filed += new
            print(f"{place}: {said}", flush=True)
    if filed:
        _judge(chapters)
        pages = stale(chapters)
        print(f"to be built anew (sgdm book): {', '.join(pages) or 'no page'}")
    if failed:
        raise Failure(f"{len(failed)} of {len(found)} runs not filed: " + "; ".join(failed))


def _runs(archive: Path, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Where each run lay in the archive, and a folder with its two files."""
    if archive.is_dir():
        for path in sorted(archive.rglob("run.json")):
            yield path.parent.relative_to(archive).as_posix(), path.parent
        return
    try:
        with tarfile.open(archive) as tar:
            places: dict[str, Path] = {}
            for member in tar:  # only plain files of the two names; their paths are not used
                inside = PurePosixPath(member.name)
                if inside.name not in FILES or not member.isfile() or member.size > LARGEST:
                    continue
                place = str(inside.parent)
                folder = places.setdefault(place, scratch / str(len(places)))
                folder.mkdir(exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None  # it is a plain file
                (folder / inside.name).write_bytes(content.read())
    except (OSError, tarfile.TarError, EOFError) as error:
        raise ValueError(
            f"archive must be a tar file or a folder, got {str(archive)!r}: {one_line(error)}"
        ) from None
    yield from ((place, f) for place, f in places.items() if (f / "run.json").exists())


def _file(run: Run, place: str, folder: Path) -> tuple[bool, str]:
    """Whether the run was filed now, and what became of it."""
    if run.status not in ("finished", "diverged"):
        return False, f"left out: it is {run.status}, after {len(run.history)} epochs"
    name = catalogue_name(run, place)
    target = folder / name / f"seed{run.experiment.seed}"
    if (target / "run.json").exists():
        there = records.load(target)
        if there.experiment == run.experiment and there.history.equals(run.history):
            return False, f"there already, as {name}"
        raise RecordError(f"{target} holds another record: move it away first")
    plain = {key: value for key, value in run.provenance.items() if key != "owner"}
    records.save(Run(run.experiment, run.history, plain), target)
    return True, f"{run.status}, filed as {name}, seed {run.experiment.seed}"


def catalogue_name(run: Run, place: str) -> str:
    """The catalogue's name of a run; of several the one that its place ends with.

    Raises:
        sgdm_lib.engine.records.RecordError: if it is no run of the catalogue.
    """
    free = {name: getattr(run.experiment, name) for name in FREE}
    names = [n for n, e in papers.catalogue().items() if e.replace(**free) == run.experiment]
    if not names:
        raise RecordError("it is no run of the catalogue (sgdm list), whatever its precision")
    return max(names, key=lambda name: (name in place, -names.index(name)))


def _judge(chapters: Path) -> None:
    """Write the scorecard anew, and say which outcomes changed."""
    path = chapters / "scorecard.csv"
    before = pd.read_csv(path, keep_default_na=False) if path.exists() else pd.DataFrame()
    now = pages.scorecard(chapters).frame()
    now.to_csv(path, index=False)
    known = set(before.astype(str).itertuples(index=False, name=None))
    changed = [
        row for row in now.astype(str).itertuples(index=False, name=None) if row not in known
    ]
    print(f"scorecard: {len(changed)} rows changed" if changed else "scorecard: as before")
    for row in changed:
        print("    " + ", ".join(each for each in row if each)[:200])


def stale(chapters: Path) -> list[str]:
    """Pages whose records changed since the book was built; without a book all that quote any."""
    built = chapters.parent / "_build" / "executed" / chapters.name
    pages = []
    for page in sorted(chapters.glob("*.ipynb")):
        try:
            seen = json.loads((built / page.name).read_text("utf8"))["metadata"]["book"]["inputs"]
        except (OSError, ValueError, KeyError):
            if any(QUOTES.search(cell["source"]) for cell in read(page)["cells"]):
                pages.append(page.stem)
            continue
        if any(inputs.digest(Path(folder)) != value for folder, value in seen.items()):
            pages.append(page.stem)
    return pages
