"""Where runs end, as a table: every schedule in every quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sgdm_lib.checks import choice
from sgdm_lib.plots.style import escaped
from sgdm_lib.study.criteria.curves import QUANTITIES, Curve, Evidence

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

HEADS = {
    "gradient_norm": "authors' norm",
    "exact_gradient_norm": "exact norm",
    "empirical_loss": "training loss",
    "test_accuracy": "test acc. (%)",
}
DIGITS = {"gradient_norm": 3, "exact_gradient_norm": 2, "empirical_loss": 2, "test_accuracy": 1}


def ends_table(
    source: Evidence, runs: Mapping[str, str], quantities: Sequence[str] = tuple(HEADS)
) -> Styler:
    """Where runs end: mean over the seeds and, in brackets, smallest to largest; the best in bold.

    The end of a run is its level, as in the criteria: :attr:`sgdm_lib.study.criteria.Curve.levels`.

    Args:
        source: where the curves come from.
        runs: short names of runs by label; those that have not been run are left out.
        quantities: keys of ``claims.QUANTITIES``, a column each.

    Raises:
        ValueError: if a quantity is unknown.
    """
    import pandas

    curves: dict[str, dict[str, Curve]] = {}
    for name in quantities:
        choice("quantity", name, QUANTITIES)
        asked = {label: source.curve(run, name) for label, run in runs.items()}
        curves[name] = {label: curve for label, curve in asked.items() if curve is not None}
    shown = [label for label in runs if any(label in found for found in curves.values())]
    rows = [
        {"schedule": label, "seeds": max(f[label].seeds for f in curves.values() if label in f)}
        | {HEADS[name]: _words(curves[name].get(label), DIGITS[name]) for name in quantities}
        for label in shown
    ] or [{"schedule": "not yet run"}]
    bold = pandas.DataFrame("", index=range(len(rows)), columns=list(rows[0]))
    for name, found in curves.items():
        if found:
            bold.loc[shown.index(_best(found, name)), HEADS[name]] = "font-weight: bold"
    return escaped(pandas.DataFrame(rows)).hide(axis="index").apply(lambda _: bold, axis=None)


def _best(found: Mapping[str, Curve], quantity: str) -> str:
    pick = max if quantity == "test_accuracy" else min
    return pick(found, key=lambda label: found[label].last()[0])


def _words(curve: Curve | None, digits: int) -> str:
    if curve is None:
        return "-"
    mean, low, high = (f"{value:.{digits}f}" for value in curve.last())
    dash = "\N{WORD JOINER}\N{EN DASH}\N{WORD JOINER}"  # no line ends at it
    band = f" ({low}{dash}{high})" if curve.seeds > 1 else ""
    return f"{mean}{' (diverged)' if any(curve.diverged) else ''}{band}"
