"""Records made elsewhere: checked, filed, judged; nothing of an archive is trusted."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from sgdm_lib import cli
from sgdm_lib.cli import filing
from sgdm_lib.engine import fit, records
from sgdm_lib.study import papers

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
NAME = "quick/digits/nshb/x2"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run, made elsewhere, in bf16 with rare norms."""
    folder = tmp_path_factory.mktemp("made")
    experiment = papers.catalogue()[NAME].replace(precision="bf16", gradient_norm_every=20, seed=3)
    fit(experiment, out=folder / "runs" / NAME / "seed3", device="cpu", progress=False)
    return folder / "runs"


@pytest.fixture
def chapters(tmp_path):
    folder = tmp_path / "book" / "chapters"
    (folder / "records").mkdir(parents=True)
    for name in ("15-answer.ipynb", "01-momentum.ipynb"):
        shutil.copy(CHAPTERS / name, folder)
    shutil.copytree(CHAPTERS / "paper_curves", folder / "paper_curves")
    return folder


def packed(source, path, **others):
    with tarfile.open(path, "w:gz") as tar:
        tar.add(source, "runs")
        for name, content in others.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def sgdm(*arguments):
    return cli.main([str(each) for each in arguments])


def test_an_archive_is_filed_and_judged(made, chapters, tmp_path, capsys):
    archive = packed(made, tmp_path / "records.tgz")
    assert not sgdm("records", "add", archive, "--chapters", chapters)
    said = capsys.readouterr().out
    assert f"finished, filed as {NAME}, seed 3" in said
    assert "rows changed" in said
    assert "to be built anew (sgdm book): 15-answer" in said
    target = chapters / "records" / NAME / "seed3"
    there = records.load(target)
    assert there.history.equals(records.load(made / NAME / "seed3").history)
    assert there.provenance["computed_in"] == "bf16"
    assert sorted(p.name for p in target.iterdir()) == ["history.parquet", "run.json"]
    assert (chapters / "scorecard.csv").exists()
    assert not sgdm("records", "add", archive, "--chapters", chapters)
    assert f"there already, as {NAME}" in capsys.readouterr().out


def test_a_folder_is_filed_as_well(made, chapters, capsys, monkeypatch):
    monkeypatch.setattr(filing, "_judge", lambda chapters: None)
    assert not sgdm("records", "add", made, "--chapters", chapters)
    assert "filed as" in capsys.readouterr().out


def test_a_damaged_record_is_refused_and_the_others_are_filed(
    made, chapters, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(filing, "_judge", lambda chapters: None)
    both = tmp_path / "both"
    shutil.copytree(made / NAME / "seed3", both / "good")
    shutil.copytree(made / NAME / "seed3", both / "bad")
    path = both / "bad" / "run.json"
    path.write_text(path.read_text().replace('"bf16"', '"fp32"', 1))
    assert sgdm("records", "add", both, "--chapters", chapters)
    shown = capsys.readouterr()
    assert "good: finished, filed as" in shown.out
    assert "1 of 2 runs not filed: bad:" in shown.err


def test_a_run_that_is_not_over_or_not_of_the_catalogue_is_left_out(chapters, tmp_path, capsys):
    experiment = papers.catalogue()[NAME].replace(epochs=2)
    run = fit(experiment, device="cpu", progress=False)
    records.save(run, tmp_path / "a" / "foreign")
    provenance = run.provenance | {"status": "interrupted"}
    records.save(records.Run(experiment, run.history.iloc[:1], provenance), tmp_path / "a" / "half")
    assert sgdm("records", "add", tmp_path / "a", "--chapters", chapters)
    shown = capsys.readouterr()
    assert "half: left out: it is interrupted, after 1 epochs" in shown.out
    assert "foreign: it is no run of the catalogue" in shown.err
    assert not list((chapters / "records").rglob("run.json"))


def test_another_record_is_never_overwritten(made, chapters, capsys):
    target = chapters / "records" / NAME / "seed3"
    shutil.copytree(made / NAME / "seed3", target)
    fields = json.loads((target / "run.json").read_text())
    experiment = papers.catalogue()[NAME].replace(seed=3)
    other = fit(experiment, device="cpu", progress=False)
    records.save(other, target)
    assert sgdm("records", "add", made, "--chapters", chapters)
    assert "holds another record: move it away first" in capsys.readouterr().err
    assert records.load(target).experiment == experiment
    assert fields["experiment"]["precision"] == "bf16"


def test_paths_in_an_archive_lead_nowhere(made, chapters, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(filing, "_judge", lambda chapters: None)
    archive = packed(made, tmp_path / "a.tgz", **{"../../outside/run.json": b"{}", "x.py": b"1"})
    assert sgdm("records", "add", archive, "--chapters", chapters)
    assert "1 of 2 runs not filed: ../../outside" in capsys.readouterr().err
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_what_is_no_archive_is_named(chapters, tmp_path, capsys, content):
    (tmp_path / "x.tgz").write_bytes(content)
    assert sgdm("records", "add", tmp_path / "x.tgz", "--chapters", chapters)
    assert "archive must be a tar file or a folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert sgdm("records", "add", tmp_path / "empty", "--chapters", chapters)
    assert "archive must hold runs" in capsys.readouterr().err
