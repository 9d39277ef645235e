"""The claims of Kamo & Iiduka 2025 on their experiments, with the tests that decide them.

Where the paper says "faster" or "improves" without a number, the criterion is ours; it is named in
each verdict, and the same for the paper's own curves and for our runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sgdm_lib.study.claims.claim import Claim, Test
from sgdm_lib.study.criteria.budget import reaches_with_less
from sgdm_lib.study.criteria.course import falls_faster, follows, levels_off
from sgdm_lib.study.criteria.criteria import (
    ends_above,
    ends_apart,
    ends_higher,
    ends_lower,
    ends_lowest,
    ends_near,
    ends_no_higher,
)
from sgdm_lib.study.criteria.verdict import Verdict
from sgdm_lib.study.evidence.published import NAMES_IN_FIGURES

OPTIMIZERS = tuple(NAMES_IN_FIGURES)
NOT_ADAPTIVE = ("sgd", "shb", "nshb")
GAINING = tuple(o for o in OPTIMIZERS if o != "shb")


def _each(
    optimizers: tuple[str, ...],
    criterion: Callable[..., Verdict],
    run: str,
    baseline: str,
    **more: Any,
) -> dict[str, Test]:
    """The same test for several optimizers."""
    return {
        NAMES_IN_FIGURES[o]: partial(
            criterion, run=f"{o}/{run}", baseline=f"{o}/{baseline}", **more
        )
        for o in optimizers
    }


def _lowest(run: str) -> Test:
    optimizer, _, schedule = run.partition("/")
    others = tuple(f"{other}/{schedule}" for other in OPTIMIZERS if other != optimizer)
    return partial(ends_lowest, run=run, others=others)


def _cheaper(run: str, baseline: str, **more: Any) -> Test:
    return partial(reaches_with_less, run=f"sfo/{run}", baseline=f"sfo/{baseline}", **more)


LOSS: dict[str, Any] = {"quantity": "empirical_loss"}
ACCURACY: dict[str, Any] = {"quantity": "test_accuracy"}

_CLAIMS = (
    Claim(
        "K1",
        "With a constant batch size SHB lowers the full gradient norm faster than the other "
        "methods with or without momentum, SGD and NSHB.",
        "section 4, Fig. 1b",
        "10-constant",
        {
            f"SHB against {NAMES_IN_FIGURES[other]}": partial(
                falls_faster, run="shb/constant", baseline=f"{other}/constant"
            )
            for other in ("nshb", "sgd")
        },
    ),
    Claim(
        "K2",
        "With a constant batch size SGD, SHB and NSHB lower the training loss fast and reach about "
        "70% test accuracy.",
        "section 4, Fig. 1c, 1d",
        "10-constant",
        {
            f"{NAMES_IN_FIGURES[o]}, about 70%": partial(
                ends_near, run=f"{o}/constant", value=70.0, within=2.0, quantity="test_accuracy"
            )
            for o in NOT_ADAPTIVE
        }
        | {
            f"{NAMES_IN_FIGURES[o]}, loss against {NAMES_IN_FIGURES[other]}": partial(
                falls_faster, run=f"{o}/constant", baseline=f"{other}/constant", **LOSS
            )
            for o in NOT_ADAPTIVE
            for other in OPTIMIZERS
            if other not in NOT_ADAPTIVE
        },
        note="70% is an absolute value: only runs of the paper's protocol can answer. 'Fast' is "
        "ours: faster than Adam, AdamW and RMSprop.",
    ),
    Claim(
        "K3",
        "Doubling the batch size from 8 ends at a lower full gradient norm than a constant 128.",
        "section 4, Fig. 1b, 2b",
        "11-doubling",
        _each(OPTIMIZERS, ends_lower, "x2", "constant"),
        end_of_training=True,
    ),
    Claim(
        "K4",
        "Doubling the batch size from 8 ends at a lower training loss than a constant 128.",
        "section 4, Fig. 1c, 2c",
        "11-doubling",
        _each(OPTIMIZERS, ends_lower, "x2", "constant", **LOSS),
        end_of_training=True,
    ),
    Claim(
        "K5",
        "Doubling the batch size improves the test accuracy of every optimizer except SHB.",
        "section 4, Fig. 1d, 2d",
        "11-doubling",
        _each(GAINING, ends_higher, "x2", "constant", **ACCURACY)
        | {
            "SHB, no gain": partial(
                ends_no_higher, run="shb/x2", baseline="shb/constant", quantity="test_accuracy"
            )
        },
    ),
    Claim(
        "K6",
        "Quadrupling ends at a lower full gradient norm and training loss than doubling.",
        "section 4, Fig. 2b, 2c, 3b, 3c",
        "12-quadrupling",
        {f"{k}, norm": t for k, t in _each(OPTIMIZERS, ends_lower, "x4", "x2").items()}
        | {f"{k}, loss": t for k, t in _each(OPTIMIZERS, ends_lower, "x4", "x2", **LOSS).items()},
        end_of_training=True,
    ),
    Claim(
        "K7",
        "With quadrupling SGD and NSHB exceed 70% test accuracy, and what they reach with a "
        "constant batch size.",
        "section 4, Fig. 3d",
        "12-quadrupling",
        {
            f"{NAMES_IN_FIGURES[o]} above 70%": partial(
                ends_above, run=f"{o}/x4", value=70.0, quantity="test_accuracy"
            )
            for o in ("sgd", "nshb")
        }
        | {
            f"{k} gains": t
            for k, t in _each(("sgd", "nshb"), ends_higher, "x4", "constant", **ACCURACY).items()
        },
    ),
    Claim(
        "K8",
        "With a growing batch size Adam reaches the smallest full gradient norm.",
        "section 4.1, Fig. 2b, 3b",
        "15-answer",
        {"doubling": _lowest("adam/x2"), "quadrupling": _lowest("adam/x4")},
        end_of_training=True,
    ),
    Claim(
        "K9a",
        "AdamW follows almost the same trend as NSHB in the full gradient norm.",
        "section 4.1, Fig. 2b",
        "15-answer",
        {
            schedule: partial(
                follows,
                run=f"adamw/{schedule}",
                like=f"nshb/{schedule}",
                quantity="gradient_norm",
                within=1.5,
            )
            for schedule in ("x2", "x4")
        },
    ),
    Claim(
        "K9b",
        "Adam and AdamW differ in test accuracy.",
        "section 4.1, Fig. 2d",
        "15-answer",
        {
            schedule: partial(
                ends_apart,
                run=f"adamw/{schedule}",
                baseline=f"adam/{schedule}",
                quantity="test_accuracy",
            )
            for schedule in ("x2", "x4")
        },
        note="How much is a difference is ours: more than half a point, in either direction.",
    ),
    Claim(
        "K10",
        "Starting from a batch size of 8, doubling needs fewer gradient computations (SFO) than "
        "staying at 8 to reach a given gradient norm.",
        "section 4.2, Table 2",
        "14-cost",
        {
            f"norm {threshold:g}": _cheaper("b8_x2_every20", "b8", threshold=threshold)
            for threshold in (0.1, 0.05)
        },
        end_of_training=True,
    ),
    Claim(
        "K11",
        "Starting from a batch size of 128, doubling needs fewer gradient computations (SFO) than "
        "staying at 128 to reach a given gradient norm.",
        "section 4.2, Table 3",
        "14-cost",
        {
            f"norm {threshold:g}": _cheaper("b128_x2_every50", "b128", threshold=threshold)
            for threshold in (0.1, 0.06)
        },
        end_of_training=True,
    ),
    Claim(
        "K12",
        "Doubling needs fewer gradient computations (SFO) than a constant batch size to reach 70% "
        "test accuracy.",
        "section 4.2, Table 4",
        "14-cost",
        {
            "from 8": _cheaper("b8_x2_every20", "b8", threshold=70.0, **ACCURACY),
            "from 128": _cheaper("b128_x2_every25", "b128", threshold=70.0, **ACCURACY),
        },
        end_of_training=True,
    ),
    Claim(
        "K13",
        "Starting from a batch size of 8, doubling needs less wall-clock time than staying at 8.",
        "appendix A.5, A.6",
        "14-cost",
        {
            f"norm {threshold:g}": _cheaper(
                "b8_x2_every20", "b8", threshold=threshold, unit="seconds"
            )
            for threshold in (0.1, 0.05)
        },
        note="Seconds are judged only where a record says that the run had the machine to itself.",
        end_of_training=True,
    ),
    Claim(
        "K14",
        "On Tiny ImageNet, too, doubling ends at a lower full gradient norm than a constant 128.",
        "appendix A.4",
        "13-tiny-imagenet",
        _each(OPTIMIZERS, ends_lower, "x2", "constant"),
        dataset="tiny_imagenet",
        end_of_training=True,
    ),
    Claim(
        "K16a",
        "With a constant batch size the full gradient norm levels off at a floor.",
        "Theorem 3.1, Fig. 1b",
        "15-answer",
        {
            label: partial(levels_off, run=f"{name}/constant")
            for name, label in NAMES_IN_FIGURES.items()
        },
        note="The theorem bounds the norm and does not say that it has a floor; the test looks for "
        "the floor that the bound has. The floor of the theory itself is judged in K16.",
        end_of_training=True,
    ),
)

CLAIMS = {claim.id: claim for claim in _CLAIMS}
"""The claims by id, in the paper's order."""
