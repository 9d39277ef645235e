"""A claim of a paper as an object: what is said, where, and the tests that decide it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sgdm_lib.study.criteria.curves import Evidence
from sgdm_lib.study.criteria.verdict import Verdict, combine

Test = partial[Verdict]
"""A criterion with its runs and limits filled in; called with a source it gives a verdict."""


@dataclass(frozen=True)
class Claim:
    """What a paper says, and how it is judged.

    >>> from sgdm_lib.study.claims import kamo2025
    >>> claim = kamo2025.CLAIMS["K3"]
    >>> claim.where
    'section 4, Fig. 1b, 2b'
    >>> list(claim.tests)[:2]
    ['NSHB', 'SHB']
    """

    id: str
    """Short name, such as K3; the scorecard's row and the page's anchor."""
    statement: str
    """The claim in our words."""
    where: str
    """Section, figure or table of the paper."""
    chapter: str
    """The chapter that judges it, such as ``11-doubling``."""
    tests: Mapping[str, Test] = field(repr=False)
    """By what they are about: criteria with their runs and limits; see ``criteria``."""
    dataset: str = "cifar100"
    """The data set it is about."""
    end_of_training: bool = False
    """Whether it is on the end of training, of which our small runs show nothing: they stop early,
    and what they show is an early-phase analogue, no test of the claim."""
    note: str = ""
    """A remark on the claim or its test, in a sentence."""

    def judge(self, source: Evidence) -> Verdict:
        """The verdict on what the source shows.

        Args:
            source: the paper's curves or recorded runs.

        Returns:
            All tests combined: :func:`~sgdm_lib.study.criteria.combine`.
        """
        return combine(self.statement, self.parts(source))

    def parts(self, source: Evidence) -> dict[str, Verdict]:
        """The verdict of each test by itself."""
        return {
            label: replace(test(source), claim=f"{self.statement} ({label})")
            for label, test in self.tests.items()
        }

    def values(self, source: Evidence) -> dict[str, float | None]:
        """The judged value of each test; None where it has none."""
        return {label: part.value for label, part in self.parts(source).items()}

    @property
    def criteria(self) -> tuple[str, ...]:
        """Names of the criteria used, functions of :mod:`sgdm_lib.study.criteria`."""
        return tuple(dict.fromkeys(test.func.__name__ for test in self.tests.values()))

    @property
    def runs(self) -> tuple[str, ...]:
        """Short names of the runs that the tests look at."""
        found: dict[str, None] = {}
        for test in self.tests.values():
            keywords: dict[str, Any] = test.keywords
            for key in ("run", "baseline", "like"):
                if key in keywords:
                    found[keywords[key]] = None
            found |= dict.fromkeys(keywords.get("others", ()))
        return tuple(found)
