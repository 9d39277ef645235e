"""A growing batch size on several processes: ``torchrun --nproc-per-node 2 several_processes.py``.

The plan counts batches of the whole run: each process takes its share, and ``weight`` makes the
average over the processes the mean over the batch. The result is that of one process, to rounding.

Accelerate: give ``prepare`` the model and the optimizer, not the loader and the scheduler, which it
would share out and step once more; ``num_replicas=accelerator.num_processes``,
``rank=accelerator.process_index``. Fabric: likewise ``fabric.setup(model, optimizer)`` without
``setup_dataloaders``; ``num_replicas=fabric.world_size``, ``rank=fabric.global_rank``.
"""

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from sgdm_lib import data, models
from sgdm_lib.loaders import PlanBatchSampler, PlanLR, accumulate
from sgdm_lib.optim import NSHB
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import GrowthTo, StageGrowth

distributed.init_process_group("gloo")  # "nccl" on GPUs
rank, world = distributed.get_rank(), distributed.get_world_size()

digits = data.load("digits")
train = TensorDataset(digits.x_train / 255, digits.y_train)
plan = TrainingPlan(
    len(train), epochs=6, batch_size=StageGrowth(32, 2, every=2), lr=GrowthTo(0.1, 0.4, every=2)
)

model = DistributedDataParallel(models.build("mlp", digits.shape, 10, seed=0))
optimizer = NSHB(model.parameters(), lr=0.1, momentum=0.9)
scheduler = PlanLR(optimizer, plan)
sampler = PlanBatchSampler(plan, seed=0, num_replicas=world, rank=rank, data=train)
loader = DataLoader(train, batch_sampler=sampler, generator=torch.Generator())
for _ in range(sampler.epoch, plan.epochs):
    for pieces in accumulate(loader, sampler):  # one piece, unless micro_batch_size is given
        optimizer.zero_grad()
        for (x, y), weight in pieces:
            loss = torch.nn.functional.cross_entropy(model(x), y)
            (weight * loss).backward()
        optimizer.step()
        scheduler.step()
if rank == 0:
    correct = model.module(digits.x_test / 255).argmax(1) == digits.y_test
    print(f"{world} processes: test accuracy {correct.float().mean():.3f}")
distributed.destroy_process_group()
