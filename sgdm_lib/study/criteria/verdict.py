"""A verdict: what became of a claim, by which criterion, on how many seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape

from sgdm_lib.checks import choice

SYMBOLS = {"holds": "✓", "mixed": "◐", "fails": "✗", "undecided": "?", "no data": "…"}
"""A sign for each outcome; they differ in shape, not only in colour."""
OUTCOMES = tuple(SYMBOLS)
"""What can become of a claim.

* holds: the data show it
* mixed: of several tests some hold and some fail
* fails: the data show the opposite
* undecided: there are runs, but they cannot tell, and the verdict says why
* no data: nobody has made the runs, or they did not measure the quantity
"""
ROWS_SHOWN = 12


@dataclass(frozen=True)
class Verdict:
    """What became of a claim; shows as a box in a notebook."""

    claim: str
    """The claim, in our words."""
    outcome: str
    """One of :data:`OUTCOMES`."""
    evidence: str
    """The numbers it rests on, in a sentence."""
    criterion: str
    """How it was judged."""
    value: float | None = None
    """The judged quantity: geometric mean of ratios over the seeds, or mean of differences."""
    interval: tuple[float, float] | None = None
    """The 95% interval of :attr:`value`; None where there is none, as with a single seed."""
    values: tuple[float, ...] = field(default=(), repr=False)
    """The judged quantity of each seed; empty where the runs cannot be paired by seed."""
    limit: float | None = None
    """What :attr:`value` is compared with."""
    seeds: int = 0
    """Number of seeds; for a verdict with parts the fewest of those that were decided."""
    why: str = ""
    """For "undecided" and "no data": the reason."""
    parts: Mapping[str, Verdict] = field(default_factory=dict, repr=False)
    """The verdicts that this one combines, by what they are about; see :func:`combine`."""

    def __post_init__(self) -> None:
        choice("outcome", self.outcome, OUTCOMES)

    @property
    def leaves(self) -> tuple[Verdict, ...]:
        """The single tests: the parts of the parts, or the verdict itself."""
        if not self.parts:
            return (self,)
        return tuple(leaf for part in self.parts.values() for leaf in part.leaves)

    def count(self, *outcomes: str) -> int:
        """How many of the single tests have one of these outcomes."""
        return sum(leaf.outcome in outcomes for leaf in self.leaves)

    @property
    def passed(self) -> int:
        """How many of the single tests hold."""
        return self.count("holds")

    @property
    def tests(self) -> int:
        """How many of the single tests were decided."""
        return self.count("holds", "mixed", "fails")

    @property
    def symbol(self) -> str:
        """The outcome in one sign."""
        return SYMBOLS[self.outcome]

    @property
    def label(self) -> str:
        """The outcome in words, with k of n where several tests were combined.

        >>> one, other = Verdict("", "holds", "", ""), Verdict("", "fails", "", "")
        >>> combine("", {"a": one, "b": other}).label
        'mixed (1 of 2)'
        """
        if len(self.leaves) == 1 or self.outcome in ("undecided", "no data"):
            return self.outcome
        return f"{self.outcome} ({self.passed} of {self.tests})"

    @property
    def details(self) -> str:
        """The evidence, and that of the parts behind it, in one line."""
        if not self.parts:
            return self.evidence
        each = (f"{name} {part.symbol} {part.details}" for name, part in self.parts.items())
        return " ".join([self.evidence, *each])

    def __str__(self) -> str:
        head = f"{self.label.upper()}: {self.claim} {self.evidence} [{self.criterion}]"
        rows = [f"  {part.symbol} {name}: {part.evidence}" for name, part in self.parts.items()]
        return "\n".join([head, *rows])

    def _repr_html_(self) -> str:
        return (
            f'<div class="verdict {kind(self.outcome)}"><p><strong>{self.symbol} '
            f"{self.label.capitalize()}.</strong> {escape(self.claim)}</p>"
            f"<p>{escape(self.evidence)}</p>{self._rows()}"
            f"<p><em>Criterion: {escape(self.criterion)}.</em></p></div>"
        )

    def _rows(self) -> str:
        if not self.parts:
            return ""
        body = "".join(
            f'<tr class="{kind(part.outcome)}"><th scope="row">{escape(name)}</th>'
            f"<td>{part.symbol}\u00a0{part.label}</td><td>{escape(part.evidence)}</td></tr>"
            for name, part in self.parts.items()
        )
        table = f'<table class="verdict-parts"><tbody>{body}</tbody></table>'
        if len(self.parts) <= ROWS_SHOWN:
            return table
        return f"<details><summary>The {len(self.parts)} tests</summary>{table}</details>"


def kind(outcome: str) -> str:
    """The outcome as a class of the style sheet.

    >>> kind("no data")
    'no-data'
    """
    return outcome.replace(" ", "-")


def undecided(criterion: str, why: str, *, seeds: int = 0) -> Verdict:
    """The verdict where runs are there but cannot tell, for a reason."""
    return Verdict("", "undecided", f"{why}.", criterion, seeds=seeds, why=why)


def doubted(verdict: Verdict, why: str) -> Verdict:
    """The verdict with its numbers, but undecided for a reason that they do not show."""
    if verdict.outcome == "no data":
        return verdict
    numbers = verdict.evidence.split(": ")[0].removesuffix(".")
    return replace(verdict, outcome="undecided", evidence=f"{numbers}: {why}.", why=why)


def no_data(criterion: str, why: str = "No runs so far") -> Verdict:
    """The verdict where runs or measurements are missing."""
    return Verdict("", "no data", f"{why}.", criterion, why=why)


def combine(claim: str, parts: Mapping[str, Verdict]) -> Verdict:
    """One verdict from several.

    *Holds* if every part that was decided holds, *fails* if each of them fails, else *mixed*, with
    k of n single tests. Parts that are undecided or have no data are counted apart. A claim is
    decided by its tests only if at least half of them are: otherwise it is *undecided*, and without
    any data *no data*.

    Args:
        claim: the claim in words.
        parts: verdicts by what they are about, such as the optimizer.

    Raises:
        ValueError: if there are no parts.

    >>> part = Verdict("", "holds", "ratio 0.5.", "")
    >>> combine("", {"a": part, "b": part, "c": undecided("", "one seed cannot tell")}).label
    'holds (2 of 2)'
    """
    if not parts:
        raise ValueError("parts must hold at least one verdict, got none: a claim needs a test")
    if len(parts) == 1:
        (only,) = parts.values()
        return replace(only, claim=claim)
    found = Verdict(claim, "no data", "", _criteria(parts), parts=dict(parts))
    passed, decided, every = found.passed, found.tests, len(found.leaves)
    without, why = found.count("no data"), ""
    said = [f"{passed} of {decided} decided tests hold"]
    if without == every:
        return replace(found, evidence="No runs so far.", why="No runs so far")
    if not decided:
        outcome, why = "undecided", _reasons(found)
        said = [why[:1].upper() + why[1:]]
    elif 2 * decided < every:
        outcome, why = "undecided", f"only {decided} of {every} tests are decided"
        said = [f"Only {decided} of {every} tests are decided, {passed} of these hold"]
    else:
        outcome = "holds" if passed == decided else "mixed" if passed else "fails"
    said += [
        f"{found.count(what)} {word}"
        for what, word in (("undecided", "undecided"), ("no data", "without data"))
        if found.count(what) and (decided or what == "no data")
    ]
    seeds = [leaf.seeds for leaf in found.leaves if leaf.outcome in ("holds", "mixed", "fails")]
    seeds = seeds or [leaf.seeds for leaf in found.leaves if leaf.seeds]
    evidence = "; ".join(said) + "."
    return replace(found, outcome=outcome, evidence=evidence, why=why, seeds=min(seeds, default=0))


def tally(parts: Mapping[str, Verdict], ending: str = "") -> dict[str, float | None]:
    """How several tests came out: counts, and the extremes of their judged values.

    Args:
        parts: verdicts by label.
        ending: only those whose label ends so.

    Returns:
        ``tests``: their number; ``holds``: how many hold; ``compared``: how many have a judged
        value; ``below_1``: how many of these are below 1; ``lowest`` and ``highest`` of them, None
        without any.

    >>> parts = {"a": Verdict("", "holds", "", "", value=0.5), "b": no_data("")}
    >>> list(tally(parts).values())
    [2, 1, 1, 1, 0.5, 0.5]
    """
    found = [part for label, part in parts.items() if label.endswith(ending)]
    values = [part.value for part in found if part.value is not None]
    return {
        "tests": len(found),
        "holds": sum(part.outcome == "holds" for part in found),
        "compared": len(values),
        "below_1": sum(value < 1 for value in values),
        "lowest": min(values, default=None),
        "highest": max(values, default=None),
    }


def _reasons(found: Verdict) -> str:
    whys = [leaf.why for leaf in found.leaves if leaf.outcome == "undecided"]
    return "; ".join(dict.fromkeys(filter(None, whys))) or "no test is decided"


def _criteria(parts: Mapping[str, Verdict]) -> str:
    return "; and ".join(dict.fromkeys(part.criterion for part in parts.values()))


def listed(verdicts: Mapping[str, Verdict], *outcomes: str) -> str:
    """The labels of the tests with one of these outcomes, with commas; "none" without any.

    >>> listed({"norm": no_data(""), "loss": undecided("", "one seed")}, "undecided")
    'loss'
    """
    return ", ".join(name for name, v in verdicts.items() if v.outcome in outcomes) or "none"
