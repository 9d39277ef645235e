"""How fast training is on this machine: estimates before a run, and ``sgdm bench``."""

from sgdm_lib.engine.speed.bench import (
    run,
)
from sgdm_lib.engine.speed.estimate import (
    RANGE,
    describe,
    duration,
    in_words,
    seconds,
)
from sgdm_lib.engine.speed.loops import (
    plain_loop,
)
from sgdm_lib.engine.speed.machines import FLOP, MACHINES, Machine, images
from sgdm_lib.engine.speed.steps import (
    step_table,
)
from sgdm_lib.engine.speed.tables import (
    machine,
    write,
)

__all__ = [
    "FLOP",
    "MACHINES",
    "Machine",
    "RANGE",
    "describe",
    "duration",
    "images",
    "in_words",
    "machine",
    "plain_loop",
    "run",
    "seconds",
    "step_table",
    "write",
]
