"""A verdict: what became of a claim, by which criterion, on how many seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape

OUTCOMES = ("reproduced", "partly reproduced", "not reproduced", "not yet run")
MARKS = dict(zip(OUTCOMES, ("✓", "≈", "✗", "…"), strict=True))


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
    values: tuple[float, ...] = field(default=(), repr=False)
    """The judged quantity: one value a seed, or mean, smallest and largest over the seeds."""
    runs: int | None = None
    """Number of seeds, where ``values`` has not one value for each."""
    undecided: bool = False
    """There is nothing to judge, and it is not for want of runs: the evidence says why."""

    @property
    def seeds(self) -> int:
        """Number of seeds it rests on; for a combined verdict, the fewest of its parts."""
        return len(self.values) if self.runs is None else self.runs

    @property
    def mark(self) -> str:
        """The outcome in one sign."""
        return MARKS[self.outcome]

    @property
    def word(self) -> str:
        """The outcome of a single test in words: "nothing to judge" is not "not yet run"."""
        return "nothing to judge" if self.undecided else self.outcome

    def __str__(self) -> str:
        return f"{self.outcome.upper()}: {self.claim} {self.evidence} [{self.criterion}]"

    def _repr_html_(self) -> str:
        kind = self.outcome.replace(" ", "-")
        return (
            f'<div class="verdict {kind}"><p><strong>{self.mark} '
            f"{self.outcome.capitalize()}.</strong> {escape(self.claim)}</p>"
            f"<p>{escape(self.evidence)}</p>"
            f"<p><em>Criterion: {escape(self.criterion)}.</em></p></div>"
        )


def combine(claim: str, parts: Mapping[str, Verdict]) -> Verdict:
    """One verdict from several.

    *Reproduced* if every part that could be judged is; *not reproduced* if none is, not even
    partly; else *partly*. Parts that have not been run, and parts with runs in which there is
    nothing to judge, are named apart and not counted; a claim without any other part is "not yet
    run".

    Args:
        claim: the claim in words.
        parts: verdicts by what they are about, such as the optimizer.

    Raises:
        ValueError: if there are no parts.
    """
    if not parts:
        raise ValueError("parts must hold at least one verdict, got none: a claim needs a test")
    if len(parts) == 1:
        (only,) = parts.values()
        return replace(only, claim=claim, runs=only.seeds)
    judged = {label: part for label, part in parts.items() if part.outcome != "not yet run"}
    rest = _rest({label: part for label, part in parts.items() if label not in judged})
    outcomes = {part.outcome for part in judged.values()}
    outcome = outcomes.pop() if len(outcomes) == 1 else "partly reproduced"
    if not judged:
        some = any(part.undecided for part in parts.values())
        evidence = " ".join(rest) if some else "No runs so far."
        return Verdict(claim, "not yet run", evidence, _criteria(parts), undecided=some)
    each = [f"{label} {part.mark} {part.evidence}" for label, part in judged.items()]
    evidence = " ".join(each + rest)
    seeds = min(part.seeds for part in judged.values())
    return Verdict(claim, outcome, evidence, _criteria(judged), runs=seeds)


def _rest(parts: Mapping[str, Verdict]) -> list[str]:
    """Sentences on the parts that were not judged: one a reason, then what has not been run."""
    reasons: dict[str, list[str]] = {}
    for label, part in parts.items():
        if part.undecided:
            why = part.evidence[:1].lower() + part.evidence[1:].removesuffix(".")
            reasons.setdefault(why, []).append(label)
    missing = [label for label, part in parts.items() if not part.undecided]
    said = [f"Nothing to judge in {_listed(labels)}: {why}." for why, labels in reasons.items()]
    return said + [f"Not yet run: {_listed(missing)}."] * bool(missing)


def _listed(labels: list[str]) -> str:
    """Labels in a row, with semicolons where they hold commas themselves."""
    return ("; " if any("," in label for label in labels) else ", ").join(labels)


def _criteria(parts: Mapping[str, Verdict]) -> str:
    return "; and ".join(dict.fromkeys(part.criterion for part in parts.values()))
