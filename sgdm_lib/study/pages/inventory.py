"""What has been recorded, what it took, and what the rest would take: the appendix's tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sgdm_lib import data
from sgdm_lib.checks import number
from sgdm_lib.engine import inputs, records, speed
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.records import Run
from sgdm_lib.engine.speed.machines import MACHINES
from sgdm_lib.engine.versions import versions
from sgdm_lib.study import papers

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

__all__ = [
    "Record",
    "assumptions",
    "expected",
    "packages",
    "recorded",
    "datasets",
    "survey",
    "times",
]

SOURCES = {
    "digits": ("UCI, by way of scikit-learn", "CC BY 4.0"),
    "fashion_mnist": ("Zalando Research", "MIT"),
    "cifar10": ("Krizhevsky 2009", "none stated"),
    "cifar100": ("Krizhevsky 2009", "none stated"),
    "tiny_imagenet": ("Stanford CS231n, from ImageNet", "ImageNet's: not commercial"),
}
"""Where each data set comes from, and its licence. The repository carries none of them."""

UNBROKEN = "\u00a0"  # a space at which a narrow column does not break
_TO = "–"  # words would make the table wider than a page


class Record(NamedTuple):
    """A recorded run, found on disk."""

    name: str
    """The folder it lies in, which should be its name in the catalogue."""
    run: Run
    as_catalogued: bool
    """Whether the experiment is the catalogue's of that name, but for the seed."""


def survey(folder: Path) -> list[Record]:
    """Read every record below a folder and compare it with the catalogue.

    Args:
        folder: where ``sgdm run --out`` put them, such as ``chapters/records``.

    Returns:
        The records by name and seed; none if the folder is empty or missing.

    Raises:
        sgdm_lib.engine.records.RecordError: if one cannot be read.
    """
    catalogue = papers.catalogue()
    found = []
    for path in inputs.note(folder).rglob("run.json"):
        name = path.parent.parent.relative_to(folder).as_posix()
        run = records.load(path.parent)
        wanted = catalogue.get(name)
        same = wanted is not None and wanted.replace(seed=run.experiment.seed) == run.experiment
        found.append(Record(name, run, same))
    return sorted(found, key=lambda record: (record.name, record.run.experiment.seed))


def _group(name: str) -> str:
    return "/".join(name.split("/")[:2])


def _grouped(names: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_group(name), []).append(name)
    return groups


def _show(rows: Sequence[dict[str, Any]]) -> Styler:
    import pandas

    from sgdm_lib.plots.style import escaped, words_left

    table = escaped(pandas.DataFrame(rows), precision=1, thousands=",", na_rep="-")
    return words_left(table.hide(axis="index"))


def recorded(found: Sequence[Record]) -> Styler:
    """One line for each group of records: how many, of how many in the catalogue, how long."""
    catalogue = _grouped(papers.catalogue())
    rows = []
    for group in _grouped(record.name for record in found):
        here = [record for record in found if _group(record.name) == group]
        provenance = [record.run.provenance for record in here]
        hours = [number("seconds", each.get("seconds", 0.0)) / 3600 for each in provenance]
        rows.append(
            {
                "records": group,
                "runs": len({record.name for record in here}),
                "of": len(catalogue.get(group, [])),
                "seeds": len({record.run.experiment.seed for record in here}),
                "longest, h": max(hours),
                "all, h": sum(hours),
                "as catalogued": "all" if all(r.as_catalogued for r in here) else "not all",
            }
        )
    return _show(rows)


def times(device: str = "auto") -> Styler:
    """One line for each group of the catalogue: size, and estimated time on this machine.

    The time comes from timing a few steps here (:mod:`sgdm_lib.engine.speed`), good to a
    factor of
    about two. Tiny ImageNet's is CIFAR-100's of the same network times the number of pixels.
    """
    rows = []
    catalogue = papers.catalogue()
    for group, names in _grouped(catalogue).items():
        seconds = [_seconds(catalogue[name], device) for name in names]
        longest = catalogue[names[seconds.index(max(seconds))]]
        rows.append(
            {
                "runs": group,
                "of them": len(names),
                "steps": longest.plan().total_steps,
                "images, M": speed.images(longest) / 1e6,
                "longest": speed.duration(max(seconds)).replace(" ", UNBROKEN),
                "all": speed.duration(sum(seconds)).replace(" ", UNBROKEN),
            }
        )
    return _show(rows)


