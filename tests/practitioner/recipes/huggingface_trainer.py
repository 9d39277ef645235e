"""A training plan in Hugging Face's Trainer (transformers 5, one process).

The Trainer asks for the length of an epoch once and takes every epoch for as long, so the plan is
given to it as one epoch (``whole_run=True``, ``num_train_epochs=1``): save and evaluate by steps.
Resuming from a checkpoint, it skips as many batches as it had done, which is exact. Set
``max_grad_norm=0`` to train without its clipping. Refused, because the Trainer would take other
batches than the plan's: ``gradient_accumulation_steps`` other than 1 (it joins a fixed number of
batches), and several processes or GPUs (each would do all the work, or a part of unequal weight).
"""

from torch.utils.data import DataLoader
from transformers import Trainer

from sgdm_lib.loaders import PlanBatchSampler, PlanLR


class PlanTrainer(Trainer):
    """A Trainer whose batches and hyperparameters follow a plan."""

    def __init__(self, *, plan, optimizer, seed=0, **options):
        super().__init__(optimizers=(optimizer, PlanLR(optimizer, plan)), **options)
        self.plan, self.order_seed = plan, seed
        if self.args.gradient_accumulation_steps != 1:
            raise ValueError(
                "gradient_accumulation_steps must be 1 for a plan, got "
                f"{self.args.gradient_accumulation_steps}: it would join batches of the plan into "
                "larger ones; use micro_batches in training_step if a batch is too large"
            )
        if max(self.args.world_size, self.args.n_gpu) > 1:
            raise ValueError(
                f"PlanTrainer is for one process and one GPU, got {self.args.world_size} processes "
                f"and {self.args.n_gpu} GPUs: set CUDA_VISIBLE_DEVICES to one, or use a loop of "
                "your own (several_processes.py)"
            )

    def get_train_dataloader(self):
        """Every batch of the plan in one pass."""
        sampler = PlanBatchSampler(
            self.plan, seed=self.order_seed, whole_run=True, data=self.train_dataset
        )
        return DataLoader(self.train_dataset, batch_sampler=sampler, collate_fn=self.data_collator)
