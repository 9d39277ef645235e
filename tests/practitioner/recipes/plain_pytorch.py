"""Growing batch and learning rate in a plain PyTorch loop, with resumption in mid-epoch."""

import torch
from torch.utils.data import DataLoader, TensorDataset

from sgdm_lib import data, models
from sgdm_lib.loaders import PlanBatchSampler, PlanLR
from sgdm_lib.optim import NSHB
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import GrowthTo, StageGrowth

digits = data.load("digits")
train = TensorDataset(digits.x_train / 255, digits.y_train)
plan = TrainingPlan(
    len(train), epochs=10, batch_size=StageGrowth(8, 2, every=2), lr=GrowthTo(0.1, 0.4, every=2)
)
print(plan)  # stages, steps and gradient cost, before anything runs

model = models.build("mlp", digits.shape, 10, seed=0)
optimizer = NSHB(model.parameters(), lr=0.1, momentum=0.9)
scheduler = PlanLR(optimizer, plan)
sampler = PlanBatchSampler(plan, seed=0, data=train)  # data: their number is compared
loader = DataLoader(train, batch_sampler=sampler, generator=torch.Generator())
# To resume, load the states of model, optimizer and scheduler here, and then:
# sampler.resume_at(scheduler.last_epoch)
for epoch in range(sampler.epoch, plan.epochs):
    for x, y in loader:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
    correct = model(digits.x_test / 255).argmax(1) == digits.y_test
    size = plan.batch_sizes[epoch]
    print(f"epoch {epoch + 1}: batch size {size}, test accuracy {correct.float().mean():.3f}")
