"""The claims of the papers as objects: what is said, where, and by which criteria it is judged."""

from sgdm_lib.study.claims import (
    equal_batch,
    joint_growth,
    lyapunov,
    measured,
    single_runs,
    tables,
)
from sgdm_lib.study.claims.claim import (
    Claim,
    Test,
)
from sgdm_lib.study.claims.computed import (
    Computed,
)
from sgdm_lib.study.claims.measured import (
    floor_and_rate,
    lr_within_limit,
)

__all__ = [
    "Claim",
    "Computed",
    "Test",
    "equal_batch",
    "floor_and_rate",
    "joint_growth",
    "lr_within_limit",
    "lyapunov",
    "measured",
    "single_runs",
    "tables",
]
