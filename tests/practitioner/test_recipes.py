"""The recipes for other people's loops run, follow the plan and resume."""

from __future__ import annotations

import importlib.util
import os
import runpy
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from loader_helpers import forks, written_out_batches
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


def _process(rank, world, port, folder):
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    left = runpy.run_path(str(RECIPES / "several_processes.py"))
    assert left["scheduler"].last_epoch == left["plan"].total_steps
    torch.save(left["model"].module.state_dict(), folder / f"{world}-{rank}.pt")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="needs torch.distributed")
@forks
def test_several_processes_end_where_one_does(tmp_path):
    context = torch.multiprocessing.get_context("fork")
    for world in (1, 2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        workers = [
            context.Process(target=_process, args=(rank, world, port, tmp_path), daemon=True)
            for rank in range(world)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0] * world
    alone, first, second = (torch.load(tmp_path / f"{n}.pt") for n in ("1-0", "2-0", "2-1"))
    torch.testing.assert_close(first, alone, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


# Other trainers: what their recipes refuse and share out, with stand-ins


@pytest.fixture
def trainer_kind(monkeypatch):
    """PlanTrainer over a Trainer that keeps its arguments."""

    class Trainer:
        def __init__(self, *, args, optimizers, train_dataset=None):
            self.args, self.optimizers, self.train_dataset = args, optimizers, train_dataset
            self.data_collator = None

    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(Trainer=Trainer))
    return load("huggingface_trainer").PlanTrainer


def trainer_arguments(**changes):
    return SimpleNamespace(
        **{"gradient_accumulation_steps": 1, "world_size": 1, "n_gpu": 0, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gradient_accumulation_steps": 2}, "must be 1 for a plan, got 2: .*use micro_batches"),
        ({"world_size": 2}, "one process and one GPU, got 2 processes and 0 GPUs: set CUDA"),
        ({"n_gpu": 4}, "one process and one GPU, got 1 processes and 4 GPUs"),
    ],
)
def test_plan_trainer_refuses_what_would_change_the_plans_batches(trainer_kind, changes, message):
    optimizer = NSHB(nn.Linear(1, 1).parameters(), lr=0.2)
    with pytest.raises(ValueError, match=message):
        trainer_kind(plan=small_plan(), optimizer=optimizer, args=trainer_arguments(**changes))


def test_plan_trainer_compares_the_data_set_with_the_plan(trainer_kind):
    optimizer = NSHB(nn.Linear(1, 1).parameters(), lr=0.2)
    trainer = trainer_kind(
        plan=small_plan(), optimizer=optimizer, args=trainer_arguments(), train_dataset=range(41)
    )
    with pytest.raises(ValueError, match=r"data must have 40 samples, .* got 41"):
        trainer.get_train_dataloader()


def test_plan_module_shares_out_batches_and_weighs_its_losses(monkeypatch):
    class Module(nn.Module):
        """What the recipe uses of a LightningModule."""

        global_step = 0

    stand_in = SimpleNamespace(LightningModule=Module)
    monkeypatch.setitem(sys.modules, "lightning", SimpleNamespace(pytorch=stand_in))
    monkeypatch.setitem(sys.modules, "lightning.pytorch", stand_in)
    kind, batches = load("lightning_module").PlanModule, written_out_batches(small_plan(), 0)
    seen, mean = [], 0.0
    for rank in range(3):
        module = kind(lambda share: share.double().mean(), range(40), small_plan())
        module.trainer = SimpleNamespace(world_size=3, global_rank=rank)
        module.global_step = 6  # the ragged batch of 4 samples, after a resumption
        share = next(iter(module.train_dataloader()))
        seen += share.tolist()
        mean += float(module.training_step([share], 0)) / 3  # as DDP averages
    assert sorted(seen) == sorted(batches[6])
    assert mean == pytest.approx(sum(batches[6]) / len(batches[6]), rel=1e-12)


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
