"""Rules by which the parameter groups of an optimizer follow a plan."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

from torch import Tensor
from torch.optim import Optimizer

from sgdm_lib.plan import TrainingPlan

NAMES = ("lr", "momentum", "nu")


class GroupRule(NamedTuple):
    """The rule by which a parameter group follows the plan."""

    ratio: float
    """The group's lr divided by the plan's; exactly 1.0 where the group has no lr of its own."""
    names: tuple[str, ...]
    """Which of momentum and nu the group takes from the plan."""


def check_momentum(optimizer: Optimizer, plan: TrainingPlan) -> None:
    """Raise ValueError if the plan has momentum and the optimizer was made without."""
    # Only 0 is refused: it is what an optimizer without momentum has, and a plan's default of 0.9
    # would silently give it one.
    planned = plan.at(0)["momentum"]
    if optimizer.defaults.get("momentum") == 0 and planned > 0:
        raise ValueError(
            f"momentum must be > 0 in an optimizer that follows this plan (momentum {planned:g}), "
            f"got {type(optimizer).__name__} with 0: give it momentum={planned:g}, or the plan "
            "momentum=0"
        )


def note_initial_values(optimizer: Optimizer) -> None:
    """Save the values that groups and defaults were given, as ``initial_lr`` and so on.

    Groups may share a tensor lr with ``optimizer.defaults``. NumPy's numbers become Python's, so
    that a saved state can be loaded with ``weights_only=True``.
    """
    for values in (optimizer.defaults, *optimizer.param_groups):
        for name in NAMES:
            if name in values:
                values[name] = _plain(values[name])
    for name in NAMES:
        if name in optimizer.defaults:
            optimizer.defaults[name] = copy_of(optimizer.defaults[name])
    for group in optimizer.param_groups:
        for name in NAMES:
            if name in group:
                initial = f"initial_{name}"
                group[initial] = _plain(group.get(initial, copy_of(group[name])))


def group_rules(optimizer: Optimizer) -> dict[Tensor | None, GroupRule]:
    """Return the rule of every group; where all have one value, all follow the plan."""
    groups, defaults = optimizer.param_groups, dict(optimizer.defaults)
    for name in NAMES:  # also a single group whose values a checkpoint has brought
        own = {float(group[f"initial_{name}"]) for group in groups if name in group}
        if len(own) == 1:
            defaults[name] = own.pop()
    return {group_key(group): group_rule(group, defaults) for group in groups}


def group_rule(group: dict[str, Any], defaults: dict[str, Any]) -> GroupRule:
    """Return the rule of a group, from its initial values and the optimizer's defaults.

    Raises:
        ValueError: if the group has an lr and the optimizer's is 0.
    """
    # read once for each group: reading a tensor back makes a GPU wait
    lr = float(group["initial_lr"])
    common = float(defaults.get("lr", lr))
    if common == 0 != lr:
        raise ValueError(
            f"lr of the optimizer must be > 0 where its groups have their own, got 0 with a group "
            f"of {lr:g}: give the optimizer the plan's first lr"
        )
    names = tuple(
        name
        for name in ("momentum", "nu")
        if name in group
        and float(group[f"initial_{name}"]) == float(defaults.get(name, group[f"initial_{name}"]))
    )
    return GroupRule(1.0 if lr == common else lr / common, names)


def group_key(group: dict[str, Any]) -> Tensor | None:
    """Return a key that identifies a group, also after a load, which replaces the dicts."""
    params = group["params"]
    return params[0] if params else None


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Real) else value


def copy_of(value: Any) -> Any:
    """Return a copy of a tensor; anything else as it is."""
    return value.clone() if isinstance(value, Tensor) else value


def set_value(group: dict[str, Any], name: str, value: float | Tensor) -> None:
    """Set a value of a group: fill a tensor in place, replace a float."""
    if isinstance(group[name], Tensor):
        group[name].fill_(value)
    else:
        group[name] = value
