"""The recipes for other people's loops run, follow the plan and resume."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path

import pytest
import torch
from loader_helpers import written_out_batches
from torch import nn
from torch.utils.data import Dataset

from sgdm_lib.optim import NSHB
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import Cosine, StageGrowth

RECIPES = Path(__file__).parent / "recipes"


def test_plain_pytorch_learns_and_follows_the_plan(capsys):
    torch.manual_seed(0)
    left = runpy.run_path(str(RECIPES / "plain_pytorch.py"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1,437 samples, 10 epochs: 700 steps")
    assert lines[-1].startswith("epoch 10: batch size 128, test accuracy 0.9")
    assert left["scheduler"].last_epoch == left["plan"].total_steps == 700


# Other trainers, where they are installed


class Rows(Dataset):
    """Forty samples that name themselves."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(40, 6, generator=generator)
        self.labels = torch.randint(0, 4, (40,), generator=generator)

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return {"x": self.x[index], "labels": self.labels[index], "index": index}


class Recorder(nn.Module):
    """A small net that notes which samples it sees and returns their loss."""

    def __init__(self, dropout):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, 4))
        self.seen = []

    def forward(self, x, labels, index):
        self.seen.append(index.tolist())
        return {"loss": nn.functional.cross_entropy(self.net(x), labels)}


def small_plan():
    return TrainingPlan(40, 4, StageGrowth(6, 2, every=2), Cosine(0.2))  # 7 + 7 + 4 + 4 steps


def check(train):
    """``train`` the whole plan, then from the checkpoint of step 9: same order, same bits."""
    whole, steps = train(None)
    assert whole.seen == written_out_batches(small_plan(), 0)
    rest, resumed_steps = train(9)
    assert rest.seen == written_out_batches(small_plan(), 0)[9:]
    assert steps == resumed_steps == small_plan().total_steps
    assert all(map(torch.equal, whole.parameters(), rest.parameters()))


def load(name):
    """A recipe as a module."""
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")  # the trainers' own
def test_huggingface_trainer(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs sgdm-lib[recipes]")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    recipe = load("huggingface_trainer")

    def train(resume):
        model = Recorder(dropout=0.2)
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path),
            num_train_epochs=1,
            max_grad_norm=0,
            save_steps=9,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            remove_unused_columns=False,
            seed=3,
        )
        trainer = recipe.PlanTrainer(
            plan=small_plan(),
            optimizer=NSHB(model.parameters(), lr=0.2),
            model=model,
            args=arguments,
            train_dataset=Rows(),
        )
        saved = str(tmp_path / f"checkpoint-{resume}") if resume else None
        trainer.train(resume_from_checkpoint=saved)
        return model, trainer.state.global_step

    check(train)


@pytest.mark.filterwarnings("ignore")  # the trainers' own
def test_lightning_module(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch", reason="needs sgdm-lib[recipes]")
    recipe = load("lightning_module")

    class Module(recipe.PlanModule):
        def training_step(self, batch, batch_index):
            return self.model(**batch)

    def train(resume):
        model = Recorder(dropout=0.0)
        keep = lightning.callbacks.ModelCheckpoint(
            dirpath=tmp_path, filename="{step}", every_n_train_steps=9, save_top_k=-1
        )
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[keep],
        )
        saved = str(tmp_path / f"step={resume}.ckpt") if resume else None
        trainer.fit(Module(model, Rows(), small_plan()), ckpt_path=saved)
        return model, trainer.global_step

    check(train)
