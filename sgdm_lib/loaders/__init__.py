"""A training plan in other people's loops: samplers, schedulers, gradient accumulation.

Nothing here needs a trainer of ours. :class:`PlanBatchSampler` makes an ordinary ``DataLoader``
follow a :class:`~sgdm_lib.plan.TrainingPlan`, :class:`PlanLR` makes an optimizer follow it,
:class:`BatchSizeScheduler` tells a hand-written loop where it stands, and :func:`micro_batches` and
:func:`accumulate` take a large batch in pieces that fit in memory. All of them derive what they do
from the number of the step, so a checkpoint needs that number and nothing else.

>>> import torch
>>> from sgdm_lib.optim import NSHB
>>> from sgdm_lib.plan import TrainingPlan
>>> from sgdm_lib.schedules import Cosine, StageGrowth
>>> samples = torch.utils.data.TensorDataset(torch.arange(10.0))
>>> plan = TrainingPlan(10, 2, batch_size=StageGrowth(4, 2, every=1), lr=Cosine(0.1))
>>> sampler = PlanBatchSampler(plan, shuffle=False)
>>> loader = torch.utils.data.DataLoader(samples, batch_sampler=sampler)
>>> weight = torch.nn.Parameter(torch.zeros(1))
>>> optimizer = NSHB([weight], lr=0.1)
>>> scheduler = PlanLR(optimizer, plan)
>>> for epoch in range(sampler.epoch, plan.epochs):
...     for (x,) in loader:
...         optimizer.zero_grad()
...         (weight * x).mean().backward()
...         optimizer.step()
...         print(epoch, len(x), round(scheduler.get_last_lr()[0], 3))
...         scheduler.step()
0 4 0.1
0 4 0.1
0 2 0.1
1 8 0.05
1 2 0.05
"""

from sgdm_lib.loaders.accumulation import accumulate, micro_batches
from sgdm_lib.loaders.sampler import PlanBatchSampler
from sgdm_lib.loaders.schedulers import BatchSizeScheduler, PlanLR

__all__ = ["BatchSizeScheduler", "PlanBatchSampler", "PlanLR", "accumulate", "micro_batches"]
