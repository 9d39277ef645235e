"""The command line: what it prints, and one clear line with the right status for bad input."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sgdm_lib import data
from sgdm_lib.book.terminal import printable
from sgdm_lib.cli import jobs, main, run, status
from sgdm_lib.engine import Experiment, records
from sgdm_lib.study import papers

ROOT = Path(__file__).resolve().parents[1]


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
        (["run", "quick/digits/nshb/x2", "--seeds", "0-999999999"], "at most 100,000 numbers"),
        (["run", "quick/digits/nshb/x2", "--seeds", "99999999999"], "seeds must be at most"),
        (["run", "quick/digits/nshb/x2", "--seeds", "-1"], "seeds must be like 0, 0-2 or 0,3,5"),
        (
            ["run", "quick/digits/nshb/x2", "--device", "meta"],
            "must be auto, cpu or cuda, got 'meta'",
        ),
        (
            ["run", "quick/digits/nshb/x2", "--device", "gpu"],
            "must be auto, cpu or cuda, got 'gpu'",
        ),
        (["run", "quick/digits/nshb/x2", "--set", "lr"], "--set must be like lr=0.05, got 'lr'"),
        (["run", "quick/digits/nshb/x2", "--set", "rl=1"], "field of --set must be one of"),
        (["run", "quick/digits/nshb/x2", "--set", "lr=-1"], "lr"),
        (["run", "quick/digits/nshb/x2", "--set", "epochs=two"], "epochs must be a whole number"),
        (["run", "quick/digits/nshb/x2", "--set", "batch_size=5000"], "5000"),
        (["run", "quick/digits/nshb/x2", "--set", "seed=1"], "use --seeds"),
        (["run", "nosuch.json"], "nosuch.json"),
        (["status", "nosuch"], "OUT must be a folder, got 'nosuch'"),
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
    monkeypatch.setattr("sgdm_lib.study.papers.catalogue", lambda: {"tiny": run})
    monkeypatch.setattr("sgdm_lib.study.papers.find", lambda pattern: {"tiny": run})
    return run


@pytest.fixture
def many(monkeypatch):
    """A catalogue with four runs of an epoch, named after their learning rates."""
    base = Experiment(
        dataset="digits", model="mlp", optimizer="nshb", epochs=1, batch_size=512, lr=0.1
    )
    runs = {f"r{k}": base.replace(lr=0.1 / k) for k in (1, 2, 3, 4)}
    monkeypatch.setattr("sgdm_lib.study.papers.find", lambda pattern: runs)
    monkeypatch.setattr(run, "WAIT", 0.05)
    return runs


def test_run_leaves_records_and_goes_on(capsys, tmp_path, tiny):
    assert main(["run", "tiny", "--seeds", "0,2", "--out", str(tmp_path)]) == 0
    first = capsys.readouterr().out
    assert "2 runs; " in first
    assert first.count("finished") == 2
    run = records.load(tmp_path / "tiny/seed2")
    assert run.experiment == tiny.replace(seed=2)
    started = run.provenance["started"], run.provenance["seconds"]
    assert main(["run", "tiny", "--seeds", "2", "--out", str(tmp_path)]) == 0
    again = records.load(tmp_path / "tiny/seed2")
    assert (again.provenance["started"], again.provenance["seconds"]) == started


def test_one_odd_record_does_not_stop_the_others(capsys, tmp_path, many):
    """An odd record is told; the runs before and after it are done."""
    for name, text in {"r1": "{", "r3": '{"experiment": 1}'}.items():
        (tmp_path / name / "seed0").mkdir(parents=True)
        (tmp_path / name / "seed0/run.json").write_text(text)
    code, error = status_and_error(capsys, "run", "r*", "--out", str(tmp_path))
    assert code == 1
    assert "2 of 4 runs failed" in error
    assert "Traceback" not in error
    for name in ("r2", "r4"):
        assert records.load(tmp_path / name / "seed0").status == "finished"


@pytest.mark.parametrize("damage", ["no seconds", "no rows"])
def test_a_record_that_lacks_something_is_no_reason_to_stop(capsys, tmp_path, many, damage):
    assert main(["run", "r*", "--out", str(tmp_path)]) == 0
    known = records.load(tmp_path / "r1/seed0")
    lacking = {k: v for k, v in known.provenance.items() if k != "seconds"}
    if damage == "no rows":
        lacking = known.provenance | {"status": "diverged"}
        known = records.Run(known.experiment, known.history.iloc[:0], lacking)
    records.save(records.Run(known.experiment, known.history, lacking), tmp_path / "r1/seed0")
    shutil.rmtree(tmp_path / "r2")
    main(["run", "r*", "--out", str(tmp_path)])
    assert "KeyError" not in (told := capsys.readouterr().err)
    assert "IndexError" not in told
    assert records.load(tmp_path / "r2/seed0").status == "finished"


def test_an_unexpected_error_in_one_run_does_not_stop_the_others(
    capsys, tmp_path, many, monkeypatch
):
    real = run.fit

    def fit(experiment, **options):
        if experiment == many["r2"]:
            raise KeyError("odd")
        return real(experiment, **options)

    monkeypatch.setattr(run, "fit", fit)
    code, error = status_and_error(capsys, "run", "r*", "--out", str(tmp_path))
    assert code == 1
    assert error == "sgdm: 1 of 4 runs failed: r2, seed 0: KeyError: 'odd'\n"
    assert records.load(tmp_path / "r3/seed0").status == "finished"


def test_missing_data_are_looked_for_first_and_told_once(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SGDM_DATA", str(tmp_path / "none"))
    monkeypatch.setattr(run.speed, "in_words", lambda *about: "1 h")
    looked = []
    real = data.load
    monkeypatch.setattr(run.data, "load", lambda name: looked.append(name) or real(name))
    arguments = ["run", "kamo2025/cifar100/*", "--seeds", "0-4", "--out", str(tmp_path / "runs")]
    code, error = status_and_error(capsys, *arguments)
    assert code == 1
    assert looked == ["cifar100"]
    assert error.count("\n") == 1
    assert error.count("CIFAR-100 is not in") == 1
    assert "others" in error
    assert len(error) < 1_000
    assert not (tmp_path / "runs").exists()


def test_equal_causes_are_told_once():
    experiment = papers.catalogue()["quick/digits/nshb/x2"]
    known = [jobs.Job("x", experiment.replace(seed=k), Path(f"out/x/seed{k}")) for k in range(5)]
    failed = {job: f"{job.folder}/run.json is odd" for job in known[:4]} | {known[4]: "disk full"}
    assert run.causes(failed) == (
        "\n  x, seed 0; x, seed 1; x, seed 2 and 1 others: its folder/run.json is odd"
        "\n  x, seed 4: disk full"
    )


def test_runs_of_another_process_are_come_back_to(capsys, tmp_path, many):
    """One is being run elsewhere: the others go first, and it counts when it is done."""
    begun = threading.Event()

    def elsewhere():
        with records.exclusive(tmp_path / "r1/seed0"):
            begun.set()
            while not (tmp_path / "r4/seed0/run.json").exists():
                time.sleep(0.01)

    other = threading.Thread(target=elsewhere)
    other.start()
    begun.wait()
    assert main(["run", "r*", "--out", str(tmp_path)]) == 0
    other.join()
    out = capsys.readouterr().out
    assert out.count("another process is at it") == 1
    assert out.count("finished") == 4
    for name in many:
        assert records.load(tmp_path / name / "seed0").status == "finished"


def test_processes_share_a_pattern_and_all_end_with_0(tmp_path):
    command = [sys.executable, "-m", "sgdm_lib", "run", "quick/digits/*/x2_from128"]
    command += ["--seeds", "0,1", "--out", str(tmp_path), "--set", "epochs=2"]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    found = status.survey(tmp_path)
    assert len(found) >= 2
    assert {each.state for each in found} == {"done"}


def test_changes_have_a_folder_of_their_own_and_json_tells_the_outcome(capsys, tmp_path, tiny):
    arguments = ["run", "tiny", "--set", "lr=0.05", "--set", "epochs=1", "--out", str(tmp_path)]
    assert main([*arguments, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "tiny/lr=0.05,epochs=1, seed 0" in out
    assert "to be run" in out
    assert not list(tmp_path.iterdir()), "a dry run writes nothing"
    assert main([*arguments, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"] == "finished"
    assert row["epoch"] == 1
    made = records.load(tmp_path / "tiny/lr=0.05,epochs=1/seed0")
    assert row["test_accuracy"] == made.history.test_accuracy.item()
    assert made.experiment == tiny.replace(lr=0.05, epochs=1)


def test_a_file_of_ones_own_is_run(capsys, tmp_path):
    experiment = Experiment(
        dataset="digits", model="mlp", optimizer="shb", epochs=1, batch_size=512, lr=0.01
    )
    (tmp_path / "mine.json").write_text(experiment.to_json())
    arguments = ["run", str(tmp_path / "mine.json"), "--out", str(tmp_path / "runs")]
    assert main(arguments) == 0
    assert records.load(tmp_path / "runs/mine/seed0").experiment == experiment
    assert main(["plan", str(tmp_path / "mine.json"), "--json"]) == 0
    out = capsys.readouterr().out
    plan = json.loads(out[out.index("\n{") :])
    assert plan["steps"] == 3
    low, high = plan["seconds"]["range"]
    assert low < plan["seconds"]["expected"] < high


def test_status_reads_what_became_of_runs(capsys, tmp_path, tiny):
    assert main(["run", "tiny", "--seeds", "0-3", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    for seed, state in {1: "interrupted", 2: "running"}.items():
        made = records.load(tmp_path / f"tiny/seed{seed}")
        about = made.provenance | {"status": state}
        records.save(
            records.Run(made.experiment, made.history.iloc[:1], about),
            tmp_path / f"tiny/seed{seed}",
        )
    (tmp_path / "tiny/seed3/run.json").write_text("{\x1b[31m")
    with records.exclusive(tmp_path / "tiny/seed2"):
        before = sorted(tmp_path.rglob("*"))
        assert main(["status", str(tmp_path), "--json"]) == 0
        found = {row["run"]: row for row in json.loads(capsys.readouterr().out)}
        assert sorted(tmp_path.rglob("*")) == before
    assert [found[f"tiny/seed{k}"]["state"] for k in range(4)] == [
        "done",
        "interrupted",
        "running",
        "failed",
    ]
    assert (found["tiny/seed1"]["epoch"], found["tiny/seed1"]["epochs"]) == (1, 2)
    assert main(["status", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "4 runs: 1 done, 2 interrupted, 1 failed" in out
    assert "\x1b" not in out


def test_list_as_json_has_every_run_and_reads_no_data(capsys, monkeypatch):
    def refuse(*about):
        raise AssertionError("a list needs no data set")

    papers._runs.cache_clear()
    monkeypatch.setattr("sklearn.datasets.load_digits", refuse)
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(papers.catalogue())
    (row,) = (row for row in rows if row["name"] == "kamo2025/cifar100/nshb/x2")
    assert (row["steps"], row["sfo"]) == (249_840, 10_000_000)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_output_in_any_encoding(encoding):
    command = [sys.executable, "-m", "sgdm_lib", "scorecard", "K3"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert ("✗" in done.stdout.decode(encoding)) == (encoding == "utf-8")


def test_closed_and_full_outputs():
    command = f"{sys.executable} -m sgdm_lib plan quick/digits/nshb/x2"
    done = subprocess.run(f"{command} >&-", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    if Path("/dev/full").exists():
        done = subprocess.run(f"{command} >/dev/full", shell=True, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "No space left" in done.stderr


def test_traceback_also_after_the_command():
    with pytest.raises(ValueError, match="nosuch"):
        main(["list", "nosuch", "--traceback"])
    with pytest.raises(ValueError, match="nosuch"):
        main(["--traceback", "list", "nosuch"])


def test_every_command_has_examples_that_parse(capsys):
    from sgdm_lib.cli.arguments import EXAMPLES, parser

    for text in EXAMPLES.values():
        lines = [line.strip() for line in text.splitlines() if line.strip().startswith("sgdm ")]
        assert lines
        for line in lines:
            words = line.split("   ")[0].replace("'", "").split()
            parser().parse_args(words[1:])


def test_importing_the_main_module_runs_nothing():
    done = subprocess.run(
        [sys.executable, "-c", "import sgdm_lib.__main__"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_control_characters_are_shown_not_obeyed():
    assert printable("a\x1b[2Jb\r\u202ec\n\td é ✗") == "a\\x1b[2Jb\\r\\u202ec\n\td é ✗"


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
    assert max(map(len, out.splitlines())) <= 100
    status, error = status_and_error(capsys, "scorecard", "K99")
    assert (status, error.count("\n")) == (2, 1)
    assert "claim must be one of" in error
    assert "K9a" in error, "the nearest ids"
    assert main(["scorecard", "k3", "--json"]) == 0, "small letters do"
    (row,) = json.loads(capsys.readouterr().out)
    assert row["id"] == "K3"
    assert row["paper"] == "mixed"
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
