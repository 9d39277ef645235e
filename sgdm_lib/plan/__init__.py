"""A training plan resolves the schedules of a run for a data set, before anything runs.

A :class:`TrainingPlan` takes schedules, the number of samples and the number of epochs. From these
it derives the batch size of every epoch, the learning rate of every step, the number of steps, the
gradient cost (SFO), and the position of a run after any number of steps. A checkpoint therefore
stores the number of the step and nothing else: a resumed run derives the rest.

Within an epoch the batch size is fixed, ``ceil`` of the schedule at the epoch's start, and the last
batch takes what is left. Source: the authors' training scripts (Kamo & Iiduka 2025, Kondo & Iiduka
2025), which build a fresh shuffled loader for every epoch and keep the ragged last batch.
"""

from sgdm_lib.plan.positions import Position, Stage
from sgdm_lib.plan.training_plan import TrainingPlan

__all__ = ["Position", "Stage", "TrainingPlan"]
