"""Every run of both papers against the authors' rules, written out epoch by epoch."""

from __future__ import annotations

import json
import math
from itertools import accumulate

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib.engine import Experiment
from sgdm_lib.study import papers

CATALOGUE = papers.catalogue()
SIZES = {"cifar100": 50_000, "tiny_imagenet": 100_000, "digits": 1_437}
PAPERS = [name for name in CATALOGUE if name.startswith(("kamo2025", "kondo2025"))]
SFO = [name for name in PAPERS if name.startswith("kamo2025/sfo/")]
LADDER = [8, 10, 14, 22, 38, 70, 134, 261, 516, 1024]


def plan_of(name):
    return CATALOGUE[name].plan(SIZES[CATALOGUE[name].dataset])


# The authors' rules in plain Python. Nothing of sgdm_lib is used here.


def batch_size(c, epoch):
    if c["bs_method"] == "constant":
        return c["init_bs"]
    growth = c["bs_growth_rate"] ** (epoch // c["incr_interval"])
    if "bs_max" not in c:
        return math.ceil(c["init_bs"] * growth)
    rises = (c["epochs"] - c["incr_interval"]) / c["incr_interval"]
    a = (c["bs_max"] - c["init_bs"]) / (c["bs_growth_rate"] ** rises - 1)
    return math.ceil(min(a * growth + (c["init_bs"] - a), c["bs_max"]))


def grown(start, end, k, interval, length):
    """Geometric growth from start that reaches end in the last interval of the length."""
    return min(start * ((end / start) ** (interval / (length - interval))) ** k, end)


def half_cosine(high, low, t, length):
    return low + (high - low) * (1 + math.cos(math.pi * t / length)) / 2


def warm(c, epoch):
    length, interval, start = c["warmup_epochs"], c["warmup_interval"], c["init_lr"]
    if "lr_growth_rate" in c:
        peak = start * c["lr_growth_rate"] ** ((length - interval) // interval)
        rise = start * c["lr_growth_rate"] ** (epoch // interval)
    else:
        peak = c["lr_max"]
        rise = grown(start, peak, epoch // interval, interval, length)
    if epoch < length:
        return rise
    if c["lr_method"] == "warmup_const":
        return peak
    return half_cosine(peak, c.get("lr_min", 0), epoch - length, c["epochs"] - length)


def learning_rate(c, epoch, step, total):
    start, method = c["init_lr"], c.get("lr_method", "constant")
    if method.startswith("warmup"):
        return warm(c, epoch)
    if method == "exp_growth":
        k, every = epoch // c["incr_interval"], c["incr_interval"]
        if "lr_growth_rate" not in c:
            return grown(start, c["lr_max"], k, every, c["epochs"])
        growth = c["lr_growth_rate"] ** k
        if "lr_max" not in c:
            return start * growth
        a = (c["lr_max"] - start) / (c["lr_growth_rate"] ** ((c["epochs"] - every) / every) - 1)
        return min(a * growth + (start - a), c["lr_max"])
    return {
        "constant": lambda: start,
        "cosine": lambda: half_cosine(start, c.get("lr_min", 0), epoch, c["epochs"]),
        "diminishing": lambda: start / math.sqrt(step + 1),
        "linear": lambda: start * (1 - step / total),
        "poly": lambda: start * (1 - step / total) ** c["power"],
    }[method]()


def written_out(c, n):
    """Batch size, steps, nominal SFO, first and last lr of every epoch."""
    sizes = [batch_size(c, epoch) for epoch in range(c["epochs"])]
    steps = [math.ceil(n / b) for b in sizes]
    ends = list(accumulate(steps))
    nominal = list(accumulate(s * b for s, b in zip(steps, sizes, strict=True)))
    first = [learning_rate(c, e, ends[e] - steps[e], ends[-1]) for e in range(c["epochs"])]
    last = [learning_rate(c, e, ends[e] - 1, ends[-1]) for e in range(c["epochs"])]
    return sizes, steps, nominal, first, last


def assert_same(plan, c, n):
    sizes, steps, nominal, first, last = written_out(c, n)
    table = plan.table()
    assert table["batch_size"].tolist() == sizes
    assert table["steps"].tolist() == steps
    assert table["cumulative_sfo_nominal"].tolist() == nominal
    # 1 + cos(pi t/T) of the last epochs is a difference of numbers near 1: its rounding is one of
    # the first lr's, not of its own.
    rounding = 1e-16 * max(first)
    assert table["lr_first"].tolist() == pytest.approx(first, rel=1e-12, abs=rounding)
    assert table["lr_last"].tolist() == pytest.approx(last, rel=1e-12, abs=rounding)


# The catalogue


@pytest.mark.parametrize("name", [name for name in PAPERS if name not in SFO])
def test_plans_follow_the_authors_rules(name):
    assert_same(plan_of(name), papers.authors_config(name), SIZES[CATALOGUE[name].dataset])


def test_reduced_runs_keep_the_shapes():
    for scale, epochs, every in (
        ("quick/digits", 40, 5),
        ("cnn/cifar100", 30, 3),
        ("cnn10k/cifar100", 32, 4),
    ):
        x2, x4 = plan_of(f"{scale}/nshb/x2"), plan_of(f"{scale}/nshb/x4")
        assert [s.batch_size for s in x2.stages] == [8 * 2**k for k in range(epochs // every)]
        assert [s.batch_size for s in x4.stages] == [8 * 4**k for k in range(epochs // (2 * every))]
        assert plan_of(f"{scale}/adam/constant8").stages[0][1:3] == (epochs, 8)
        assert plan_of(f"{scale}/adam/constant128").stages[0][1:3] == (epochs, 128)
        both = plan_of(f"{scale}/nshb/both_growing_max0.5").table()
        jumps = both.groupby("lr_first")["batch_size"].agg(["nunique", "count"])
        assert jumps["nunique"].eq(1).all()
        assert jumps["count"].eq(every).all()
        assert both["lr_last"].iloc[-1] == pytest.approx(0.5)
        for name in ("warmup_const_max0.5", "warmup_cosine_max0.5"):
            rise = plan_of(f"{scale}/nshb/{name}").table()["lr_first"][: every + 1]
            assert rise.tolist() == pytest.approx(
                [0.1 * 5 ** (min(e, every - 1) / (every - 1)) for e in range(every + 1)]
            )


def test_reduced_runs_spare_networks_without_batchnorm():
    for scale in ("quick/digits", "cnn/cifar100"):
        runs = {
            name.removeprefix(f"{scale}/"): run for name, run in papers.find(f"{scale}/*").items()
        }
        warm = {
            f"warmup_{then}_max{peak}" for then in ("const", "cosine") for peak in ("0.2", "0.5")
        }
        assert {n[5:] for n in runs if n.startswith("nshb/warmup")} == warm
        assert {n[4:] for n in runs if n.startswith("shb/both")} == {
            f"both_growing_max{peak}" for peak in ("0.02", "0.05", "0.1")
        }
        assert len([n for n in runs if n.startswith("shb/warmup")]) == 4
        assert [n for n in runs if n.startswith("sgd/warmup")] == ["sgd/warmup_const_max0.2"]
        assert plan_of(f"{scale}/sgd/warmup_const_max0.2").table()["lr_last"].max() == 0.2
        for name, run in runs.items():
            lr = plan_of(f"{scale}/{name}").at(0)["lr"]
            if run.optimizer == "shb":
                assert lr == (
                    0.03 if name[4:] in ("constant8", "constant128", "x2", "x4") else 0.01
                )
            elif run.optimizer in ("nshb", "sgd"):
                assert lr == 0.1
        for decay in ("constant", "cosine", "diminishing", "linear", "poly"):
            for optimizer in ("nshb", "shb"):
                assert {f"{optimizer}/constant_{decay}", f"{optimizer}/growing_{decay}"} <= set(
                    runs
                )


def test_every_reduced_plan_can_be_made_and_says_what_it_is():
    reduced = [name for name in CATALOGUE if name not in PAPERS]
    assert {name.rpartition("/")[0].rpartition("/")[0] for name in reduced} == {
        "quick/digits",
        "cnn/cifar100",
        "cnn10k/cifar100",
        "fair/cifar100",
    }
    networks = {"quick": "mlp", "cnn": "cnn", "cnn10k": "cnn_bn", "fair": "resnet18"}
    for name in reduced:
        run = CATALOGUE[name]
        scale = name.partition("/")[0]
        quick = scale == "quick"
        assert plan_of(name).epochs == run.epochs
        assert run.epochs <= 40 or scale == "fair" or name.endswith("steps_of_x2")
        assert (run.model, run.augment) == (networks[scale], not quick)
        assert run.n_train == (10_000 if scale == "cnn10k" else None)
        assert run.label_noise == (0.2 if quick else 0.0)
        assert "not a run of the paper" in papers.citation(name)


def test_batchnorm_lets_the_reduced_runs_keep_the_papers_learning_rates():
    reduced = {n: r for n, r in CATALOGUE.items() if n.startswith("cnn10k/cifar100/")}
    for name, run in papers.find("kondo2025/cifar100/*").items():
        same = reduced["cnn10k" + name.removeprefix("kondo2025")]
        ours, theirs = plan_of("cnn10k" + name.removeprefix("kondo2025")).table(), plan_of(name)
        assert ours["lr_first"].iloc[0] == theirs.at(0)["lr"]
        if "max" in name:
            assert ours["lr_first"].max() == pytest.approx(float(name.rpartition("max")[2]))
        assert (same.optimizer, same.momentum) == (run.optimizer, run.momentum)
        assert (same.estimators, same.gradient_norm_every) == (("exact", "authors"), 2)


@pytest.mark.parametrize(
    "scale", ["quick/digits", "cnn/cifar100", "cnn10k/cifar100", "fair/cifar100"]
)
def test_fair_baselines_take_the_steps_and_the_epochs_of_the_growing_run(scale):
    x2 = "kamo2025/cifar100/nshb/x2" if scale.startswith("fair") else f"{scale}/nshb/x2"
    steps = plan_of(f"{scale}/nshb/constant128_steps_of_x2")
    assert set(steps.batch_sizes) == {128}
    assert 0 <= steps.total_steps - plan_of(x2).total_steps < steps.steps[0]
    grown = plan_of(f"{scale}/nshb/x2_from128")
    assert grown.epochs == plan_of(x2).epochs
    assert [s.batch_size for s in grown.stages] == [
        s.batch_size for s in plan_of(x2).stages if s.batch_size >= 128
    ]
    assert {s.epochs for s in grown.stages[:-1]} == {plan_of(x2).stages[0].epochs}
    measured = CATALOGUE[f"{scale}/nshb/constant128_steps_of_x2"]
    before = CATALOGUE[x2].epochs // CATALOGUE[x2].gradient_norm_every
    assert before / 1.5 <= measured.epochs // measured.gradient_norm_every <= before * 1.5


def test_papers_runs_have_the_papers_settings():
    assert CATALOGUE.keys() >= {f"quick/digits/nshb/{s}" for s in ("constant8", "x2", "x4")}
    for name in PAPERS:
        run = CATALOGUE[name]
        assert (run.model, run.augment, run.precision, run.label_noise) == (
            *("resnet18", True, "tf32", 0.0),  # PyTorch's default on the authors' A100
        )
        assert set(run.estimators) == {"exact", "authors"}
        assert run.weight_decay == (0.01 if run.optimizer == "adamw" else 0.0)
        assert run.epochs == (200 if name.startswith("kamo") else 300)
        assert (run.n_train, run.seed, run.gradient_norm_every) == (None, 0, 1)
        slow = run.optimizer == "shb" and name.endswith(("max0.02", "max0.05", "max0.1"))
        first = {"adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-2}.get(run.optimizer, 0.1)
        assert plan_of(name).at(0)["lr"] == (0.01 if slow else first)


def test_kamo_has_all_optimizers_and_schedules_on_both_data_sets():
    optimizers = {"nshb", "shb", "sgd", "adam", "adamw", "rmsprop"}
    for dataset, every in (("cifar100", 20), ("tiny_imagenet", 25)):
        runs = papers.find(f"kamo2025/{dataset}/*")
        assert {tuple(name.split("/")[2:]) for name in runs} == {
            (optimizer, schedule)
            for optimizer in optimizers
            for schedule in ("constant", "x2", "x4")
        }
        for name, run in runs.items():
            assert name.split("/")[2] == run.optimizer
            assert run.momentum is None or run.momentum(0) == 0.9
            rate = {"constant": None, "x2": 2, "x4": 4}[name.split("/")[3]]
            stages = plan_of(name).stages
            if rate is None:
                assert stages[0][1:3] == (200, 128)
            else:
                length = every * rate // 2
                assert {stage.epochs for stage in stages} == {length}
                assert [s.batch_size for s in stages] == [8 * rate**k for k in range(200 // length)]


def test_kondo_has_51_runs_on_cifar100_and_nshb_on_tiny_imagenet():
    decays = ["constant", "cosine", "diminishing", "linear", "poly"]
    settled = {f"{batch}_{lr}" for batch in ("constant", "growing") for lr in decays}
    peaks = {"nshb": ["0.2", "0.5", "1.0"], "shb": ["0.02", "0.05", "0.1", "0.2", "0.5", "1.0"]}
    rising = ("both_growing", "warmup_const", "warmup_cosine")
    expected = {
        f"kondo2025/{dataset}/{optimizer}/{schedule}"
        for dataset, optimizer in (
            ("cifar100", "nshb"),
            ("cifar100", "shb"),
            ("tiny_imagenet", "nshb"),
        )
        for schedule in settled | {f"{way}_max{p}" for way in rising for p in peaks[optimizer]}
    }
    others = {"sgd/warmup_const_max1.0"} | {
        f"{o}/growing_constant" for o in ("adam", "adamw", "rmsprop")
    }
    expected |= {f"kondo2025/cifar100/{other}" for other in others}
    assert set(papers.find("kondo2025/*")) == expected
    assert len(papers.find("kondo2025/cifar100/*")) == 51
    assert len(papers.find("kondo2025/tiny_imagenet/*")) == 19


@pytest.mark.parametrize("name", list(papers.find("kondo2025/*max*")))
def test_growing_learning_rates_start_end_and_momentum(name):
    run, plan = CATALOGUE[name], plan_of(name)
    peak = float(name.rpartition("max")[2])
    start = 0.01 if run.optimizer == "shb" and peak <= 0.1 else 0.1
    lr = plan.table()["lr_first"]
    assert (lr[0], lr.max()) == pytest.approx((start, peak), rel=1e-12)
    if run.optimizer == "sgd":
        assert run.momentum is None
        return
    odd_one = name == "kondo2025/tiny_imagenet/nshb/warmup_const_max0.5"
    assert run.momentum(0) == (0.87 if peak / start > 9 or odd_one else 0.9)
    if "both" in name:
        assert lr[30] / lr[0] == pytest.approx((peak / start) ** (1 / 9), rel=1e-12)
    else:
        assert lr[3] / lr[0] == pytest.approx((peak / start) ** (1 / 9), rel=1e-12)
        assert lr[27:31].tolist() == pytest.approx([peak] * 4, rel=1e-12)


def test_totals_of_the_papers():
    totals = {
        "kamo2025/cifar100/nshb/constant": 78_200,
        "kamo2025/cifar100/nshb/x2": 249_840,
        "kamo2025/cifar100/nshb/x4": 333_080,
        "kondo2025/cifar100/nshb/constant_cosine": 117_300,
        "kondo2025/cifar100/nshb/growing_cosine": 374_760,
        "kondo2025/cifar100/shb/warmup_cosine_max0.5": 374_760,
    }
    assert {name: plan_of(name).total_steps for name in totals} == totals


def test_tiny_imagenet_climbs_the_ladder():
    for name in papers.find("kondo2025/tiny_imagenet/*"):
        stages = plan_of(name).stages
        constant = "/constant_" in name
        assert [s.batch_size for s in stages] == ([128] if constant else LADDER)
        assert {s.epochs for s in stages} == {300 if constant else 30}


@pytest.mark.parametrize(
    ("schedule", "sfo", "epoch", "size"),
    [
        ("b8", 2_750_000, 55, 8),
        ("b8", 5_250_000, 105, 8),
        ("b8_x2_every20", 2_050_016, 41, 32),
        ("b8_x2_every20", 2_500_160, 50, 32),
        ("b128", 5_755_520, 115, 128),
        ("b128", 9_809_408, 196, 128),
        ("b128", 2_502_400, 50, 128),
        ("b128_x2_every50", 2_903_808, 58, 256),
        ("b128_x2_every50", 5_061_376, 101, 512),
        ("b128_x2_every25", 1_301_376, 26, 256),
    ],
)
def test_sfo_tables_are_ends_of_epochs(schedule, sfo, epoch, size):
    plan = plan_of(f"kamo2025/sfo/{schedule}")
    row = plan.table().iloc[epoch - 1]
    assert (row["cumulative_sfo_nominal"], row["batch_size"]) == (sfo, size)
    assert plan.batch_sizes.max() == (1024 if "x2" in schedule else plan.batch_sizes[0])


def test_sfo_runs_are_nshb_on_cifar100_and_all_there():
    assert [name.rpartition("/")[2] for name in SFO] == [
        *("b8", "b8_x2_every20", "b128", "b128_x2_every50", "b128_x2_every25")
    ]
    base = CATALOGUE["kamo2025/cifar100/nshb/constant"]
    assert CATALOGUE["kamo2025/sfo/b128"].hash == base.hash
    assert all(set(base.differences(CATALOGUE[name])) <= {"batch_size"} for name in SFO)


@pytest.mark.parametrize("peak", [0.2, 0.5])
@pytest.mark.parametrize("kind", ["both_growing", "warmup_const", "warmup_cosine"])
def test_shb_from_001_is_nshb_from_01(kind, peak):
    nshb = plan_of(f"kondo2025/cifar100/nshb/{kind}_max{peak}")
    shb = plan_of(f"kondo2025/cifar100/shb/{kind}_max{peak / 10}")
    assert (nshb.batch_sizes == shb.batch_sizes).all()
    assert nshb.at(0)["momentum"] == shb.at(0)["momentum"] == 0.9
    for column in ("lr_first", "lr_last"):
        scaled = (0.1 * nshb.table()[column]).tolist()
        assert shb.table()[column].tolist() == pytest.approx(scaled, rel=1e-12, abs=1e-18)


def test_cosine_is_torchs_scheduler():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=300, eta_min=0)
    seen = []
    for _ in range(300):
        seen.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    lr = plan_of("kondo2025/cifar100/nshb/constant_cosine").table()["lr_first"].tolist()
    assert lr == pytest.approx(seen, rel=1e-12, abs=1e-16)


def test_poly_is_torchs_recursion():
    plan = plan_of("kondo2025/cifar100/nshb/growing_poly")
    total, lr, seen = plan.total_steps, 0.1, [0.1]
    for t in range(1, total):  # what PolynomialLR does to the lr of the step before
        lr *= ((1.0 - t / total) / (1.0 - (t - 1) / total)) ** 2
        seen.append(lr)
    ends = plan.cumulative_steps
    assert plan.table()["lr_first"].tolist() == pytest.approx(
        [seen[first] for first in ends - plan.steps], rel=1e-12
    )
    assert plan.table()["lr_last"].tolist() == pytest.approx([seen[e - 1] for e in ends], rel=1e-12)


def test_every_run_survives_json_and_is_told_apart():
    for run in CATALOGUE.values():
        again = Experiment.from_json(run.to_json())
        assert again == run
        assert again.hash == run.hash
    papers_own = [name for name in PAPERS if name not in SFO]
    assert len({CATALOGUE[name].hash for name in papers_own}) == len(papers_own)


def test_the_catalogue_cannot_be_spoilt():
    papers.catalogue().clear()
    papers.authors_config("kamo2025/cifar100/nshb/x2").clear()
    assert papers.catalogue() == CATALOGUE
    assert papers.authors_config("kamo2025/cifar100/nshb/x2")["init_bs"] == 8


def test_authors_config_reads_back_to_the_same_run(tmp_path):
    for name in PAPERS:
        run = CATALOGUE[name]
        if name in SFO and "x2" in name:
            with pytest.raises(ValueError, match="authors' JSON format"):
                papers.authors_config(name)
            continue
        file = tmp_path / "run.json"
        file.write_text(json.dumps(papers.authors_config(name) | {"use_wandb": True}))
        assert papers.read_authors_config(file, dataset=run.dataset) == run
        assert papers.read_authors_config(str(file), dataset=run.dataset) == run
    with pytest.raises(ValueError, match="authors' JSON format"):
        papers.authors_config("quick/digits/nshb/x2")


def test_find_and_source():
    assert list(papers.find("kamo2025/cifar100/nshb/x2")) == ["kamo2025/cifar100/nshb/x2"]
    assert len(papers.find("kondo2025/cifar100/shb/warmup_cosine_*")) == 6
    assert papers.find("*") == CATALOGUE
    assert len(papers.find("*/nshb/x[24]")) == 10
    with pytest.raises(ValueError, match=r"nearest are .*kamo2025/cifar100/nshb/x2"):
        papers.find("kamo2025/cifar10/nshb/x2")
    with pytest.raises(
        ValueError, match="begin with cnn, cnn10k, fair, kamo2025, kondo2025, quick"
    ):
        papers.find("%%%")
    with pytest.raises(ValueError, match="did you mean 'kamo2025/cifar100/nshb/x2'"):
        papers.citation("kamo2025/cifar100/nshb/2")
    assert "Fig. 3" in papers.citation("kamo2025/cifar100/shb/x4")
    assert "A.4" in papers.citation("kamo2025/tiny_imagenet/shb/x4")
    assert "Tables 2-5" in papers.citation("kamo2025/sfo/b8")
    for name, file in {
        "nshb/constant_poly": "json_nshb/const_bs_decay_lr/poly_2.0.json",
        "shb/growing_linear": "json_shb/incr_bs_decay_lr/linear.json",
        "shb/both_growing_max0.05": "json_shb/incr_bs_incr_lr/doubly_incr_lr_max0.05.json",
        "nshb/warmup_const_max0.2": "json_nshb/incr_bs_warmup_lr/warmup_const_max0.2.json",
        "sgd/warmup_const_max1.0": "json_other/sgd.json",
    }.items():
        assert papers.citation(f"kondo2025/cifar100/{name}").endswith(file)
    tiny = papers.find("kondo2025/tiny_imagenet/*")
    assert sum("nshb_tiny_imagenet/" in papers.citation(name) for name in tiny) == 6


# The reader

KAMO = {
    "model": "WideResNet28_10",
    "optimizer": "adam",
    "bs_method": "constant",
    "init_bs": 128,
    "init_lr": 0.001,
    "epochs": 200,
    "checkpoint_path": "checkpoint/adam.pth.tar",
    "csv_path": "results/adam/",
}
KONDO = {
    "optimizer": "nshb",
    "model": "resnet18",
    "bs_method": "exp_growth",
    "lr_method": "warmup_cosine",
    "init_bs": 8,
    "init_lr": 0.1,
    "init_beta": 0.87,
    "lr_max": 1.0,
    "epochs": 300,
    "incr_interval": 30,
    "warmup_epochs": 30,
    "warmup_interval": 3,
    "bs_growth_rate": 2.0,
    "use_wandb": True,
}


def test_kamo_flavour():
    run = papers.read_authors_config(KAMO, dataset="tiny_imagenet")
    assert (run.model, run.optimizer, run.momentum) == ("wideresnet28_10", "adam", None)
    assert (run.dataset, str(run.lr), str(run.batch_size)) == ("tiny_imagenet", "0.001", "128")
    for theirs, ours in (("custom_momentum", "nshb"), ("momentum", "shb")):
        run = papers.read_authors_config(KAMO | {"optimizer": theirs})
        assert (run.optimizer, run.momentum(0), run.dataset) == (ours, 0.9, "cifar100")


def test_kondo_flavour_and_its_first_version():
    now = papers.read_authors_config(KONDO)
    before = {key: value for key, value in KONDO.items() if key != "optimizer"}
    for nshb, optimizer in ((True, "nshb"), (False, "shb")):
        older = before | {"nshb": nshb, "beta_method": "constant"}
        assert papers.read_authors_config(older) == now.replace(optimizer=optimizer)
    assert now.momentum(0) == 0.87
    assert papers.read_authors_config(KONDO | {"bs_max": None, "csv_path": "x"}) == now


def eighths(low, high):
    """Growth rates whose powers are exact, so that rounding up cannot hang on the last bit."""
    return st.integers(low * 8, high * 8).map(lambda k: k / 8)


@st.composite
def authors_configs(draw):
    epochs = draw(st.integers(4, 40))
    c = {"model": "resnet18", "epochs": epochs, "init_lr": draw(st.floats(1e-4, 2.0))}
    c["init_bs"] = draw(st.integers(1, 300))
    c["incr_interval"] = draw(st.integers(1, epochs - 1))
    c["bs_method"] = draw(st.sampled_from(["constant", "exp_growth"]))
    if c["bs_method"] == "exp_growth":
        c["bs_growth_rate"] = draw(eighths(1, 3).filter(lambda rate: rate > 1))
        stages = -(-epochs // c["incr_interval"])
        if c["init_bs"] * c["bs_growth_rate"] ** stages > 5_000 or draw(st.booleans()):
            c["bs_max"] = draw(st.integers(c["init_bs"], 5_000))
    if draw(st.booleans()):
        c["optimizer"] = draw(st.sampled_from(["custom_momentum", "momentum", "adam", "sgd"]))
        return c
    c["optimizer"] = draw(st.sampled_from(["nshb", "shb", "adamw", "rmsprop"]))
    c["init_beta"] = draw(st.floats(0, 0.99))
    methods = ["constant", "cosine", "diminishing", "linear", "poly", "exp_growth"]
    c["lr_method"] = method = draw(st.sampled_from([*methods, "warmup_const", "warmup_cosine"]))
    c["power"] = draw(st.floats(0.1, 4))
    c["warmup_epochs"] = draw(st.integers(2, epochs - 1))
    c["warmup_interval"] = draw(st.integers(1, c["warmup_epochs"] - 1))
    growth = draw(st.sampled_from(["lr_max", "lr_growth_rate", "both"]))
    if growth != "lr_max":
        c["lr_growth_rate"] = draw(st.floats(1.01, 1.2))
    if growth != "lr_growth_rate":
        c["lr_max"] = c["init_lr"] * draw(st.floats(1, 20))
    if method.endswith("cosine") and draw(st.booleans()):
        c["lr_min"] = c["init_lr"] * draw(st.floats(0, 1))
    return c


@settings(deadline=None, max_examples=50)
@given(c=authors_configs(), n=st.integers(5_000, 60_000))
def test_any_configuration_follows_the_authors_rules(c, n):
    run = papers.read_authors_config(json.loads(json.dumps(c)))
    assert_same(run.plan(n), c, n)
    assert Experiment.from_json(run.to_json()) == run


def test_a_warm_up_that_is_no_multiple_of_its_interval_ends_on_the_whole_number_of_rises():
    c = {k: v for k, v in KONDO.items() if k != "lr_max"}
    c |= {"lr_growth_rate": 2.0, "warmup_epochs": 31, "lr_method": "warmup_const"}
    lr = papers.read_authors_config(c).plan(50_000).table()["lr_first"]
    assert lr[30] == pytest.approx(0.1 * 2**10)
    assert lr[31] == pytest.approx(0.1 * 2**9)  # (31 - 3) // 3


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (KONDO, {"lr_metod": "cosine"}, "unknown key 'lr_metod': remove it, or use one of .*power"),
        (KAMO, {"dataset": "cifar100"}, "unknown key 'dataset'"),
        (KAMO, {"model": None}, "the key 'model' .* is missing: add it"),
        (KAMO, {"optimizer": None}, "the key 'optimizer' .* is missing"),
        (KAMO, {"bs_method": None}, "the key 'bs_method' .* is missing"),
        (KAMO, {"init_bs": None}, "the key 'init_bs' .the first batch size. is missing"),
        (KAMO, {"init_lr": None}, "the key 'init_lr' .* is missing"),
        (KAMO, {"epochs": None}, "the key 'epochs' .* is missing"),
        (KAMO, {"bs_method": "exp_growth"}, "'incr_interval'.* needed for bs_method 'exp_growth'"),
        (
            KAMO,
            {"bs_method": "exp_growth", "incr_interval": 20},
            "'bs_growth_rate' .*needed for bs_method",
        ),
        (KONDO, {"lr_method": None}, "the key 'lr_method' .* is missing"),
        (KAMO, {"optimizer": "nshb", "init_beta": 0.9}, "the key 'lr_method' .* is missing"),
        (KONDO, {"init_beta": None}, "'init_beta' .the momentum., needed for optimizer 'nshb'"),
        (KONDO, {"warmup_epochs": None}, "'warmup_epochs' .*lr_method 'warmup_cosine'"),
        (KONDO, {"warmup_interval": None}, "'warmup_interval' .*lr_method 'warmup_cosine'"),
        (KONDO, {"lr_max": None}, "'lr_max' .*'warmup_cosine' without 'lr_growth_rate'"),
        (KONDO, {"lr_method": "exp_growth", "lr_max": None}, "'lr_max' .*without 'lr_growth_rate'"),
        (KONDO, {"lr_method": "poly"}, "'power' .* needed for lr_method 'poly'"),
        (KAMO, {"init_bs": 12.5}, "init_bs must be a whole number >= 1, got 12.5"),
        (KAMO, {"init_bs": "128"}, "init_bs must be .*got '128'"),
        (KAMO, {"init_bs": 0}, "init_bs must be a whole number >= 1, got 0"),
        (KAMO, {"init_lr": True}, "init_lr must be .*got True"),
        (KAMO, {"init_lr": math.nan}, "init_lr must be a finite number, got nan"),
        (KAMO, {"init_lr": 0}, "init_lr must be a finite number > 0, got 0"),
        (KAMO, {"epochs": [200]}, "epochs must be .*got .200."),
        (KAMO, {"epochs": 0}, "epochs must be a whole number >= 1"),
        (KAMO, {"incr_interval": "often"}, "incr_interval must be .*got 'often'"),
        (KAMO, {"model": "resnet34"}, "model must be one of resnet18, WideResNet28_10, got .*34"),
        (KAMO, {"optimizer": "lion"}, "optimizer must be one of custom_momentum, momentum, sgd"),
        (KAMO, {"optimizer": ["adam"]}, "optimizer must be one of"),
        (KONDO, {"optimizer": "momentum"}, "one of nshb, shb,.*Kamo & Iiduka's name"),
        (KONDO, {"optimizer": "nhsb"}, "did you mean 'nshb'"),
        (KAMO, {"bs_method": "linear"}, "bs_method must be one of constant, exp_growth"),
        (KONDO, {"lr_method": "warmup"}, "lr_method must be one of .*did you mean 'warmup_const'"),
        (KONDO, {"init_beta": 1.0}, "init_beta must be a finite number >= 0 and < 1, got 1.0"),
        (KONDO, {"bs_growth_rate": 0.5}, "bs_growth_rate must be a finite number >= 1, got 0.5"),
        (KONDO, {"bs_growth_rate": 1, "bs_max": 64}, "bs_growth_rate must .*> 1.*bs_max"),
        (KONDO, {"bs_max": 4}, "bs_max must be a whole number >= 8, got 4"),
        (KONDO, {"bs_max": 64, "incr_interval": 300}, "incr_interval must .*<= 299.*below epochs"),
        (KONDO, {"lr_max": 0.05}, "lr_max must be a finite number >= 0.1.*init_lr is where"),
        (KONDO, {"lr_min": 2.0}, "lr_min must be a finite number >= 0 and <= 1, got 2.0"),
        (KONDO, {"lr_method": "cosine", "lr_min": -1}, "lr_min must be .*>= 0"),
        (KONDO, {"lr_method": "poly", "power": 0}, "power must be a finite number > 0, got 0"),
        (KONDO, {"warmup_epochs": 300}, "warmup_epochs must .*<= 299, got 300: below epochs"),
        (KONDO, {"warmup_interval": 30}, "warmup_interval must .*<= 29.*below warmup_epochs"),
        (KONDO, {"lr_growth_rate": 0}, "lr_growth_rate must be a finite number > 0"),
        (
            KONDO,
            {"lr_method": "exp_growth", "lr_growth_rate": 0.9},
            "lr_growth_rate must .*> 1.*with lr_max it must grow",
        ),
        (KONDO, {"nshb": True}, "'nshb' and 'optimizer' say the same: remove 'nshb'"),
        (KONDO, {"optimizer": None, "nshb": 1}, "nshb must be true or false, got 1"),
        (KONDO, {"beta_method": "cosine"}, "beta_method must be one of constant, got 'cosine'"),
    ],
)
def test_bad_values_name_the_key_and_the_fix(base, change, message, tmp_path):
    with pytest.raises(ValueError, match="^authors' configuration: .*" + message):
        papers.read_authors_config(base | change)
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(base | change))
    with pytest.raises(ValueError, match=r"bad\.json: .*" + message):
        papers.read_authors_config(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "bad.json: not one of the authors' JSON files: .*line 1"),
        (b"", "bad.json: not one of the authors' JSON files"),
        (b"[1]", "bad.json: must hold one JSON object .* got a list"),
        (b'{"model": "\xff"}', "bad.json: not one of the authors' JSON files: .*utf-8"),
        (b'{"epochs": 1, "epochs": 2}', "the key 'epochs' is given twice: keep one"),
    ],
)
def test_bad_files_are_named(content, message, tmp_path):
    file = tmp_path / "bad.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        papers.read_authors_config(file)


def test_missing_files_folders_and_other_things(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.json: cannot be read \(No such file"):
        papers.read_authors_config(tmp_path / "gone.json")
    with pytest.raises(ValueError, match=r"cannot be read .*give the path of a file"):
        papers.read_authors_config(tmp_path)
    with pytest.raises(ValueError, match="not one of the authors' JSON files"):
        papers.read_authors_config(7)
    with pytest.raises(ValueError, match="dataset must be one of"):
        papers.read_authors_config(KAMO, dataset="imagenet")
