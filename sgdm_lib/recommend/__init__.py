"""A joint plan for learning rate and batch size, recommended from numbers that you know.

``recommend`` takes what a practitioner knows before a run: samples, epochs, momentum, the largest
batch that fits, and a learning rate known to work at the batch size to start from. It returns the
schedules, the plan, what the theory guarantees about it, what it costs, and the reasons in words.

The shape: a warm-up to the known lr; the batch doubles stage by stage and the lr grows with it, no
faster than half-way to what T3 admits; once the batch cannot grow any more, the lr decays along a
cosine. Each part has its reason; where the reason is no theorem, the text says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sgdm_lib.checks import choice, integer, number
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.recommend import shape, words
from sgdm_lib.recommend.guarantee import OPTIMIZERS, GrowthGuarantee
from sgdm_lib.schedules import Schedule, as_schedule

__all__ = ["Cost", "GrowthGuarantee", "Recommendation", "recommend"]


MOST_STEPS = 10**8  # T3 is asked at every step


@dataclass(frozen=True)
class Cost:
    """What a plan costs, and what the same epochs cost at its first batch size throughout."""

    steps: int
    """Optimizer steps."""
    sfo: int
    """Per-sample gradients: samples x epochs."""
    sfo_nominal: int
    """Steps x nominal batch size, as the papers count."""
    steps_at_start: int
    """Steps at the first batch size throughout; the SFO is the same."""
    seconds: float | None = None
    """Estimated time of training; None without a measured speed."""
    seconds_at_start: float | None = None
    """The same at the first batch size throughout."""


@dataclass(frozen=True)
class Recommendation:
    """A plan with its guarantee, its cost and its reasons; prints as a plan to hand over."""

    plan: TrainingPlan
    """Everything that follows from the schedules; hand it to the loaders or read its table."""
    optimizer: str
    """The method whose lr the plan's is: "nshb" or "shb"."""
    guarantee: GrowthGuarantee
    """Whether T3's growth condition holds, and its bound."""
    cost: Cost
    """Steps, gradients, time."""
    reasons: tuple[str, ...] = field(repr=False)
    """One sentence or two for each part, with theorem or chapter; then what is assumed."""

    @property
    def lr(self) -> Schedule:
        """The learning rate of every step, in the optimizer's own convention."""
        return as_schedule(self.plan.lr)

    @property
    def batch_size(self) -> Schedule:
        """The batch size of every epoch."""
        return as_schedule(self.plan.batch_size)

    def __str__(self) -> str:
        return words.plain(self)

    def _repr_html_(self) -> str:
        return words.html(self)