def expected(groups: Iterable[str] = ("kamo2025", "kondo2025")) -> Styler:
    """Expected time and cost of the papers' runs where they have not been timed: arithmetic.

    ``steps x overhead + images x FLOP / (share x peak)`` with the assumptions of
    :data:`MACHINES`; one line for each machine and group of runs, one seed each.

    Args:
        groups: beginnings of names in the catalogue.
    """
    rows = []
    catalogue = papers.catalogue()
    runs = [name for name in catalogue if name.startswith(tuple(groups))]
    for machine, assumed in MACHINES.items():
        for group, names in _grouped(runs).items():
            each = [assumed.seconds(catalogue[name]) for name in names]
            slow, fast = (sum(times) / 3600 for times in zip(*each, strict=True))
            longest = max(each)
            rows.append(
                {
                    "machine": machine,
                    "runs": group,
                    "of them": len(names),
                    "longest, h": f"{longest[1] / 3600:.1f}{_TO}{longest[0] / 3600:.1f}",
                    "all, h": f"{fast:,.0f}{_TO}{slow:,.0f}",
                    "cost, USD": f"{fast * assumed.price:,.0f}{_TO}{slow * assumed.price:,.0f}",
                }
            )
    return _show(rows)


def assumptions() -> Styler:
    """What :func:`expected` assumes: one line for each of :data:`MACHINES`.

    >>> list(assumptions().data["machine"]) == list(MACHINES)
    True
    """
    rows = []
    for name, machine in MACHINES.items():
        low, high = (100 * share for share in machine.share)
        slow, fast = (1e3 * seconds for seconds in machine.overhead)
        rows.append(
            {
                "machine": name,
                "peak, TFLOP/s (fp32)": machine.peak / 1e12,
                "share of it": f"{low:.0f}{_TO}{high:.0f}%",
                "a step besides, ms": f"{fast:g}{_TO}{slow:g}",
                "an hour, USD": f"{machine.price:g}",
            }
        )
    return _show(rows)


def _seconds(experiment: Experiment, device: str) -> float:
    if experiment.dataset != "tiny_imagenet":
        return speed.seconds(experiment, device)
    small, large = data.size("cifar100"), data.size("tiny_imagenet")
    pixels = (large.shape[1] * large.shape[2]) / (small.shape[1] * small.shape[2])
    twin = experiment.replace(dataset="cifar100")
    more = speed.images(experiment) / speed.images(twin)
    return pixels * more * speed.seconds(twin, device)


def packages(found: Sequence[Record]) -> Styler:
    """The machine and the versions that matter, here and in the records."""
    devices = sorted({str(record.run.provenance.get("device", "-")) for record in found})
    here = f"{os.cpu_count()} cores"
    rows = [{"": "machine", "this page": here, "the records": ", ".join(devices)}]
    for name, here in versions().items():
        there = {_version(record.run.provenance, name) for record in found}
        rows.append({"": name, "this page": here, "the records": ", ".join(sorted(there))})
    return _show(rows)


def _version(provenance: dict[str, Any], name: str) -> str:
    versions = provenance.get("versions")
    return str(versions.get(name, "-")) if isinstance(versions, dict) else "-"


def datasets() -> Styler:
    """The data sets: size, origin, licence, and whether they are on this machine's disk.

    >>> table = datasets().data
    >>> table.loc[table["data set"] == "cifar100", "images"].item()
    60000
    """
    rows = []
    for name in data.NAMES:
        size = data.size(name)
        shape = f"{UNBROKEN}x{UNBROKEN}".join(map(str, size.shape))
        images = size.n_train + size.n_test
        origin, licence = SOURCES[name]
        rows.append(
            {"data set": name, "images": images, "shape": shape, "from": origin, "licence": licence}
        )
    return _show(rows)
