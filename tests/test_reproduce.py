"""The appendix's tables, from records made here."""

import json
from pathlib import Path

import pytest

from sgdm_lib import data, estimate, papers, reproduce
from sgdm_lib.experiment import Experiment
from sgdm_lib.records import RecordError
from sgdm_lib.training import fit

ROOT = Path(__file__).resolve().parents[1]
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
    found = reproduce.survey(folder)
    assert [(r.name, r.run.experiment.seed, r.as_catalogued) for r in found] == [
        ("a/b/x", 2, True),
        ("a/b/x", 10, True),
        ("a/b/y", 0, False),
        ("c/d/x", 0, True),
    ]
    assert reproduce.survey(folder / "nothing") == []
    (folder / "a/b/x/seed2/run.json").write_text("{")
    with pytest.raises(RecordError, match=r"run\.json"):
        reproduce.survey(folder)


def test_recorded_counts_runs_seeds_and_hours(folder):
    path = folder / "a/b/y/seed0/run.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps(saved | {"seconds": 7200.0}))
    table = reproduce.recorded(reproduce.survey(folder)).data.set_index("records")
    assert list(table.index) == ["a/b", "c/d"]
    first = table.loc["a/b"]
    assert (first["runs"], first["of"], first["seeds"]) == (2, 3, 3)
    assert first["longest, h"] == 2
    assert 2 < first["all, h"] < 2.1
    assert list(table["as catalogued"]) == ["not all", "all"]
    assert reproduce.recorded([]).data.empty


def test_packages_shows_what_the_records_were_made_with(folder):
    table = reproduce.packages(reproduce.survey(folder)).data.set_index("")
    assert table.loc["machine", "the records"].startswith("cpu")
    packages = table.drop("machine")
    assert (packages["this page"] == packages["the records"]).all()
    assert "torch" in packages.index


def test_times_scale_with_pixels_and_images(monkeypatch):
    """Tiny ImageNet's images have four times the pixels, and there are more of them."""
    small = RUN.replace(dataset="cifar100", model="cnn")
    large = small.replace(dataset="tiny_imagenet")
    monkeypatch.setattr(papers, "catalogue", lambda: {"p/s/x": small, "p/t/x": large})
    monkeypatch.setattr(estimate, "seconds", lambda run, device: estimate.images(run) / 1000)
    shown = []
    monkeypatch.setattr(estimate, "duration", lambda seconds: shown.append(seconds) or "")
    table = reproduce.times().data
    assert list(table["runs"]) == ["p/s", "p/t"]
    ratio = 4 * estimate.images(large) / estimate.images(small)
    assert shown[2] / shown[0] == pytest.approx(ratio)


def test_every_data_set_has_its_source_and_licence():
    table = reproduce.sources().data
    assert list(table["data set"]) == list(data.NAMES)
    assert table["licence"].str.len().min() > 2


def test_the_books_own_records_are_as_catalogued():
    found = reproduce.survey(ROOT / "chapters/records")
    assert found
    assert [record.name for record in found if not record.as_catalogued] == []
