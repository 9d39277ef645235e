"""The criterion of cost: who gets there with less."""

from __future__ import annotations

from math import inf

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.claims.compare import absent, nothing_to_judge, pair_of, verdict_of, words
from sgdm_lib.claims.curves import Curve, Source
from sgdm_lib.claims.verdict import Verdict

UNITS = {
    "sfo": "gradient computations (SFO)",
    "step": "steps",
    "epoch": "epochs",
    "seconds": "seconds",
}


def cheaper(
    source: Source,
    run: str,
    baseline: str,
    quantity: str = "gradient_norm",
    threshold: float | None = None,
    unit: str = "sfo",
) -> Verdict:
    """The run reaches a level with less effort than the baseline.

    The judged value is the effort of the run / of the baseline until the mean curve first reaches
    the level, with the band's edges as bounds. The level is the threshold under the paper's
    protocol, and what the paper's tables print counts where there is such a number. Elsewhere, and
    without a threshold, it is the best that both reach on average: chosen by the curves, not by us.
    If that is the baseline's first value, which it had without any effort, there is nothing to
    judge.

    Args:
        source: where the curves come from.
        run: short name of the run.
        baseline: short name of what it is compared with.
        quantity: what has to be reached.
        threshold: the level, in the quantity's unit; None: the best that both reach.
        unit: what is paid: "sfo", "step", "epoch" or "seconds".

    Raises:
        ValueError: if quantity or unit are unknown.
    """
    word = UNITS[choice("unit", unit, UNITS)]
    absolute = threshold is not None and getattr(source, "protocol", "full") == "full"
    level = f"{threshold:g}" if absolute else "the best that both reach"
    criterion = f"{word} until {words(quantity)} is {level}, {run} / {baseline}, below 1"
    printed = getattr(source, "printed", None)
    if printed and absolute:
        in_tables = [printed(name, quantity, threshold, unit) for name in (run, baseline)]
        if None not in in_tables:
            ratio = in_tables[0] / in_tables[1]
            evidence = f"ratio {ratio:.3g}, printed (1 run)."
            outcome = "partly reproduced" if ratio < 1 else "not reproduced"
            return Verdict("", outcome, evidence, criterion, (ratio,))
    pair = pair_of(source, run, baseline, quantity)
    if pair is None:
        return absent(criterion, source, quantity, run, baseline)
    if any(np.isnan(getattr(curve, unit)).any() for curve in pair):
        return nothing_to_judge(criterion, f"The {unit} were not recorded.")
    rising = quantity == "test_accuracy"
    if absolute and threshold is not None:
        missed = [not _gets_to(curve, threshold, rising) for curve in pair]
        at = threshold
    else:
        missed = [bool(curve.diverged) for curve in pair]
        at = (min if rising else max)(_best(curve, "mean", rising) for curve in pair)
    if any(missed):
        ratio = inf if missed[0] else 0.0
        text = "the run never gets there" if missed[0] else "the baseline never gets there"
        return Verdict(
            "",
            "not reproduced" if missed[0] else "partly reproduced",
            f"{text} ({min(c.seeds for c in pair)} seeds).",
            criterion,
            (ratio,),
            min(c.seeds for c in pair),
        )
    if not absolute and at == _best(pair[1], "mean", rising) == pair[1].mean[0]:
        return nothing_to_judge(criterion, "The baseline is never better than at its first value.")
    ours, theirs = (
        [float(getattr(c, unit)[reaches(c, at, edge)]) for edge in ("mean", "low", "high")]
        for c in pair
    )
    ratios = (ours[0] / theirs[0], min(ours) / max(theirs), max(ours) / min(theirs))
    return verdict_of(ratios[2] < 1, ratios[0] < 1, ratios, "ratio {:.3g}", criterion, pair)


def reaches(curve: Curve, level: float, edge: str = "mean") -> int:
    """Index of the first point at which a curve is at the level or past it; the last if never.

    A curve that ends above where it began is said to rise.

    Args:
        curve: the curve.
        level: what to reach.
        edge: "mean", or an edge of the band: "low", "high".

    Returns:
        An index into the curve's arrays.
    """
    values = getattr(curve, edge)
    past = values >= level if curve.mean[-1] > curve.mean[0] else values <= level
    return int(np.argmax(past)) if past.any() else len(values) - 1


def _best(curve: Curve, edge: str, rising: bool) -> float:
    values = getattr(curve, edge)
    return float(values.max() if rising else values.min())


def _gets_to(curve: Curve, level: float, rising: bool) -> bool:
    return _best(curve, "mean", rising) >= level if rising else curve.mean.min() <= level
