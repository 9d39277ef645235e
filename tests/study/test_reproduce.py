"""The appendix's tables, from records made here."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sgdm_lib import data, models, plots
from sgdm_lib.engine import Experiment, RecordError, fit, records, seals, speed
from sgdm_lib.engine.speed import machines
from sgdm_lib.gradients import GradientNoise
from sgdm_lib.study import figures, papers
from sgdm_lib.study.pages import inventory

ROOT = Path(__file__).resolve().parents[2]
RUN = Experiment(dataset="digits", model="mlp", optimizer="nshb", epochs=1, batch_size=512, lr=0.1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two seeds of one catalogued run, and one whose recipe has changed since."""
    catalogue = {"a/b/x": RUN, "a/b/y": RUN.replace(lr=0.2), "a/b/z": RUN, "c/d/x": RUN}
    monkeypatch.setattr(papers, "catalogue", lambda: catalogue)
    for name, seed in (("a/b/x", 10), ("a/b/x", 2), ("c/d/x", 0)):
        fit(RUN.replace(seed=seed), out=tmp_path / f"{name}/seed{seed}", progress=False)
    fit(RUN, out=tmp_path / "a/b/y/seed0", progress=False)
    return tmp_path


def test_survey_compares_records_with_the_catalogue(folder):
    found = inventory.survey(folder)
    assert [(r.name, r.run.experiment.seed, r.as_catalogued) for r in found] == [
        ("a/b/x", 2, True),
        ("a/b/x", 10, True),
        ("a/b/y", 0, False),
        ("c/d/x", 0, True),
    ]
    assert inventory.survey(folder / "nothing") == []
    (folder / "a/b/x/seed2/run.json").write_text("{")
    with pytest.raises(RecordError, match=r"run\.json"):
        inventory.survey(folder)


def test_recorded_counts_runs_seeds_and_hours(folder):
    path = folder / "a/b/y/seed0/run.json"
    saved = json.loads(path.read_text())
    fields = saved | {"seconds": 7200.0}
    path.write_text(json.dumps(fields | {"sha256": seals.sha256_of(fields)}))
    table = inventory.recorded(inventory.survey(folder)).data.set_index("records")
    assert list(table.index) == ["a/b", "c/d"]
    first = table.loc["a/b"]
    assert (first["runs"], first["of"], first["seeds"]) == (2, 3, 3)
    assert first["longest, h"] == 2
    assert 2 < first["all, h"] < 2.1
    assert list(table["as catalogued"]) == ["not all", "all"]
    assert inventory.recorded([]).data.empty


def test_packages_shows_what_the_records_were_made_with(folder):
    table = inventory.packages(inventory.survey(folder)).data.set_index("")
    assert table.loc["machine", "the records"].startswith("cpu")
    packages = table.drop("machine")
    assert (packages["this page"] == packages["the records"]).all()
    assert "torch" in packages.index


EVIL = "<img src=x onerror=\"document.title='XSS'\">"


def test_nothing_from_a_record_acts_as_html(folder):
    for path in list(folder.rglob("run.json")):
        run = records.load(path.parent)
        about = run.provenance | {"device": EVIL, "code_version": f"0.1+{EVIL} (source)"}
        about["versions"] = {"torch": EVIL, "numpy": [EVIL]}
        records.save(replace(run, provenance=about), path.parent)
    (folder / "a").rename(folder / EVIL.replace("/", ""))
    found = inventory.survey(folder)
    runs = [record.run for record in found]
    tables = [
        inventory.packages(found),
        inventory.recorded(found),
        figures.provenance({EVIL: runs}, {EVIL: EVIL}),
        plots.totals({EVIL: RUN.plan(1437)}),
        figures.history(runs[0]),
        figures.noise_table({EVIL: GradientNoise(2.0, 40.0)}, {EVIL: 8}),
        plots.table({EVIL: [EVIL, "b"], "list": [[EVIL], None]}),
    ]
    for table in tables:
        html = table.to_html()
        assert "<img" not in html
    assert "&lt;img" in tables[0].to_html()


def test_times_scale_with_pixels_and_images(monkeypatch):
    """Tiny ImageNet's images have four times the pixels, and there are more of them."""
    small = RUN.replace(dataset="cifar100", model="cnn")
    large = small.replace(dataset="tiny_imagenet")
    monkeypatch.setattr(papers, "catalogue", lambda: {"p/s/x": small, "p/t/x": large})
    monkeypatch.setattr(speed, "seconds", lambda run, device: speed.images(run) / 1000)
    shown = []
    monkeypatch.setattr(speed, "duration", lambda seconds: shown.append(seconds) or "")
    table = inventory.times().data
    assert list(table["runs"]) == ["p/s", "p/t"]
    ratio = 4 * speed.images(large) / speed.images(small)
    assert shown[2] / shown[0] == pytest.approx(ratio)


def test_every_data_set_has_its_source_and_licence():
    table = inventory.datasets().data
    assert list(table["data set"]) == list(data.NAMES)
    assert table["licence"].str.len().min() > 2


def test_the_books_own_records_are_as_catalogued():
    found = inventory.survey(ROOT / "chapters/records")
    assert found
    assert [record.name for record in found if not record.as_catalogued] == []


def test_expected_times_follow_from_what_is_assumed():
    run = papers.catalogue()["kamo2025/cifar100/nshb/constant"]
    machine = speed.Machine(peak=1e12, share=(0.25, 0.5), overhead=(0.002, 0.001), price=2.0)
    slow, fast = machine.seconds(run)
    work = speed.images(run) * machines.FLOP
    assert slow == pytest.approx(78_200 * 0.002 + work / 0.25e12)
    assert fast == pytest.approx(78_200 * 0.001 + work / 0.5e12)
    tiny = papers.catalogue()["kamo2025/tiny_imagenet/nshb/constant"]
    per_image = machine._replace(overhead=(0.0, 0.0)).seconds(tiny)[0] / speed.images(tiny)
    assert per_image == pytest.approx(4 * machines.FLOP / 0.25e12), "four times the pixels"
    with pytest.raises(ValueError, match="resnet18"):
        machine.seconds(RUN)


def test_the_work_of_an_image_is_three_forward_passes():
    model = models.build("resnet18", (3, 32, 32), 100, seed=0)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 32, 32))
    assert pytest.approx(3 * counter.get_total_flops(), rel=0.01) == machines.FLOP


def test_expected_covers_every_run_of_the_papers_on_every_machine(monkeypatch):
    machine = speed.Machine(1e12, (1.0, 1.0), (0.0, 0.0), 2.0)
    monkeypatch.setattr(inventory, "MACHINES", {"one": machine, "two": machine})
    table = inventory.expected().data
    catalogue = papers.catalogue()
    wanted = [name for name in catalogue if name.startswith(("kamo2025", "kondo2025"))]
    assert table["of them"].sum() == 2 * len(wanted)
    (row,) = inventory.expected(["kamo2025/sfo"]).data.query("machine == 'one'").itertuples()
    hours = sum(machine.seconds(catalogue[n])[0] for n in wanted if "/sfo/" in n) / 3600
    assert row[-1] == f"{2 * hours:,.0f}–{2 * hours:,.0f}"
