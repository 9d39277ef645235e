"""Claims that no curve decides: computed exactly, or measured where their chapter is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from sgdm_lib.study.claims import kondo2025, lyapunov, measured
from sgdm_lib.study.criteria.verdict import Verdict, combine


@dataclass(frozen=True)
class Computed:
    """A claim and the function that computes its verdict."""

    id: str
    """Short name, such as K16."""
    statement: str
    """The claim in our words."""
    where: str
    """Section or theorem of the paper."""
    chapter: str
    """The chapter that judges it."""
    judge: Callable[[], Verdict] | None = None
    """Computes the verdict in seconds; None where the chapter has to train for it."""


def _k16() -> Verdict:
    return combine(measured.STATEMENTS["K16"], measured.floor_and_rate())


@lru_cache(maxsize=1)
def computed() -> Mapping[str, Computed]:
    """These claims by id: of the first paper K15 and K16, of the second what its theorems say.

    >>> list(computed())
    ['K15', 'K16', 'L1t', 'L2t', 'L3t']
    """
    first = "15-answer"
    found = [
        Computed("K15", measured.STATEMENTS["K15"], "section 4, appendix A.7", first),
        Computed("K16", measured.STATEMENTS["K16"], "Theorems 3.1, 3.2, A.1, A.2", first, _k16),
    ]
    for key, judge in lyapunov.JUDGED.items():
        chapter = kondo2025.CLAIMS[key.removesuffix("t")].chapter
        found.append(Computed(key, lyapunov.STATEMENTS[key], "abstract, theorems", chapter, judge))
    return MappingProxyType({claim.id: claim for claim in found})
