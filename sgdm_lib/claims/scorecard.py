"""The scorecard: every claim, what the paper's curves say of it, and what our runs say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from sgdm_lib.claims import kamo2025, kondo2025
from sgdm_lib.claims.claim import Claim
from sgdm_lib.claims.computed import Computed, computed
from sgdm_lib.claims.curves import Source
from sgdm_lib.claims.published import Published
from sgdm_lib.claims.recorded import Recorded
from sgdm_lib.claims.verdict import OUTCOMES, Verdict

COLUMNS = {
    "paper": "the paper's own curves",
    "full": "ours, full protocol",
    "small": "ours, small runs",
    "computed": "computed",
}
"""What each claim is judged on."""
NOTHING = '<td class="not-applicable">–</td>'
IN_THE_PAPER = {
    "reproduced": "holds",
    "partly reproduced": "holds partly",
    "not reproduced": "does not hold",
    "not yet run": "not shown",
}


def all_claims() -> dict[str, Claim]:
    """The claims of both papers, by id."""
    return kamo2025.CLAIMS | kondo2025.CLAIMS


def sources(claim: Claim, chapters: Path) -> dict[str, Source | None]:
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


def judge(claim: Claim, chapters: Path) -> dict[str, Verdict | None]:
    """The verdicts on a claim, by the columns of the scorecard."""
    return {
        column: None if source is None else claim.judge(source)
        for column, source in sources(claim, chapters).items()
    }


@dataclass(frozen=True)
class Scorecard:
    """All claims with their verdicts; a table in a notebook."""

    verdicts: Mapping[str, Mapping[str, Verdict | None]]
    """By claim and column."""
    claims: Mapping[str, Claim | Computed]
    """By id."""

    def frame(self) -> pd.DataFrame:
        """One row a claim: statement, where, outcomes and numbers of seeds."""
        rows = []
        for key, verdicts in self.verdicts.items():
            row: dict[str, Any] = {
                "id": key,
                "claim": self.claims[key].statement,
                "where": self.claims[key].where,
            }
            for column, verdict in verdicts.items():
                row[column] = verdict.outcome if verdict else ""
                row[f"{column}_seeds"] = verdict.seeds if verdict else 0
                row[f"{column}_evidence"] = verdict.evidence if verdict else ""
            rows.append(row)
        return pd.DataFrame(rows)

    def glance(self) -> Glance:
        """The same in a few lines."""
        return Glance(self)

    def _repr_html_(self) -> str:
        shown = self._columns()
        heads = "".join(f'<th scope="col">{COLUMNS[column]}</th>' for column in shown)
        body = "".join(self._row(key) for key in self.verdicts)
        return (
            '<table class="scorecard"><thead><tr><th scope="col">claim</th>'
            f"{heads}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _columns(self) -> list[str]:
        """The columns with something in them."""
        rows = self.verdicts.values()
        found = [column for column in COLUMNS if any(row[column] for row in rows)]
        return found if any(any(row.values()) for row in rows) else list(COLUMNS)

    def _row(self, key: str) -> str:
        claim = self.claims[key]
        page = f'<a href="{claim.chapter}.html#claim-{key.lower()}">{key}</a>'
        text = f"{escape(claim.statement)} <small>{escape(claim.where)}</small>"
        cells = [_cell(column, self.verdicts[key][column]) for column in self._columns()]
        if not any(self.verdicts[key].values()):
            cells[-1] = f'<td class="not-yet-run"{_of("computed")}>in the chapter</td>'
        return f'<tr><th scope="row">{page} {text}</th>{"".join(cells)}</tr>'


@dataclass(frozen=True)
class Glance:
    """A scorecard in a few lines: one small box a claim, coloured and marked by its verdict."""

    card: Scorecard

    def counts(self, column: str) -> dict[str, int]:
        """How many claims had each outcome, on one of :data:`COLUMNS`."""
        verdicts = [row.get(column) for row in self.card.verdicts.values()]
        return {
            outcome: sum(v is not None and v.outcome == outcome for v in verdicts)
            for outcome in OUTCOMES
        }

    def _repr_html_(self) -> str:
        rows = "".join(self._row(column) for column in self.card._columns())
        return f'<table class="glance"><tbody>{rows}</tbody></table>'

    def _row(self, column: str) -> str:
        chips = "".join(
            f'<a class="chip {v.outcome.replace(" ", "-")}" title="{_title(column, key, v)}" '
            f'href="{self.card.claims[key].chapter}.html#claim-{key.lower()}">{v.mark} {key}</a>'
            for key, row in self.card.verdicts.items()
            if (v := row.get(column)) is not None
        )
        return f'<tr><th scope="row">{COLUMNS[column]}</th><td>{chips}</td></tr>'


def _title(column: str, key: str, verdict: Verdict) -> str:
    word = IN_THE_PAPER[verdict.outcome] if column == "paper" else verdict.outcome
    return escape(f"{key}: {word}{f'. {verdict.evidence}' if verdict.undecided else ''}")


def _cell(column: str, verdict: Verdict | None) -> str:
    if verdict is None:
        return NOTHING
    words = IN_THE_PAPER if column == "paper" else {}
    word, kind = words.get(verdict.outcome, verdict.outcome), verdict.outcome.replace(" ", "-")
    many = f"{verdict.seeds} seed{'s' * (verdict.seeds != 1)}"
    unseeded = verdict.outcome == "not yet run" or column == "computed"
    seeds = "" if unseeded else f" <small>{many}</small>"
    why = f' title="{escape(verdict.evidence)}"' if verdict.undecided else ""
    return f'<td class="{kind}"{_of(column)}{why}>{verdict.mark} {word}{seeds}</td>'


def _of(column: str) -> str:
    """The column's heading as an attribute: on a narrow screen the cells stand below each other."""
    return f' data-of="{COLUMNS[column]}"'


def scorecard(chapters: Path, ids: Iterable[str] | None = None) -> Scorecard:
    """Judge claims on all there is to see.

    Args:
        chapters: the checkout's folder ``chapters``.
        ids: which claims; None for all.
    """
    known = everything()
    chosen = {key: known[key] for key in (known if ids is None else ids)}
    verdicts = {}
    for key, claim in chosen.items():
        if isinstance(claim, Claim):
            verdicts[key] = judge(claim, chapters)
        else:
            verdicts[key] = {"computed": claim.judge() if claim.judge else None}
    return Scorecard({key: dict.fromkeys(COLUMNS) | row for key, row in verdicts.items()}, chosen)


def everything() -> dict[str, Claim | Computed]:
    """All rows of the scorecard by id, in its order."""
    known: dict[str, Claim | Computed] = {**all_claims(), **computed()}
    return {key: known[key] for key in sorted(known, key=_order)}


def _order(key: str) -> tuple[str, int, str]:
    """K1, K2, ..., K9a, K9b, K10, ...; then L1, L1t, L2, ..."""
    digits = "".join(filter(str.isdigit, key))
    return key[0], int(digits), key
