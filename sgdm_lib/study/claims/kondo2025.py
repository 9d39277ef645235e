"""The claims of Kondo & Iiduka 2025 on schedules (i)-(iv), with the tests that decide them.

The paper's own curves are not at hand, so only our runs are judged. Its claims are about order:
which schedule ends lower, or gets there sooner. Where it says "faster" without a number the
criterion is ours. What its theorems say is judged apart, on a problem with known constants:
:mod:`sgdm_lib.study.claims.lyapunov`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sgdm_lib.study.claims.claim import Claim, Test
from sgdm_lib.study.criteria.budget import reaches_with_less
from sgdm_lib.study.criteria.course import falls_faster, levels_off
from sgdm_lib.study.criteria.criteria import ends_highest, ends_lower, ends_lowest

DECAYS = {
    "constant": "constant lr",
    "cosine": "cosine",
    "diminishing": "1/sqrt(t)",
    "linear": "linear",
    "poly": "polynomial",
}
"""Learning rates of (i) and (ii) and what they are called here; constant is the limit case."""
PEAKS = ("0.2", "0.5", "1.0")
"""Where the learning rate of (iii) ends."""
SCHEDULED = {
    "(ii) cosine": "growing_cosine",
    "(iii) to 0.5": "both_growing_max0.5",
    "(iv) to 0.5, cosine": "warmup_cosine_max0.5",
}
"""One schedule of each kind."""
WITHOUT_WARMUP = (
    *(f"{batch}_{decay}" for batch in ("constant", "growing") for decay in DECAYS),
    *(f"both_growing_max{peak}" for peak in PEAKS),
)
"""All of (i), (ii) and (iii)."""
LOSS: dict[str, Any] = {"quantity": "empirical_loss"}
EXACT: dict[str, Any] = {"quantity": "exact_gradient_norm"}
ESTIMATORS: dict[str, dict[str, Any]] = {"": {}, ", exact": EXACT}
TWO_RULERS = (
    "The authors' gradient norm is measured with the current batch size; 'exact' is the norm of "
    "the theory, which no change of the batch size moves."
)


def _warmup(optimizer: str, after: str, others: tuple[str, ...]) -> dict[str, Test]:
    """Warm-up to 0.5 ahead of the others in all quantities."""
    runs: dict[str, Any] = {
        "run": f"{optimizer}/warmup_{after}_max0.5",
        "others": tuple(f"{optimizer}/{other}" for other in others),
    }
    words = {"const": "then constant", "cosine": "then cosine"}[after]
    return {
        f"{words}, norm": partial(ends_lowest, **runs),
        f"{words}, exact norm": partial(ends_lowest, **runs, **EXACT),
        f"{words}, loss": partial(ends_lowest, **runs, **LOSS),
        f"{words}, accuracy": partial(ends_highest, **runs),
    }


def _order(optimizer: str) -> dict[str, Test]:
    """The order (i), (ii), (iii), (iv) with one schedule of each kind."""
    i, ii, iii, iv = (f"{optimizer}/{run}" for run in ("constant_cosine", *SCHEDULED.values()))
    return {
        "(ii) below (i)": partial(ends_lower, run=ii, baseline=i),
        "(iii) below (ii)": partial(ends_lower, run=iii, baseline=ii),
        "(iv) below all": partial(ends_lowest, run=iv, others=(i, ii, iii)),
        "(iv) above all in accuracy": partial(ends_highest, run=iv, others=(i, ii, iii)),
    }


_CLAIMS = (
    Claim(
        "L1",
        "(i) With a constant batch size the full gradient norm levels off, whatever the decay of "
        "the learning rate.",
        "abstract",
        "20-decaying-lr-constant-batch",
        {
            words: partial(levels_off, run=f"nshb/constant_{decay}")
            for decay, words in DECAYS.items()
        },
        note="The paper says that convergence is not guaranteed. No run can show that; the test "
        "asks for the floor that the bound has.",
        end_of_training=True,
    ),
    Claim(
        "L2",
        "(ii) With a batch size growing from 8 the full gradient norm ends lower than with a "
        "constant 128, under the same decay of the learning rate.",
        "abstract",
        "21-decaying-lr-growing-batch",
        {
            f"{words}{ruler}": partial(
                ends_lower, run=f"nshb/growing_{decay}", baseline=f"nshb/constant_{decay}", **more
            )
            for ruler, more in ESTIMATORS.items()
            for decay, words in DECAYS.items()
        },
        note=TWO_RULERS,
        end_of_training=True,
    ),
    Claim(
        "L3",
        "(iii) With batch size and learning rate both growing the full gradient norm ends lower "
        "than under (i) and (ii).",
        "abstract",
        "22-both-growing",
        {
            f"to {peak}, against {label}{ruler}": partial(
                ends_lower, run=f"nshb/both_growing_max{peak}", baseline=f"nshb/{baseline}", **more
            )
            for ruler, more in ESTIMATORS.items()
            for peak in (PEAKS if not ruler else ("0.5",))
            for label, baseline in (
                ("(i) cosine", "constant_cosine"),
                ("(ii) constant lr", "growing_constant"),
                ("(ii) cosine", "growing_cosine"),
            )
        },
        note=TWO_RULERS,
        end_of_training=True,
    ),
    Claim(
        "L4",
        "Scheduled momentum SGD converges markedly faster than with fixed batch size and learning "
        "rate.",
        "abstract",
        "24-hierarchy",
        {
            f"{label}, {words}": partial(
                criterion, run=f"nshb/{run}", baseline="nshb/constant_constant", **more
            )
            for label, run in SCHEDULED.items()
            for words, criterion, more in (
                ("half the norm", ends_lower, {"factor": 0.5}),
                ("less SFO", reaches_with_less, {}),
                ("loss", falls_faster, LOSS),
            )
        },
        note="What 'markedly' asks for is ours: at most half the norm at the end.",
        end_of_training=True,
    ),
    Claim(
        "L5",
        "(iv) A growing batch size with a warm-up of the learning rate beats all other schedules.",
        "abstract",
        "23-warm-up",
        _warmup("nshb", "cosine", WITHOUT_WARMUP) | _warmup("nshb", "const", WITHOUT_WARMUP),
        note=TWO_RULERS,
        end_of_training=True,
    ),
    Claim(
        "L6a",
        "The order of the schedules is the same for SHB.",
        "abstract",
        "25-other-optimizers",
        _order("shb"),
        end_of_training=True,
    ),
    Claim(
        "L6b",
        "The order of the schedules is the same on Tiny ImageNet (NSHB).",
        "published configurations",
        "25-other-optimizers",
        _order("nshb"),
        dataset="tiny_imagenet",
        end_of_training=True,
    ),
)

CLAIMS = {claim.id: claim for claim in _CLAIMS}
"""The claims by id."""
