"""A claim on a page: what is said, what became of it, how to look it up and how to repeat it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sgdm_lib.engine import speed
from sgdm_lib.study import papers
from sgdm_lib.study.claims.claim import Claim
from sgdm_lib.study.criteria.budget import reaches_with_less
from sgdm_lib.study.criteria.curves import Evidence
from sgdm_lib.study.criteria.verdict import Verdict, combine, kind
from sgdm_lib.study.evidence.published import PRINTED, Published
from sgdm_lib.study.evidence.recorded import Recorded
from sgdm_lib.study.pages.scorecard import COLUMNS, EARLY, sources


@dataclass(frozen=True)
class Report:
    """A claim with its verdicts, test by test; a box in a notebook.

    Args:
        claim: the claim.
        chapters: the checkout's folder ``chapters``.
    """

    claim: Claim
    chapters: Path

    def __str__(self) -> str:
        lines = [f"{self.claim.id}: {self.claim.statement} ({self.claim.where})"]
        for column, source in self._sources().items():
            verdict = self.claim.judge(source)
            lines.append(f"  {COLUMNS[column]}: {verdict.label}. {verdict.details}")
        return "\n".join(lines)

    def missing(self) -> dict[str, list[str]]:
        """Names of the runs that the tests need and nobody has recorded, by protocol."""
        found: dict[str, list[str]] = {}
        for source in self._sources().values():
            if isinstance(source, Recorded):
                names = dict.fromkeys(map(source.name, self.claim.runs))
                known = papers.catalogue()
                absent = [name for name in names if name in known and not source.folders(name)]
                if absent:
                    found[source.protocol] = absent
        return found

    def _sources(self) -> dict[str, Evidence]:
        return {c: s for c, s in sources(self.claim, self.chapters).items() if s is not None}

    def _repr_html_(self) -> str:
        claim, found = self.claim, self._sources()
        parts = {column: claim.parts(source) for column, source in found.items()}
        overall = {column: combine(claim.statement, each) for column, each in parts.items()}
        shown = {c: v for c, v in overall.items() if v.outcome != "no data"} or overall
        counted = ("full", "paper") if claim.end_of_training else ("full", "small", "paper")
        outcome = next((shown[c].outcome for c in counted if c in shown), "no data")
        heads = "".join(f'<th scope="col">{escape(COLUMNS[column])}</th>' for column in shown)
        rows = "".join(
            f'<tr><th scope="row">{escape(label)}</th>'
            + "".join(_cell(parts[column][label]) for column in shown)
            + "</tr>"
            for label in claim.tests
        )
        early = EARLY if claim.end_of_training else ""
        total = "".join(_total(v, early if c == "small" else "") for c, v in shown.items())
        note = f"<p>{escape(claim.note)}</p>" if claim.note else ""
        return (
            f'<div class="verdict claim {kind(outcome)}" id="claim-{claim.id.lower()}">'
            f"<p><strong>{claim.id}.</strong> {escape(claim.statement)} "
            f"<small>{escape(claim.where)}</small></p>{note}"
            f'<table class="claim-table"><thead><tr><td></td>{heads}</tr></thead>'
            f'<tbody><tr class="total"><th scope="row">the claim</th>{total}</tr>'
            f"{rows}</tbody></table>"
            f"<p><em>Judged by</em> {self._criteria()}. <em>Data:</em> {self._data(found)}"
            f"{self._commands()}</div>"
        )

    def _criteria(self) -> str:
        return ", ".join(
            f'<a href="api/criteria.html#sgdm_lib.study.criteria.{name}"><code>{name}</code></a>'
            for name in self.claim.criteria
        )

    def _data(self, found: dict[str, Evidence]) -> str:
        links: list[str] = []
        recorded: list[str] = []
        for source in found.values():
            if isinstance(source, Published):
                links += (
                    f'<a href="paper_curves/kamo2025/{name}">{name}</a>'
                    for name in self._tables(source)
                )
            elif isinstance(source, Recorded):
                for name in dict.fromkeys(map(source.name, self.claim.runs)):
                    if name in papers.catalogue():
                        recorded += source.folders(name)
        if recorded:
            links.append("the recorded runs below")
        again = f" <em>Again:</em> <code>sgdm scorecard {self.claim.id}</code>.</p>"
        return (", ".join(dict.fromkeys(links)) or "none yet") + "." + again + _records(recorded)

    def _tables(self, paper: Published) -> list[str]:
        """The files that the tests read of the paper: its curves, or the numbers it prints."""
        curves = f"{paper.dataset}_resnet18.csv"
        printed = (
            PRINTED.get(test.keywords.get("unit", "sfo"), curves)
            if test.func is reaches_with_less and "threshold" in test.keywords
            else curves
            for test in self.claim.tests.values()
        )
        return list(dict.fromkeys(printed))

    def _commands(self) -> str:
        names = [name for group in self.missing().values() for name in group]
        if not names:
            return ""
        known = papers.catalogue()
        time = speed.duration(sum(speed.seconds(known[name]) for name in names))
        words = " ".join(names)
        return (
            f"<details><summary>Not yet run: {len(names)} run{'s' * (len(names) != 1)}</summary>"
            f"<pre>sgdm run {escape(words)} \\\n    --out chapters/records</pre>"
            f"<p>About {time} for one seed of each, on the CPU that made this page.</p></details>"
        )


def _records(folders: Iterable[str]) -> str:
    """Links to recorded runs, folded: a line an experiment, a link a seed."""
    seeds: dict[str, list[str]] = {}
    for path in dict.fromkeys(folders):
        name, _, seed = path.rpartition("/seed")
        seeds.setdefault(name, []).append(f'<a href="records/{path}/history.parquet">{seed}</a>')
    if not seeds:
        return ""
    count = sum(map(len, seeds.values()))
    lines = "".join(
        f"<li>{name}: seed{'s' * (len(links) > 1)} {', '.join(links)}</li>"
        for name, links in seeds.items()
    )
    return (
        f"<details><summary>Recorded: {count} run{'s' * (count != 1)}</summary>"
        f"<ul>{lines}</ul><p>One again: <code>sgdm run {next(iter(seeds))} --seeds 0 "
        f"--out again</code></p></details>"
    )


def _unbroken(evidence: str) -> str:
    """The sentence as HTML, its ranges and its number of seeds each on one line."""
    ranges = re.sub(r"(\d) to ([+-]?\d)", "\\1\u00a0to\u00a0\\2", evidence)
    return re.sub(r"\((\d+) (\w+)\)", "(\\1\u00a0\\2)", ranges)


def _total(verdict: Verdict, note: str) -> str:
    small = f" <small>{note}</small>" if note else ""
    word = f"<strong>{verdict.symbol} {verdict.label}</strong>{small}"
    return f'<td class="{kind(verdict.outcome)}">{word}</td>'


def _cell(verdict: Verdict) -> str:
    css = kind(verdict.outcome)
    if verdict.outcome == "no data":
        return f'<td class="{css}" title="{escape(verdict.evidence, quote=True)}">…</td>'
    title, evidence = escape(verdict.criterion, quote=True), _unbroken(escape(verdict.evidence))
    return f'<td class="{css}" title="{title}">{verdict.symbol} {evidence}</td>'
