"""The scorecard: every claim, what the paper's curves say of it, and what our runs say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from sgdm_lib.study.claims import kamo2025, kondo2025
from sgdm_lib.study.claims.claim import Claim
from sgdm_lib.study.claims.computed import Computed, computed
from sgdm_lib.study.criteria.curves import Evidence
from sgdm_lib.study.criteria.verdict import OUTCOMES, Verdict, kind
from sgdm_lib.study.evidence.published import Published
from sgdm_lib.study.evidence.recorded import Recorded

COLUMNS = {
    "paper": "the paper's own curves",
    "full": "ours, full protocol",
    "small": "ours, small runs (early phase of training)",
}
"""What each claim is judged on."""
NOTHING = '<td class="not-applicable">–</td>'
EARLY = "early-phase analogue"
"""What a small run shows of a claim about the end of training: nothing that counts for it."""
IN_THEORY = {
    "holds": "consistent with it",
    "mixed": "depends on the setting",
    "fails": "not consistent with it",
    "undecided": "undecided",
    "no data": "in the chapter",
}
"""Words for what is computed exactly: no experiment, no seeds, and none of their signs."""


def all_claims() -> dict[str, Claim]:
    """The claims of both papers, by id."""
    return kamo2025.CLAIMS | kondo2025.CLAIMS


def judged(name: str, source: Evidence) -> dict[str, Verdict]:
    """The single tests of a claim on one source, by label, as far as there are data for them.

    Args:
        name: the claim's id, such as "L2".
        source: where the curves come from.
    """
    parts = all_claims()[name].parts(source)
    return {label: verdict for label, verdict in parts.items() if verdict.value is not None}


def sources(claim: Claim, chapters: Path) -> dict[str, Evidence | None]:
    """What a claim is judged on, by the columns of the scorecard; None where it cannot be.

    Args:
        claim: the claim.
        chapters: the checkout's folder ``chapters``, with ``records`` and ``paper_curves``.
    """
    records, paper = chapters / "records", "kamo2025" if claim.id.startswith("K") else "kondo2025"
    on_cifar = claim.dataset == "cifar100"
    return {
        "paper": Published(chapters / "paper_curves", claim.dataset)
        if paper == "kamo2025"
        else None,
        "full": Recorded(records, paper, "full", claim.dataset),
        "small": Recorded(records, paper, "cnn10k") if on_cifar else None,
    }


def verdicts(claim: Claim, chapters: Path) -> dict[str, Verdict | None]:
    """The verdicts on a claim, by the columns of the scorecard."""
    return {
        column: None if source is None else claim.judge(source)
        for column, source in sources(claim, chapters).items()
    }


@dataclass(frozen=True)
class Scorecard:
    """All claims with their verdicts; two tables in a notebook: experiments, and theory."""

    verdicts: Mapping[str, Mapping[str, Verdict | None]]
    """By claim and column; what is computed exactly has the single column "theory"."""
    claims: Mapping[str, Claim | Computed]
    """By id."""

    def early(self, key: str, column: str) -> bool:
        """Whether the runs show only the early phase, and the claim is on the end of training."""
        claim = self.claims[key]
        return column == "small" and isinstance(claim, Claim) and claim.end_of_training

    def frame(self) -> pd.DataFrame:
        """One row a claim: outcomes, how many tests hold of how many decided, seeds, evidence."""
        rows = []
        for key, verdicts in self.verdicts.items():
            claim = self.claims[key]
            row: dict[str, Any] = {"id": key, "claim": claim.statement, "where": claim.where}
            for column in COLUMNS:
                verdict = verdicts.get(column)
                row[column] = verdict.outcome if verdict else ""
                row[f"{column}_tests"] = f"{verdict.passed} of {verdict.tests}" if verdict else ""
                row[f"{column}_seeds"] = verdict.seeds if verdict else 0
                row[f"{column}_evidence"] = verdict.details if verdict else ""
            row["small_counts_as"] = EARLY if self.early(key, "small") and row["small"] else ""
            theory = verdicts.get("theory")
            row["theory"] = _in_theory(theory) if "theory" in verdicts else ""
            row["theory_evidence"] = theory.details if theory else ""
            rows.append(row)
        return pd.DataFrame(rows)

    def glance(self) -> ScorecardChips:
        """The same in a few lines."""
        return ScorecardChips(self)

    def _repr_html_(self) -> str:
        theory = [key for key, row in self.verdicts.items() if "theory" in row]
        tables = [self._experiments([key for key in self.verdicts if key not in theory])]
        if theory:
            tables.append(self._theory(theory))
        return "".join(tables)

    def _experiments(self, keys: list[str]) -> str:
        if not keys:
            return ""
        shown = self.columns()
        heads = "".join(f'<th scope="col">{COLUMNS[column]}</th>' for column in shown)
        body = "".join(
            self._row(key, "".join(self._cell(key, column) for column in shown)) for key in keys
        )
        return _table("claim", heads, body)

    def _theory(self, keys: list[str]) -> str:
        body = "".join(
            self._row(key, f'<td class="theory">{_in_theory(self.verdicts[key]["theory"])}</td>')
            for key in keys
        )
        head = '<th scope="col">computed, no experiment</th>'
        return _table("what the theorems say", head, body)

    def columns(self) -> list[str]:
        """The columns with something in them."""
        return [c for c in COLUMNS if any(row.get(c) for row in self.verdicts.values())]

    def _row(self, key: str, cells: str) -> str:
        claim = self.claims[key]
        page = f'<a href="{claim.chapter}.html#claim-{key.lower()}">{key}</a>'
        text = f"{escape(claim.statement)} <small>{escape(claim.where)}</small>"
        return f'<tr><th scope="row">{page} {text}</th>{cells}</tr>'

    def _cell(self, key: str, column: str) -> str:
        verdict = self.verdicts[key].get(column)
        if verdict is None:
            return NOTHING
        many = f"{verdict.seeds} seed{'s' * (verdict.seeds != 1)}"
        notes = [many] * (verdict.outcome != "no data") + [EARLY] * self.early(key, column)
        small = "".join(f" <small>{note}</small>" for note in notes)
        why = f' title="{escape(verdict.why, quote=True)}"' if verdict.why else ""
        css = kind(verdict.outcome) + " early" * self.early(key, column)
        of = f' data-of="{COLUMNS[column]}"'  # on a narrow screen the cells stand below each other
        return f'<td class="{css}"{of}{why}>{verdict.symbol} {verdict.label}{small}</td>'


def _table(first: str, heads: str, body: str) -> str:
    return (
        f'<table class="scorecard"><thead><tr><th scope="col">{first}</th>'
        f"{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


def _in_theory(verdict: Verdict | None) -> str:
    if verdict is None:
        return IN_THEORY["no data"]
    count = f" ({verdict.passed} of {verdict.tests})" if verdict.outcome == "mixed" else ""
    return IN_THEORY[verdict.outcome] + count


@dataclass(frozen=True)
class ScorecardChips:
    """A scorecard in a few lines: one small box a claim, coloured and marked by its verdict.

    What is computed exactly is no experiment and is not among them. A claim on the end of training
    is drawn faintly in the row of the small runs, and is not counted there.
    """

    card: Scorecard

    def counts(self, column: str) -> dict[str, int]:
        """How many claims had each outcome, on one of :data:`COLUMNS`."""
        found = [
            verdict.outcome
            for key, row in self.card.verdicts.items()
            if (verdict := row.get(column)) and not self.card.early(key, column)
        ]
        return {outcome: found.count(outcome) for outcome in OUTCOMES}

    def _repr_html_(self) -> str:
        rows = "".join(self._row(column) for column in self.card.columns())
        return f'<table class="glance"><tbody>{rows}</tbody></table>'

    def _row(self, column: str) -> str:
        chips = "".join(
            self._chip(column, key, verdict)
            for key, row in self.card.verdicts.items()
            if (verdict := row.get(column)) is not None
        )
        return f'<tr><th scope="row">{COLUMNS[column]}</th><td>{chips}</td></tr>'

    def _chip(self, column: str, key: str, verdict: Verdict) -> str:
        early = self.card.early(key, column)
        notes = [verdict.label, *[EARLY] * early, *[verdict.why] * bool(verdict.why)]
        title = escape(f"{key}: {'; '.join(notes)}", quote=True)
        return (
            f'<a class="chip {kind(verdict.outcome)}{" early" * early}" title="{title}" '
            f'href="{self.card.claims[key].chapter}.html#claim-{key.lower()}">'
            f"{verdict.symbol} {key}</a>"
        )


def scorecard(chapters: Path, ids: Iterable[str] | None = None) -> Scorecard:
    """Judge claims on all there is to see.

    Args:
        chapters: the checkout's folder ``chapters``.
        ids: which claims; None for all.
    """
    known = everything()
    chosen = {key: known[key] for key in (known if ids is None else ids)}
    found: dict[str, Mapping[str, Verdict | None]] = {}
    for key, claim in chosen.items():
        if isinstance(claim, Claim):
            found[key] = verdicts(claim, chapters)
        else:
            found[key] = {"theory": claim.judge() if claim.judge else None}
    return Scorecard(found, chosen)


def everything() -> dict[str, Claim | Computed]:
    """All rows of the scorecard by id, in its order."""
    known: dict[str, Claim | Computed] = {**all_claims(), **computed()}
    return {key: known[key] for key in sorted(known, key=_order)}


def _order(key: str) -> tuple[str, int, str]:
    """K1, K2, ..., K9a, K9b, K10, ...; then L1, L1t, L2, ..."""
    digits = "".join(filter(str.isdigit, key))
    return key[0], int(digits), key
