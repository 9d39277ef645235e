"""One frozen, validated description of a training run: JSON round trip and content hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from sgdm_lib import data
from sgdm_lib.checks import boolean, choice, integer, number, shown
from sgdm_lib.data import NAMES as DATASETS
from sgdm_lib.models import NAMES as MODELS
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import Constant, Piecewise, Schedule, as_schedule, as_values, from_dict

__all__ = ["ESTIMATORS", "MOMENTUM_METHODS", "OPTIMIZERS", "PRECISIONS", "Experiment"]

MOMENTUM_METHODS = ("nshb", "shb", "qhm")
OPTIMIZERS = (*MOMENTUM_METHODS, "sgd", "adam", "adamw", "rmsprop")
PRECISIONS = ("fp32", "tf32", "bf16")
ESTIMATORS = ("exact", "authors")
SCHEDULED = ("batch_size", "lr", "momentum", "nu")
MOST_EPOCHS = 1_000_000
# The fields of the first records. A later one counts in the hash only where it is not the default.
_FIRST_FIELDS = {
    *("dataset", "model", "optimizer", "epochs", *SCHEDULED, "weight_decay", "seed", "augment"),
    *("label_noise", "n_train", "precision", "gradient_norm_every", "estimators"),
    "allow_shrinking",
}


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides the outcome of a run; equal experiments have equal hashes.

    Schedules may be given as numbers. Without a unit of their own, epochs count from 0.

    Args:
        dataset: a name of :func:`sgdm_lib.data.load`.
        model: a name of :func:`sgdm_lib.models.build`.
        optimizer: ``nshb``, ``shb``, ``qhm``, ``sgd``, ``adam``, ``adamw`` or ``rmsprop``.
        epochs: passes over the training set, 1 .. 1,000,000.
        batch_size: schedule per epoch, or a number.
        lr: schedule per epoch or step, or a number.
        momentum: for nshb, shb and qhm, in [0, 1); None is 0.9. None for the others.
        nu: for qhm, in [0, 1]; None is 0.7. None for the others.
        weight_decay: >= 0; decoupled for adamw, coupled for the rest. The papers use 0, and 0.01
            for AdamW.
        seed: of the initial weights, the order of samples and the augmentation, 0 .. 2**32 - 1.
        augment: crop, flip and rotate as in the papers.
        label_noise: fraction of training labels drawn at random, fixed, in [0, 1].
        n_train: use that many training samples only; None for all.
        precision: ``fp32``; ``tf32``: float32, but convolutions in TF32 on a GPU that has it, which
            is PyTorch's default; or ``bf16`` (autocast).
        gradient_norm_every: measure the full gradient norm every so many epochs, >= 1.
        estimators: which full gradient norms to measure: ``exact``, ``authors`` or both.
        allow_shrinking: allow a batch size that falls.

    Raises:
        ValueError: if a field is out of range or unknown.

    >>> from sgdm_lib.schedules import StageGrowth
    >>> run = Experiment(dataset="digits", model="mlp", optimizer="nshb", epochs=40,
    ...                  batch_size=StageGrowth(8, 2, every=10), lr=0.1)
    >>> run.plan(1_437).total_steps
    3380
    >>> Experiment.from_json(run.to_json()) == run
    True
    """

    dataset: str
    model: str
    optimizer: str
    epochs: int
    batch_size: Schedule | float
    lr: Schedule | float
    momentum: Schedule | float | None = None
    nu: Schedule | float | None = None
    weight_decay: float = 0.0
    seed: int = 0
    augment: bool = False
    label_noise: float = 0.0
    n_train: int | None = None
    precision: str = "fp32"
    gradient_norm_every: int = 1
    estimators: tuple[str, ...] = ("exact",)
    allow_shrinking: bool = False

    def __post_init__(self) -> None:
        choice("dataset", self.dataset, DATASETS)
        choice("model", self.model, MODELS)
        choice("optimizer", self.optimizer, OPTIMIZERS)
        choice("precision", self.precision, PRECISIONS)
        self._put("estimators", _estimators(self.estimators))
        self._put("epochs", integer("epochs", self.epochs, at_least=1, at_most=MOST_EPOCHS))
        self._put("seed", integer("seed", self.seed, at_least=0, at_most=2**32 - 1))
        for name in ("augment", "allow_shrinking"):
            self._put(name, boolean(name, getattr(self, name)))
        for name in ("batch_size", "lr"):
            if getattr(self, name) is None:
                raise ValueError(f"{name} must be a number or a schedule, got None: give one")
        every = integer("gradient_norm_every", self.gradient_norm_every, at_least=1)
        self._put("gradient_norm_every", every)
        self._put("weight_decay", number("weight_decay", self.weight_decay, at_least=0))
        self._put("label_noise", number("label_noise", self.label_noise, at_least=0, at_most=1))
        if self.n_train is not None:
            self._put("n_train", integer("n_train", self.n_train, at_least=1))
        self._fill("momentum", 0.9, MOMENTUM_METHODS)
        self._fill("nu", 0.7, ("qhm",))
        for name in SCHEDULED:
            if getattr(self, name) is not None:
                self._put(name, as_schedule(getattr(self, name), name))

    def _put(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen for everyone else

    def _fill(self, name: str, default: float, methods: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if self.optimizer in methods:
            self._put(name, default if value is None else value)
        elif value is not None:
            raise ValueError(
                f"{name} must be None for the optimizer {self.optimizer!r}, got {shown(value)}: "
                f"only {', '.join(methods)} take it"
            )

    def plan(self, n_train: int | None = None) -> TrainingPlan:
        """The training plan.

        Args:
            n_train: samples to train on; None: as many as the data set has, which is not loaded.

        Raises:
            ValueError: if the schedules do not fit the data set or each other.
        """
        if n_train is None:
            n_train = data.size(self.dataset).n_train
        if self.n_train is not None:
            n_train = integer("n_train", self.n_train, at_most=n_train, fix="the data set's size")
        return TrainingPlan(
            n_train,
            self.epochs,
            self.batch_size,
            self.lr,
            momentum=Constant(0.0) if self.momentum is None else self.momentum,
            nu=self.nu,
            allow_shrinking=self.allow_shrinking,
        )

    def with_values(self, n_train: int) -> Experiment:
        """The same experiment as a record can hold it.

        Schedules of functions that cannot be imported (lambdas, a notebook's own) become tables of
        the values they take; all others stay as they are.

        Args:
            n_train: training samples of the data set.

        Raises:
            ValueError: if the schedules do not fit the data set or each other, or a table would be
                too long.
        """
        try:
            self.to_dict()
            return self
        except ValueError:  # a schedule has no name: below
            plan, changes = self.plan(n_train), dict[str, Any]()
        for name in SCHEDULED:
            if getattr(self, name) is not None:
                length = plan.total_steps if getattr(self, name).unit == "step" else plan.epochs
                values = as_values(getattr(plan, name), length)
                if isinstance(values, Piecewise) and values != getattr(plan, name):
                    changes[name] = values
        return self.replace(**changes)

    def replace(self, **changes: Any) -> Experiment:
        """The same experiment with some fields changed; validated anew.

        Raises:
            ValueError: if a field is unknown or out of range.
        """
        for name in changes:
            choice("field of an experiment", name, [f.name for f in fields(self)])
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, every field named."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["estimators"] = list(self.estimators)
        return {n: v.to_dict() if isinstance(v, Schedule) else v for n, v in plain.items()}

    def to_json(self) -> str:
        """The description as JSON text, keys sorted."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Experiment:
        """The experiment that :meth:`to_dict` described.

        Raises:
            ValueError: if a field is unknown, missing or out of range.
        """
        if not isinstance(data, dict):
            raise ValueError(f"an experiment must be a mapping, got {type(data).__name__}")
        known = {f.name: f for f in fields(cls)}
        for name in data:
            choice("field of an experiment", name, known)
        for name, each in known.items():
            if each.default is MISSING and name not in data:
                raise ValueError(f"an experiment needs the field {name!r}, which is missing")
        values: dict[str, Any] = {}
        for name, value in data.items():
            values[name] = from_dict(value) if isinstance(value, dict) else value
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Experiment:
        """The experiment in a JSON text.

        Raises:
            ValueError: if the text is no JSON, or no experiment.
        """
        try:
            return cls.from_dict(json.loads(text))
        except RecursionError:
            raise ValueError(
                "an experiment must be a mapping, got too deeply nested JSON"
            ) from None

    @property
    def hash(self) -> str:
        """Content hash, 12 hexadecimal digits; the seed counts.

        A field added to later versions counts only where it differs from its default, so that an
        experiment keeps its hash.
        """
        default = {f.name: f.default for f in fields(self) if f.name not in _FIRST_FIELDS}
        plain = {
            name: value
            for name, value in self.to_dict().items()
            if name not in default or getattr(self, name) != default[name]
        }
        text = json.dumps(plain, indent=2, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def differences(self, other: Experiment) -> dict[str, tuple[Any, Any]]:
        """The fields in which two experiments differ, with both values."""
        mine, theirs = self.to_dict(), other.to_dict()
        return {n: (mine[n], theirs[n]) for n in mine if mine[n] != theirs[n]}


def _estimators(value: Any) -> tuple[str, ...]:
    """Names of estimators, each known and named once."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(
            f"estimators must be a tuple of names, got {shown(value)}: write ('exact',)"
        )
    names = tuple(choice("estimator", name, ESTIMATORS) for name in value)
    if len(set(names)) < len(names):
        raise ValueError(f"estimators must be named once each, got {names}: leave one out")
    return names
