"""Records: round trip, complete or absent, unreadable ones refused by name."""

import json
import os
import threading

import pandas as pd
import pytest
from engine_helpers import small
from pandas.testing import assert_frame_equal

from sgdm_lib import files, records
from sgdm_lib.records import COLUMNS, RecordError, Run, history


def run(epochs=2, status="finished", loss=0.5):
    experiment = small(epochs=epochs)
    rows = [
        {"epoch": e, "step": 25 * e, "sfo": 200 * e, "batch_size": 8, "train_loss": loss / e}
        | {"lr": 0.1, "momentum": 0.9, "status": "ok", "seconds": 1.0}
        for e in range(1, epochs + 1)
    ]
    provenance = {"experiment": experiment.to_dict(), "status": status, "seed": 0}
    return Run(experiment, history(rows), provenance)


def test_round_trip(tmp_path):
    written = run()
    assert records.save(written, tmp_path / "a" / "b") == tmp_path / "a" / "b"
    read = records.load(tmp_path / "a" / "b")
    assert read.experiment == written.experiment
    assert read.provenance == written.provenance
    assert read.status == "finished"
    assert_frame_equal(read.history, written.history)
    assert read.history["test_loss"].isna().all()
    assert not [p for p in (tmp_path / "a" / "b").iterdir() if p.suffix == ".tmp"]


def test_a_history_without_rows_has_its_columns_and_types(tmp_path):
    empty = Run(small(), history([]), run(status="running").provenance)
    records.save(empty, tmp_path)
    assert dict(records.load(tmp_path).history.dtypes.astype(str)) == COLUMNS


@pytest.mark.parametrize("broken", ["to_parquet", "write_text", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_record_whole(tmp_path, monkeypatch, broken):
    records.save(run(loss=1.0), tmp_path)

    def fail(*args, **kwargs):
        if broken in ("to_parquet", "write_text"):
            path = next(a for a in args if ".tmp" in str(a))
            with open(path, "wb") as file:
                file.write(b"half")
        raise OSError(28, "No space left on device")

    owner = {"to_parquet": pd.DataFrame, "write_text": type(tmp_path)}.get(broken, os)
    with monkeypatch.context() as patch:
        patch.setattr(owner, broken, fail)
        with pytest.raises(OSError, match="No space left"):
            records.save(run(loss=7.0), tmp_path)
    assert records.load(tmp_path).provenance == run().provenance
    assert {p.name for p in tmp_path.iterdir()} == {"history.parquet", "run.json"}
    if broken != "write_text":  # then the history is new, which belongs to the same run
        assert records.load(tmp_path).history["train_loss"].iloc[0] == 1.0


def test_a_reader_never_sees_half_a_record(tmp_path):
    records.save(run(), tmp_path)
    stop, seen = threading.Event(), []

    def read():
        while not stop.is_set():
            seen.append(len(records.load(tmp_path).history))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30):
        records.save(run(), tmp_path)
    stop.set()
    reader.join()
    assert seen
    assert set(seen) == {2}


def corrupt(tmp_path, name, content):
    records.save(run(), tmp_path)
    path = tmp_path / name
    if callable(content):
        content = content(path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    return path


def edited(**changes):
    def edit(content):
        return json.dumps(json.loads(content) | changes).encode()

    return edit


def without(key):
    def edit(content):
        data = json.loads(content)
        del data[key]
        return json.dumps(data).encode()

    return edit


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("run.json", b"", "no readable record"),
        ("run.json", lambda old: old[:-20], "no readable record"),
        ("run.json", b"\xff\xfe\x00", "no readable record"),
        ("run.json", b"[1, 2]", "no readable record"),
        ("run.json", b"null", "no readable record"),
        ("run.json", without("experiment"), "experiment"),
        ("run.json", without("status"), "status"),
        ("run.json", edited(status="done"), "unknown status 'done'"),
        ("run.json", edited(experiment={"model": "mlp"}), "needs the field 'dataset'"),
        ("history.parquet", None, "no readable history"),
        ("history.parquet", b"", "no readable history"),
        ("history.parquet", lambda old: old[: len(old) // 2], "no readable history"),
        ("history.parquet", b"epoch,step\n1,2\n", "no readable history"),
    ],
)
def test_damaged_records_are_refused_by_name(tmp_path, name, content, reason):
    path = corrupt(tmp_path, name, content)
    with pytest.raises(RecordError) as caught:
        records.load(tmp_path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows.drop(columns="lr"), "not those of a history"),
        (lambda rows: rows.assign(extra=1), "not those of a history"),
        (lambda rows: rows.assign(step="many"), "wrong type"),
        (lambda rows: rows.iloc[:1], "has 1 rows, its finished run 2 epochs"),
    ],
)
def test_a_history_that_does_not_fit_is_refused(tmp_path, change, reason):
    records.save(run(), tmp_path)
    change(run().history).to_parquet(tmp_path / "history.parquet")
    with pytest.raises(RecordError, match=reason) as caught:
        records.load(tmp_path)
    assert "history.parquet" in str(caught.value)


def test_no_record_says_what_to_do(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RecordError, match=r"no record in .* run.json is missing; make it with"):
            records.load(folder)


def test_delete_removes_a_record_and_nothing_else(tmp_path):
    records.save(run(), tmp_path)
    (tmp_path / "notes.txt").write_text("keep")
    records.delete(tmp_path)
    records.delete(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_exclusive_keeps_others_out_and_clears_what_a_kill_left(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    nobody = 2**22 + 1  # more than any process number
    (folder / f".checkpoint.pt.{nobody}.tmp").write_text("half")
    with records.exclusive(folder):
        assert [p.name for p in folder.iterdir()] == [".lock"]
        with pytest.raises(RecordError, match="another process"), records.exclusive(folder):
            pytest.fail("two owners")
    with records.exclusive(folder):
        pass
    assert not list(folder.iterdir())


def test_exclusive_does_without_locks_where_there_are_none(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    with records.exclusive(tmp_path):
        records.save(run(), tmp_path)
    assert records.load(tmp_path).status == "finished"


def test_a_lock_on_a_file_that_is_gone_is_no_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(files.fcntl, "flock", lambda *_: (tmp_path / ".lock").unlink())
    with pytest.raises(RecordError, match="another process"), records.exclusive(tmp_path):
        pytest.fail("locked a file nobody else can see")


def test_versions_and_code_version_are_stated():
    assert {"python", "torch", "numpy", "sgdm-lib"} <= records.versions().keys()
    assert records.code_version().startswith(records.versions()["sgdm-lib"])
    assert "source " in records.code_version()
