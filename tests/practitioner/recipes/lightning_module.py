"""A training plan in Lightning (2.6).

Lightning asks for the length of an epoch once and takes every epoch for as long, so the plan is
given to it as one epoch (``whole_run=True``): ``Trainer(max_epochs=1, ...)``, validation and
checkpoints by steps (``val_check_interval=1000``, ``ModelCheckpoint(every_n_train_steps=...)``).
After ``fit(ckpt_path=...)`` Lightning counts on from the step of the checkpoint but starts the
loader anew, and warns of it; ``resume_at`` makes the loader go on, too. Lightning's checkpoints
hold no random state: dropout draws other masks after a resumption.

On several processes (``strategy="ddp"``) the sampler shares out each batch itself, and the weight
makes the average over the processes the mean over the batch: ``Trainer(...,
use_distributed_sampler=False)``.

For hooks at the plan's own epochs leave ``whole_run`` out and use ``Trainer(max_epochs=plan.epochs,
reload_dataloaders_every_n_epochs=1)``; then resume only from checkpoints at the end of an epoch
(from one in mid-epoch Lightning would leave out the rest of that epoch).
"""

from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader

from sgdm_lib.loaders import PlanBatchSampler, PlanLR
from sgdm_lib.optim import NSHB


class PlanModule(LightningModule):
    """A LightningModule whose batches and hyperparameters follow a plan."""

    def __init__(self, model, dataset, plan, seed=0):
        super().__init__()
        self.model, self.dataset, self.plan, self.order_seed = model, dataset, plan, seed

    def train_dataloader(self):
        """The rest of the plan in one pass."""
        self.sampler = PlanBatchSampler(
            self.plan,
            seed=self.order_seed,
            whole_run=True,
            num_replicas=self.trainer.world_size,
            rank=self.trainer.global_rank,
            data=self.dataset,
        )
        self.sampler.resume_at(self.global_step)
        return DataLoader(self.dataset, batch_sampler=self.sampler)

    def configure_optimizers(self):
        """NSHB, and a scheduler that steps with it."""
        optimizer = NSHB(self.parameters(), **self.plan.at(0))
        scheduler = {"scheduler": PlanLR(optimizer, self.plan), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def training_step(self, batch, batch_index):
        """The loss of this process's share of a batch, with its weight."""
        (weight,) = self.sampler.loss_weights(self.global_step)
        return weight * self.model(*batch)