def recommend(
    *,
    n_train: int,
    epochs: int,
    batch_size: int,
    largest_batch_size: int,
    lr: float,
    momentum: float = 0.9,
    optimizer: str = "nshb",
    warmup: float = 0.1,
    stages: int | None = None,
    lr_growth: float | None = None,
    smoothness: float | None = None,
    speed: tuple[float, float] | None = None,
) -> Recommendation:
    """Recommend a joint schedule of learning rate and batch size.

    With batch sizes b_0 < ... < b_M = the cap, lr eta_0 as given and momentum beta:

        eta_{m+1} = eta_m * min( sqrt(b_{m+1}/b_m), (1 + 1/beta^2)/2 ),

    a geometric warm-up to eta_0 before, a cosine to 0 in the last stage. T3's growth condition
    then holds for every smoothness L up to a limit that the guarantee names.

    Args:
        n_train: number of training samples.
        epochs: number of epochs.
        batch_size: the batch size to start from.
        largest_batch_size: the largest that fits in memory; more than ``n_train`` counts as that.
        lr: a learning rate known to work at ``batch_size``, in the optimizer's own convention.
        momentum: beta in [0, 1).
        optimizer: "nshb" or "shb".
        warmup: share of the epochs that warm up, in [0, 0.5]; 0 for none.
        stages: how many batch sizes; None for doubling, with fewer and larger jumps where the
            epochs are too few.
        lr_growth: factor of the lr at each jump of the batch, >= 1, in place of the rule above.
        smoothness: L, if you know it; then the lr stops growing at half of T3's limit.
        speed: measured seconds of a step whatever its size, and of a sample, to estimate the time.

    Returns:
        Schedules, plan, guarantee, cost and reasons.

    Raises:
        ValueError: if a value is out of range or the values do not fit each other.

    Source: the growth condition follows from the Lyapunov function of Kondo & Iiduka (2508.03105).
    The pace sqrt(delta) has the smallest SFO exponent in the bound T2 when the target is not known
    (:func:`sgdm_lib.theory.optimal_batch_growth`); for a known target the bound prefers delta.

    >>> r = recommend(n_train=50_000, epochs=300, batch_size=8, largest_batch_size=1024, lr=0.1)
    >>> [(stage.batch_size, stage.epochs) for stage in r.plan.stages]
    [(8, 57), (16, 27), (32, 27), (64, 27), (128, 27), (256, 27), (512, 27), (1024, 81)]
    >>> [round(r.plan.at(r.plan.first_step(epoch))["lr"], 4) for epoch in (0, 30, 57, 84, 299)]
    [0.01, 0.1, 0.1117, 0.1248, 0.0001]
    >>> r.cost.steps, r.cost.sfo, r.cost.steps_at_start
    (526404, 15000000, 1875000)
    >>> r.guarantee.ok, round(r.guarantee.smoothness_limit, 2)
    (True, 4.88)
    """
    n_train, epochs = integer("n_train", n_train, at_least=1), integer("epochs", epochs, at_least=1)
    fix = "start from a batch that the training set has"
    start = integer("batch_size", batch_size, at_least=1, at_most=n_train, fix=fix)
    fix = f"it must hold the batch size you start from, {start}"
    cap = min(integer("largest_batch_size", largest_batch_size, at_least=start, fix=fix), n_train)
    lr = number("lr", lr, above=0, fix="give one known to work at batch_size")
    momentum = number("momentum", momentum, at_least=0, below=1)
    choice("optimizer", optimizer, OPTIMIZERS)
    warmup = number("warmup", warmup, at_least=0, at_most=0.5, fix="it is a share of the epochs")
    if lr_growth is not None:
        lr_growth = number("lr_growth", lr_growth, at_least=1, fix="None follows the rule")
    top = math.inf if smoothness is None else _half_limit(smoothness, momentum, optimizer)
    sizes = shape.batch_ladder(start, cap, shape.check_stages(stages, epochs))
    lengths = shape.stage_lengths(epochs, warmup, len(sizes))
    most = epochs * -(-n_train // start)
    if most > MOST_STEPS:
        raise ValueError(
            f"n_train, epochs and batch_size must give at most {MOST_STEPS:,} steps, got "
            f"{most:,}: start from a larger batch or take fewer epochs"
        )
    steps = [days * -(-n_train // size) for size, days in zip(sizes, lengths, strict=True)]
    warm = shape.warmup_steps(epochs, warmup, -(-n_train // start), steps[0])
    lrs = shape.stage_lrs(lr, sizes, momentum, lr_growth, top)
    plan = TrainingPlan(
        n_train,
        epochs,
        shape.batch_schedule(sizes, lengths),
        shape.lr_schedule(lrs, steps, warm, momentum),
        momentum=momentum,
    )
    reasons = (
        words.batch_reason(sizes, lengths, cap, n_train),
        words.warmup_reason(warm, plan.at(0)["lr"], lr),
        words.growth_reason(lrs, sizes, momentum, lr_growth, top),
        words.decay_reason(sizes[-1], cap, lengths[-1]),
        *words.ASSUMPTIONS,
    )
    guarantee = GrowthGuarantee(plan, optimizer, smoothness)
    return Recommendation(plan, optimizer, guarantee, _cost(plan, speed), reasons)


def _half_limit(smoothness: float, momentum: float, optimizer: str) -> float:
    """Half of the largest constant lr of T3: (1+beta)/(2 L), SHB (1-beta^2)/(2 L)."""
    limit = (1 + momentum) / (2 * number("smoothness", smoothness, above=0))
    return limit * (1 - momentum) if optimizer == "shb" else limit


def _cost(plan: TrainingPlan, speed: tuple[float, float] | None) -> Cost:
    at_start = plan.epochs * int(plan.steps[0])
    counts = (plan.total_steps, plan.total_sfo, plan.total_sfo_nominal, at_start)
    if speed is None:
        return Cost(*counts)
    if len(speed) != 2:
        raise ValueError(f"speed must be two numbers, got {speed!r}: {_SPEED}")
    a_step, a_sample = (number("speed", each, at_least=0, fix=_SPEED) for each in speed)
    training = plan.total_sfo * a_sample
    return Cost(*counts, plan.total_steps * a_step + training, at_start * a_step + training)


_SPEED = "give seconds of a step and seconds of a sample"
