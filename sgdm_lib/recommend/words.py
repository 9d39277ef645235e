"""A recommendation in words: the reasons of its parts, and how it prints."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from sgdm_lib.recommend.shape import half_growth
from sgdm_lib.theory import fastest_lr_growth

if TYPE_CHECKING:
    from sgdm_lib.recommend import Cost, Recommendation

NAMES = {"nshb": "NSHB", "shb": "SHB"}


def batch_reason(sizes: Sequence[int], lengths: Sequence[int], cap: int, n_train: int) -> str:
    """Why the batch size grows as it does."""
    if len(sizes) == 1 and sizes[0] == cap:
        return (
            f"Batch size: {cap} is already the largest that is possible, so it stays, and only "
            "the decay of the lr can lower the noise."
        )
    if len(sizes) == 1:
        return f"Batch size: {sizes[0]} throughout; there is one stage only."
    ladder = " -> ".join(map(str, sizes))
    whole = " (the whole training set: no noise is left)" if sizes[-1] == n_train else ""
    return (
        f"Batch size: {ladder}{whole}. While the batch stays and the lr is bounded away from 0 "
        "there is a noise floor, which falls with b (Kamo & Iiduka 2025, Theorems 3.1 and 3.2; "
        "chapter 'The noise floor'). Small batches first, because they give many steps while the "
        "signal is strong. A stage keeps its size for "
        f"{_epochs(lengths[1] if len(lengths) > 2 else lengths[0])}, at most a tenth of the run, "
        "as in the papers; no theorem says how long it should be."
    )


def warmup_reason(steps: int, low: float, lr: float) -> str:
    """Why the lr warms up, or why it does not."""
    if steps == 0:
        return "Warm-up: none; it was not asked for, or has fewer than two steps."
    return (
        f"Warm-up: the lr rises from {low:.3g} to {lr:.3g} in the first {steps:,} steps, by the "
        "same factor at each. Kondo & Iiduka (2025) find warm-up best in practice; no theorem "
        "says so. Theirs rises beyond the lr they start from; this one ends at the lr that you "
        "know to work, because a larger one is not tested at the first batch size."
    )


def growth_reason(
    lrs: Sequence[float], sizes: Sequence[int], momentum: float, growth: float | None, top: float
) -> str:
    """Why the lr grows with the batch as it does; ``top`` is where it has to stop."""
    if len(lrs) == 1:
        return "Growth of the lr: none, since the batch does not grow."
    span = f"from {lrs[0]:.3g} to {lrs[-1]:.3g}"
    if growth is not None:
        return (
            f"Growth of the lr: {growth:g}-fold with each jump of the batch, as you asked, {span}."
        )
    if lrs[-1] >= top:
        return (
            f"Growth of the lr: {span}, where it stops; half of the largest constant lr that T3 "
            f"admits at this smoothness is {top:.3g} (chapter 'Schedules and the Lyapunov "
            "function')."
        )
    limit = fastest_lr_growth(momentum)
    half, root = half_growth(momentum), (sizes[1] / sizes[0]) ** 0.5
    return (
        f"Growth of the lr: {span}, at each jump of the batch by the smaller of two factors: the "
        f"square root of the batch's growth, {root:.3g}, and {half:.3g}, half-way to the "
        f"{limit:.4g}-fold jump from which on T3's growth condition fails at momentum {momentum:g} "
        "(chapter 'Schedules and the Lyapunov function'). The other half of that room is left for "
        "the curvature. The square root has the smallest exponent in a bound when the target is "
        "not known beforehand; for one known target the same bound prefers an lr that grows as "
        "fast as the batch (chapter 'The price')."
    )


def decay_reason(size: int, cap: int, epochs: int) -> str:
    """Why the lr decays when it does."""
    begin = "once the batch cannot grow any more" if size == cap else "throughout"
    return (
        f"Decay: {begin}, the lr falls along a cosine to 0 in {_epochs(epochs)}. A larger batch "
        "and a smaller lr lower the same noise; the first costs fewer steps, the second is "
        "always possible. T3 does not see the gain (its floor does not depend on the lr), T2 and "
        "the exact value on a quadratic do (chapter 'Schedules and the Lyapunov function')."
    )


ASSUMPTIONS = (
    "Assumed: the lr you gave works at the batch size you start from; the data are shuffled and "
    "every epoch costs the same; a batch of the largest size fits. The theorems also assume a "
    "smooth loss and samples drawn independently; a network with BatchNorm, augmentation or "
    "ReLUs satisfies none of this exactly.",
    "Not known: smoothness L, noise sigma^2 and distance Delta of your problem. Whether the plan "
    "beats a well-tuned constant batch is an empirical question: in the bound, no growing batch "
    "beats the best constant one (chapter 'The price').",
)


def cost_line(cost: Cost) -> str:
    """Steps, gradients and time in a sentence."""
    text = (
        f"{cost.steps:,} steps, SFO {cost.sfo:,} (nominal {cost.sfo_nominal:,}); at the first "
        f"batch size throughout it would be {cost.steps_at_start:,} steps for the same SFO."
    )
    if cost.seconds is None or cost.seconds_at_start is None:
        return text
    return (
        f"{text} About {_seconds(cost.seconds)} of training, instead of "
        f"{_seconds(cost.seconds_at_start)}."
    )


def plain(r: Recommendation) -> str:
    """The recommendation as text."""
    _, _, *table = r.plan.preview().splitlines()
    return "\n".join(
        [
            _title(r),
            *table,
            f"Cost: {cost_line(r.cost)}",
            f"Guarantee: {r.guarantee}",
            *(f"- {reason}" for reason in r.reasons),
        ]
    )


def html(r: Recommendation) -> str:
    """The recommendation as a table and paragraphs."""
    _, _, head, *rows = r.plan.preview().splitlines()
    heads = "".join(
        f"<th>{escape(word)}</th>" for word in head.replace("_", " ").split("  ") if word
    )
    lines = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    items = "".join(f"<li>{_bold(reason)}</li>" for reason in r.reasons)
    page = (
        f'<div class="recommendation"><p><strong>{escape(_title(r))}</strong></p>'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
        f"<p><strong>Cost:</strong> {escape(cost_line(r.cost))}</p>"
        f"<p><strong>Guarantee:</strong> {escape(str(r.guarantee))}</p><ul>{items}</ul></div>"
    )
    return _signs(page.replace("-&gt;", "->"))


SIGNS = {"E||grad f||^2": "E‖∇f‖²", "sigma^2": "σ²", "Delta": "Δ", "->": "→"}


def _signs(text: str) -> str:
    """The text with mathematical signs, which a page has and not every terminal."""
    for plain_, sign in SIGNS.items():
        text = text.replace(plain_, sign)
    return text


def _cells(row: str) -> str:
    epochs, size, steps, *lr = row.split()
    return "".join(f"<td>{escape(each)}</td>" for each in (epochs, size, steps, " ".join(lr)))


def _bold(reason: str) -> str:
    topic, _, rest = reason.partition(":")
    return f"<strong>{escape(topic)}:</strong>{escape(rest)}"


def _title(r: Recommendation) -> str:
    return (
        f"Plan for {NAMES[r.optimizer]}, momentum {r.guarantee.momentum:g}: "
        f"{r.plan.n_train:,} samples, {_epochs(r.plan.epochs)}"
    )


def _epochs(count: int) -> str:
    return f"{count:,} epoch" + ("" if count == 1 else "s")


def _seconds(value: float) -> str:
    for limit, unit, word in ((90, 1, "s"), (5_400, 60, "min"), (172_800, 3_600, "h")):
        if value < limit:
            return f"{value / unit:.2g} {word}"
    return f"{value / 86_400:.2g} days"
