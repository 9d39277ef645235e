"""The command line: what it prints, and one clear line with the right status for bad input."""

import os
import subprocess
import sys

import pytest

from sgdm_lib import records
from sgdm_lib.cli import main
from sgdm_lib.experiment import Experiment


def status_and_error(capsys, *arguments):
    status = main(list(arguments))
    return status, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["book", "--scale", "huge"], "scale must be one of quick, paper, got 'huge'"),
        (["book", "--chapter", "99"], "chapter must be one of"),
        (["book", "-p", "seed", "2"], "got 'seed': did you mean 'seeds'"),
        (["book", "--jobs", "0"], "jobs must be a whole number >= 1, got 0"),
        (["plan", "kamo2025/cifar100/nshb/x3"], "kamo2025/cifar100/nshb/x2"),
        (["plan", "kamo2025/*"], "name must mean one run"),
        (["plan", "nosuch.json"], "nosuch.json"),
        (["run", "nosuch"], "nosuch"),
        (["run", "quick/digits/nshb/x2", "--seeds", "two"], "seeds must be like 0, 0-2 or 0,3,5"),
        (["run", "quick/digits/nshb/x2", "--seeds", "3-1"], "seeds must be like"),
        (["run", "quick/digits/nshb/x2", "--seeds", "0,1-2-3"], "seeds must be like"),
        (["run", "quick/digits/nshb/x2", "--seeds", "0,3-1"], "seeds must be like"),
        (["run", "quick/digits/nshb/x2", "--device", "abacus"], "device must be auto, cpu or cuda"),
        (["run", "quick/digits/nshb/x2", "--mode", "turbo"], "mode must be one of"),
        (["bench", "--batch-sizes", "many"], "batch-sizes must be like"),
        (
            ["bench", "quick/digits/nshb/x2", "--batch-sizes", "8,0"],
            "batch size must be a whole number >= 1 and <= 1437, got 0",
        ),
        (
            ["bench", "quick/digits/nshb/x2", "--seconds", "0"],
            "seconds must be a finite number > 0",
        ),
        (["data", "mnist"], "data set must be one of"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(capsys, arguments, message):
    status, error = status_and_error(capsys, *arguments)
    assert status == 2
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_unknown_command_is_status_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["dance"])
    assert stopped.value.code == 2


def test_missing_package_names_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    status, error = status_and_error(capsys, "book")
    assert status == 1
    assert error == "sgdm: the package yaml is missing: pip install 'sgdm-lib[book]'\n"


def test_unreadable_record_is_named(capsys, tmp_path):
    folder = tmp_path / "quick/digits/nshb/x2/seed0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{ half a rec")
    status, error = status_and_error(capsys, "run", "quick/digits/nshb/x2", "--out", str(tmp_path))
    assert status == 1
    assert "run.json" in error
    assert error.count("\n") == 1
    assert (folder / "run.json").read_text() == "{ half a rec", "nothing is overwritten"


@pytest.fixture
def tiny(monkeypatch):
    """A catalogue with one short run."""
    run = Experiment(
        dataset="digits", model="mlp", optimizer="nshb", epochs=2, batch_size=256, lr=0.1
    )
    monkeypatch.setattr("sgdm_lib.papers.catalogue", lambda: {"tiny": run})
    monkeypatch.setattr("sgdm_lib.papers.find", lambda pattern: {"tiny": run})
    return run


def test_run_leaves_records_and_goes_on(capsys, tmp_path, tiny):
    assert main(["run", "tiny", "--seeds", "0,2", "--out", str(tmp_path)]) == 0
    first = capsys.readouterr().out
    assert "2 runs, about" in first
    assert first.count("finished") == 2
    run = records.load(tmp_path / "tiny/seed2")
    assert run.experiment == tiny.replace(seed=2)
    started = run.provenance["started"], run.provenance["seconds"]
    assert main(["run", "tiny", "--seeds", "2", "--out", str(tmp_path)]) == 0
    again = records.load(tmp_path / "tiny/seed2")
    assert (again.provenance["started"], again.provenance["seconds"]) == started


def test_list_and_plan(capsys):
    assert main(["list", "kamo2025/cifar100/nshb/*"]) == 0
    out = capsys.readouterr().out
    assert "78,200" in out
    assert "249,840" in out
    assert main(["plan", "kondo2025/cifar100/nshb/warmup_cosine_max0.5", "--table"]) == 0
    out = capsys.readouterr().out
    assert "374,760 steps" in out
    assert "About" in out
    assert len(out.splitlines()) > 300


def test_scorecard_prints_and_writes_the_verdicts(capsys, tmp_path):
    file = tmp_path / "card.csv"
    assert main(["scorecard", "K3", "K14", "--out", str(file)]) == 0
    out = capsys.readouterr().out
    assert "K3  Doubling the batch size" in out
    assert "the paper's own curves: mixed (5 of 6)" in out
    assert "RMSprop ✗" in out
    assert file.read_text().splitlines()[0].startswith("id,claim,where,paper")
    status, error = status_and_error(capsys, "scorecard", "K99")
    assert (status, error.count("\n")) == (2, 1)
    assert "claim must be one of" in error
    status, error = status_and_error(capsys, "scorecard", "--chapters", str(tmp_path / "none"))
    assert status == 2
    assert "chapters must be a folder" in error


def test_plan_of_an_authors_file(capsys, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(
        '{"model": "resnet18", "optimizer": "custom_momentum", "bs_method": "exp_growth", '
        '"init_bs": 8, "init_lr": 0.1, "epochs": 200, "incr_interval": 40, "bs_growth_rate": 4}'
    )
    assert main(["plan", str(path)]) == 0
    assert "333,080 steps" in capsys.readouterr().out


def test_bench_prints_and_writes_its_tables(capsys, tmp_path):
    name = "quick/digits/nshb/constant8"
    arguments = ["--batch-sizes", "64", "--seconds", "0.1", "--out", str(tmp_path)]
    assert main(["bench", name, *arguments]) == 0
    assert "images" in capsys.readouterr().out
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".md", ".md", ".parquet", ".parquet"]


def test_doctor(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "digits: there" in out
    assert "CPU cores" in out


def test_a_reader_that_leaves_ends_it_silently():
    """As ``sgdm list | head -1`` does, whatever the size of the pipe."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "sgdm_lib", "plan", "quick/digits/nshb/x2"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_importing_the_library_is_light():
    """Neither torchvision nor matplotlib nor pandas come with the rooms practitioners import."""
    code = (
        "import sys, sgdm_lib, sgdm_lib.optim, sgdm_lib.schedules, sgdm_lib.plan, "
        "sgdm_lib.loaders, sgdm_lib.theory; "
        "print([m for m in ('torchvision', 'matplotlib', 'seaborn', 'pandas', 'sklearn') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout == "[]\n", done.stderr
