"""A training plan in Hugging Face's Trainer (transformers 5, one process).

The Trainer asks for the length of an epoch once and takes every epoch for as long, so the plan is
given to it as one epoch (``whole_run=True``, ``num_train_epochs=1``): save and evaluate by steps.
Resuming from a checkpoint, it skips as many batches as it had done, which is exact. Leave
``gradient_accumulation_steps`` at 1 (it joins a fixed number of batches), and set
``max_grad_norm=0`` to train without its clipping.
"""

from torch.utils.data import DataLoader
from transformers import Trainer

from sgdm_lib.loaders import PlanBatchSampler, PlanLR


class PlanTrainer(Trainer):
    """A Trainer whose batches and hyperparameters follow a plan."""

    def __init__(self, *, plan, optimizer, seed=0, **options):
        super().__init__(optimizers=(optimizer, PlanLR(optimizer, plan)), **options)
        self.plan, self.order_seed = plan, seed

    def get_train_dataloader(self):
        """Every batch of the plan in one pass."""
        sampler = PlanBatchSampler(self.plan, seed=self.order_seed, whole_run=True)
        return DataLoader(self.train_dataset, batch_sampler=sampler, collate_fn=self.data_collator)
