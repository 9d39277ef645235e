"""Samplers, schedulers and gradient accumulation let any training loop follow a training plan.

You keep your own trainer. :class:`PlanBatchSampler` makes an ordinary ``DataLoader`` follow a
:class:`~sgdm_lib.plan.TrainingPlan`, :class:`PlanLR` makes an optimizer follow it,
:class:`BatchSizeScheduler` tells a hand-written loop its position, and :func:`micro_batches` and
:func:`accumulate` take a large batch in pieces that fit in memory. All of them derive what they do
from the number of the step, so a checkpoint needs that number and nothing else.

**Resuming with the same bits.** The sampler leaves the global random state alone. A ``DataLoader``
does not: each ``iter()`` takes its workers' seed from it, so that dropout draws other masks after a
start in mid-epoch. Pass ``DataLoader(..., generator=torch.Generator())``. Random transforms inside
workers begin anew with the workers.

**Replicas.** Replica r of R loads the samples r, r + R, r + 2R, ... of each global batch B. The
shares are disjoint, together they are B, and their sizes differ by one at most. Shares of different
sizes make the plain average over replicas (``DistributedDataParallel`` computes it) differ from the
mean gradient over B. So multiply the local mean loss of a share S by its loss weight R |S| / |B|
(:meth:`PlanBatchSampler.loss_weights`):

    (1/R) sum_r (R |S_r| / |B|) (mean gradient over S_r)  =  mean gradient over B.

The loss weights are all 1 where R divides |B|. A batch smaller than R leaves some shares empty;
such a replica loads the batch's first sample with weight 0, so that every replica takes part in
every step. Where ``torch.distributed`` runs several processes, ``num_replicas`` must be given;
without it every process would do the same work. Accelerate's ``prepare`` and Fabric's
``setup_dataloaders`` would share out the shares once more: pass them the model and the optimizer,
but not the loader.

**Micro-batches.** With ``micro_batch_size`` a share comes in pieces of at most that many samples;
:func:`accumulate` groups the pieces of a step and gives each its loss weight. Every replica has the
same number of pieces in a step; a sample of weight 0 stands for a missing piece.

**Whole run.** Some trainers ask once how long an epoch is and expect that length of every epoch.
With ``whole_run=True`` one ``iter()`` goes through all epochs of the plan, so that such a trainer
takes the run for one epoch. Let it evaluate and save by steps then.

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
