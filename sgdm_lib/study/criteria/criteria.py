"""Named criteria: how curves decide a claim. The same ones for the paper's curves and for ours.

Each takes a :class:`~sgdm_lib.study.criteria.Evidence` first and says in its verdict how it judged,
with its limits filled in. All of them make one number a run and hand them to
:func:`sgdm_lib.study.criteria.judge`, through the gates of :mod:`sgdm_lib.study.criteria.gates`.
Where a run *ends* is its level, the median of its last quarter of measurements. A running minimum
is all that the papers' figures show of the gradient norm; there it is the run's smallest value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from sgdm_lib.checks import choice, number
from sgdm_lib.study.criteria.curves import Evidence
from sgdm_lib.study.criteria.gates import absent, compare
from sgdm_lib.study.criteria.judge import Better, judge
from sgdm_lib.study.criteria.verdict import Verdict, undecided

WORDS = {
    "gradient_norm": "gradient norm (authors' estimator)",
    "empirical_loss": "training loss",
    "test_accuracy": "test accuracy",
    "exact_gradient_norm": "exact full gradient norm",
}
POINTS = "{:+.2f} points"
SCALE_ONLY = "an absolute value means something under the paper's protocol only"


def words(quantity: str) -> str:
    """The quantity in words.

    Raises:
        ValueError: if it is unknown.
    """
    return WORDS[choice("quantity", quantity, WORDS)]


def ends_lower(
    source: Evidence, run: str, baseline: str, quantity: str = "gradient_norm", factor: float = 1.0
) -> Verdict:
    """The run ends below ``factor`` times the baseline.

    The judged value is the level of the run / the level of the baseline.

    Args:
        source: where the curves come from.
        run: short name of the run, such as ``nshb/x2``.
        baseline: short name of what it is compared with.
        quantity: a positive one, such as ``gradient_norm`` or ``empirical_loss``.
        factor: the ratio to stay below, > 0.

    Raises:
        ValueError: if the quantity is unknown or the factor not positive.
    """
    factor = number("factor", factor, above=0)
    return _ends(source, run, baseline, quantity, factor, "below", f"below {factor:g}")


def ends_higher(
    source: Evidence, run: str, baseline: str, quantity: str = "test_accuracy", by: float = 0.0
) -> Verdict:
    """The run ends more than ``by`` percentage points above the baseline.

    The judged value is the level of the run - the level of the baseline.

    Args:
        source: where the curves come from.
        run: short name of the run.
        baseline: short name of what it is compared with.
        quantity: usually ``test_accuracy``.
        by: points to be ahead.

    Raises:
        ValueError: if the quantity is unknown.
    """
    return _ends(source, run, baseline, quantity, by, "above", f"above {by:g} points")


def ends_no_higher(
    source: Evidence, run: str, baseline: str, quantity: str = "test_accuracy"
) -> Verdict:
    """The run ends below the baseline: the opposite of :func:`ends_higher`.

    Args:
        source: where the curves come from.
        run: short name of the run.
        baseline: short name of what it is compared with.
        quantity: usually ``test_accuracy``.

    Raises:
        ValueError: if the quantity is unknown.
    """
    return _ends(source, run, baseline, quantity, 0.0, "below", "not above 0 points")


def ends_apart(
    source: Evidence,
    run: str,
    baseline: str,
    quantity: str = "test_accuracy",
    by: float = 0.5,
) -> Verdict:
    """The two runs end more than ``by`` percentage points apart, in whichever direction.

    Args:
        source: where the curves come from.
        run: short name of the run.
        baseline: short name of what it is compared with.
        quantity: usually ``test_accuracy``.
        by: points to be apart, > 0.

    Raises:
        ValueError: if the quantity is unknown or the distance not positive.
    """
    by = number("by", by, above=0)
    limit = f"more than {by:g} points from 0"
    return _ends(source, run, baseline, quantity, by, "outside", limit)


def _ends(
    source: Evidence,
    run: str,
    baseline: str,
    quantity: str,
    limit: float,
    better: Better,
    said: str,
) -> Verdict:
    """Compare where two runs end: by their ratio, accuracies by their difference."""
    points = quantity == "test_accuracy"
    between = f"{run} {'-' if points else '/'} {baseline}, {said}"
    criterion = f"{words(quantity)} at the end, {between}"
    ours, theirs = source.curve(run, quantity), source.curve(baseline, quantity)
    if ours is None or theirs is None:
        return absent(criterion, source, quantity, run, baseline)
    return compare(
        ours,
        theirs,
        limit,
        criterion=f"{words(quantity)}, {ours.level_words}, {between}",
        scale="difference" if points else "ratio",
        better=better,
        form=POINTS if points else "",
    )


def ends_near(
    source: Evidence, run: str, value: float, within: float, quantity: str = "test_accuracy"
) -> Verdict:
    """The run ends within a distance of a stated value; has a meaning at the paper's scale only.

    Args:
        source: where the curves come from.
        run: short name of the run.
        value: the stated value, in the quantity's unit.
        within: largest distance, > 0.
        quantity: usually ``test_accuracy``.

    Raises:
        ValueError: if the quantity is unknown or the distance not positive.
    """
    within = number("within", within, above=0)
    criterion = f"{words(quantity)} of {run} at the end - {value:g}, within {within:g}"
    return _absolute(source, run, quantity, value, within, "inside", criterion)


def ends_above(
    source: Evidence, run: str, value: float, quantity: str = "test_accuracy"
) -> Verdict:
    """The run ends above a stated value; has a meaning at the paper's scale only.

    Args:
        source: where the curves come from.
        run: short name of the run.
        value: the stated value, in the quantity's unit.
        quantity: usually ``test_accuracy``.

    Raises:
        ValueError: if the quantity is unknown.
    """
    criterion = f"{words(quantity)} of {run} at the end - {value:g}, above 0"
    return _absolute(source, run, quantity, value, 0.0, "above", criterion)


def _absolute(
    source: Evidence,
    run: str,
    quantity: str,
    value: float,
    limit: float,
    better: Better,
    criterion: str,
) -> Verdict:
    if not source.full_scale:
        return undecided(criterion, SCALE_ONLY)
    curve = source.curve(run, quantity)
    if curve is None:
        return absent(criterion, source, quantity, run)
    form = f"{{:+.2f}} from {value:g}"
    return judge(
        curve.levels - value,
        limit,
        scale="difference",
        better=better,
        criterion=criterion,
        form=form,
    )


def ends_lowest(
    source: Evidence, run: str, others: Sequence[str], quantity: str = "gradient_norm"
) -> Verdict:
    """The run ends below each of the others.

    It is compared with each in turn as in :func:`ends_lower`. It *holds* if all of these hold,
    *fails* if one of them fails. The judged value is that against the strongest of the others.

    Args:
        source: where the curves come from.
        run: short name of the run.
        others: short names of the others; those without a curve are named in the evidence.
        quantity: a positive one.

    Raises:
        ValueError: if the quantity is unknown.
    """
    return _each(
        source, run, others, quantity, {o: ends_lower(source, run, o, quantity) for o in others}
    )


def ends_highest(
    source: Evidence, run: str, others: Sequence[str], quantity: str = "test_accuracy"
) -> Verdict:
    """The run ends above each of the others, as :func:`ends_lowest` with the sides exchanged.

    Args:
        source: where the curves come from.
        run: short name of the run.
        others: short names of the others; those without a curve are named in the evidence.
        quantity: usually ``test_accuracy``.

    Raises:
        ValueError: if the quantity is unknown.
    """
    duels = {o: ends_higher(source, run, o, quantity) for o in others}
    return _each(source, run, others, quantity, duels)


def _each(
    source: Evidence, run: str, others: Sequence[str], quantity: str, duels: dict[str, Verdict]
) -> Verdict:
    """All duels at once: the worst outcome counts, and the strongest rival is named."""
    rising = quantity == "test_accuracy"
    side = "above" if rising else "below"
    criterion = f"{words(quantity)} of {run} at the end {side} each of {', '.join(others)}"
    met = {name: duel for name, duel in duels.items() if duel.outcome != "no data"}
    if not met:
        return absent(criterion, source, quantity, run, *others)
    order = {"fails": 0, "undecided": 1, "holds": 2}
    sign = 1.0 if rising else -1.0

    def strength(name: str) -> tuple[int, float]:
        value = met[name].value
        return order[met[name].outcome], sign * value if value is not None else inf

    name = min(met, key=strength)
    worst = met[name]
    evidence = f"against {name}: {worst.evidence}"
    if worst.outcome == "holds" and len(met) < len(duels):
        why = f"only {len(met)} of {len(duels)} others have been run"
        evidence = f"{evidence} Undecided: {why}."
        worst = replace(worst, outcome="undecided", why=why)
    return replace(worst, evidence=evidence, criterion=criterion)
