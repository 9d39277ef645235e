"""A verdict: what became of a claim, by which criterion, on how many seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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

    @property
    def seeds(self) -> int:
        """Number of seeds it rests on; for a combined verdict, the fewest of its parts."""
        return len(self.values) if self.runs is None else self.runs

    @property
    def mark(self) -> str:
        """The outcome in one sign."""
        return MARKS[self.outcome]

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
    partly; else *partly*. Parts that have not been run are named and not counted; a claim whose
    parts are all missing is "not yet run".

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
        return Verdict(claim, only.outcome, only.evidence, only.criterion, only.values, only.seeds)
    judged = {label: part for label, part in parts.items() if part.outcome != "not yet run"}
    missing = [label for label in parts if label not in judged]
    outcomes = {part.outcome for part in judged.values()}
    outcome = outcomes.pop() if len(outcomes) == 1 else "partly reproduced"
    if not judged:
        return Verdict(claim, "not yet run", "No runs so far.", _criteria(parts))
    evidence = " ".join(f"{label} {part.mark} {part.evidence}" for label, part in judged.items())
    if missing:
        evidence += f" Not yet run: {', '.join(missing)}."
    seeds = min(part.seeds for part in judged.values())
    return Verdict(claim, outcome, evidence, _criteria(judged), runs=seeds)


def _criteria(parts: Mapping[str, Verdict]) -> str:
    return "; and ".join(dict.fromkeys(part.criterion for part in parts.values()))
