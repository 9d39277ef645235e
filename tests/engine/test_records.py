"""Records: round trip, complete or absent, unreadable ones refused by name."""

import json
import os
import random
import re
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
from engine_helpers import small
from pandas.testing import assert_frame_equal

from sgdm_lib.data import files
from sgdm_lib.engine import COLUMNS, Busy, RecordError, Run, exclusive, records, seals
from sgdm_lib.engine.records import history

ROOT = Path(__file__).resolve().parents[2]


def run(epochs=2, status="finished", loss=0.5):
    experiment = small(epochs=epochs)
    rows = [
        {"epoch": e.epoch, "step": e.cumulative_steps, "sfo": 200 * e.epoch}
        | {"batch_size": e.batch_size, "lr": 0.1, "train_loss": loss / e.epoch}
        | {"momentum": 0.9, "status": "ok", "seconds": 1.0}
        for e in experiment.plan(1437).table().itertuples()
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


def edited(*, sealed=True, without=(), **changes):
    """The file with other fields and, if sealed, a checksum that agrees."""

    def edit(content):
        data = {k: v for k, v in (json.loads(content) | changes).items() if k not in without}
        return json.dumps(data | {"sha256": seals.sha256_of(data)} if sealed else data).encode()

    return edit


def first_format(content):
    """The file as the first versions wrote it."""
    data = json.loads(content)
    return json.dumps({k: v for k, v in data.items() if k not in seals.FIELDS}).encode()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("run.json", b"", "no readable record"),
        ("run.json", lambda old: old[:-20], "no readable record"),
        ("run.json", b"\xff\xfe\x00", "no readable record"),
        ("run.json", b"[1, 2]", "no readable record"),
        ("run.json", b"null", "no readable record"),
        ("run.json", edited(without=["experiment"]), "foreign, .* it has no 'experiment'"),
        ("run.json", edited(without=["status"]), "damaged .*does not say its 'status'"),
        ("run.json", edited(seed=1), "damaged .seed 1, that of its experiment is 0"),
        ("run.json", edited(hash="0123456789ab"), "damaged .hash '0123456789ab', that of"),
        ("run.json", edited(sealed=False, seed=1), "damaged .its checksum does not agree"),
        ("run.json", edited(sealed=False, without=["format"]), "damaged .its checksum"),
        ("run.json", edited(sealed=False, without=["sha256"]), "damaged .its checksum"),
        ("run.json", edited(format=3), "written by a newer version .format 3, .* update"),
        ("run.json", b'{"lr": 0.1}', "foreign"),
        ("run.json", b"[" * 100_000, "damaged"),
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
    assert re.search(reason, str(caught.value))


def put(rows, column, value):
    changed = rows.copy()
    changed.loc[1, column] = value
    return changed


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows.drop(columns="lr"), r"lacks the columns \['lr'\]: it is not a history"),
        (lambda rows: rows.assign(step="many"), "wrong type"),
        (lambda rows: rows.iloc[:1], "has 1 rows, its finished run 2 epochs"),
        (lambda rows: pd.concat([rows, rows]), "has 4 rows, its finished run 2 epochs"),
        (lambda rows: put(rows, "epoch", 1), "epoch is 1 in row 2, but 2 in the plan"),
        (lambda rows: put(rows, "step", 51), "step is 51 in row 2, but 50 in the plan"),
        (lambda rows: put(rows, "sfo", 401), "sfo is 401 in row 2, but 400 in the plan"),
        (lambda rows: put(rows, "batch_size", 9), "batch_size is 9 in row 2, but 8 in the plan"),
        (lambda rows: put(rows, "lr", 0.2), "lr is 0.2 in row 2, but 0.1 in the plan"),
    ],
)
def test_a_history_that_does_not_fit_is_refused(tmp_path, change, reason, sealed):
    corrupt(tmp_path, "run.json", first_format)
    rows = change(run().history)
    if sealed:  # with checksums that agree, as somebody could make them
        if "wrong" not in reason and "lacks" not in reason:
            whole = Run(run().experiment, rows, run().provenance)
            records.save(whole, tmp_path)
        else:
            rows.to_parquet(tmp_path / "history.parquet")
    else:
        rows.to_parquet(tmp_path / "history.parquet")
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
        with pytest.raises(Busy, match="another process"), records.exclusive(folder):
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


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("name", ["run.json", "history.parquet"])
def test_no_flipped_bit_is_believed(tmp_path, name):
    """The script benchmarks/flips.py does it more often."""
    records.save(run(), tmp_path)
    original, path = records.load(tmp_path), tmp_path / name
    content = path.read_bytes()
    refused = 0
    for bit in random.Random(0).sample(range(8 * len(content)), 300):
        path.write_bytes(flipped(content, bit))
        try:
            read = records.load(tmp_path)
        except RecordError:
            refused += 1
            continue
        assert read.provenance == original.provenance
        assert read.experiment == original.experiment
        assert_frame_equal(read.history, original.history)
    assert refused > 100


def test_a_history_of_another_run_is_foreign_and_a_changed_one_damaged(tmp_path):
    for name, loss in (("a", 0.5), ("b", 0.6)):
        records.save(run(loss=loss), tmp_path / name)
    history = tmp_path / "a/history.parquet"
    history.write_bytes((tmp_path / "b/history.parquet").read_bytes())
    with pytest.raises(
        RecordError, match=r"history.parquet belongs to another run than .*run.json"
    ):
        records.load(tmp_path / "a")
    rows = pd.read_parquet(history)
    put(rows, "test_accuracy", 9.9).to_parquet(history)
    with pytest.raises(RecordError, match=r"is damaged .its checksum does not agree"):
        records.load(tmp_path / "a")


def test_between_two_writes_a_record_is_that_of_before(tmp_path):
    records.save(run(epochs=4, status="running"), tmp_path / "longer")
    short = run(epochs=4, status="running")
    short = Run(short.experiment, short.history.iloc[:3], short.provenance)
    records.save(short, tmp_path / "shorter")
    newer = (tmp_path / "longer/history.parquet").read_bytes()
    (tmp_path / "shorter/history.parquet").write_bytes(newer)  # killed before run.json was written
    assert len(records.load(tmp_path / "shorter").history) == 3
    written = []
    with pytest.MonkeyPatch.context() as patch:
        replace = os.replace
        patch.setattr(os, "replace", lambda a, b: (written.append(b.name), replace(a, b)))
        records.save(short, tmp_path / "longer")  # resumed from an earlier checkpoint
        assert written == ["run.json", "history.parquet"]
        records.save(run(epochs=4, status="running"), tmp_path / "longer")
        assert written[2:] == ["history.parquet", "run.json"]


def test_old_records_load_and_are_signed_once(tmp_path):
    corrupt(tmp_path, "run.json", first_format)
    assert records.load(tmp_path).provenance == run().provenance
    rows = (tmp_path / "history.parquet").read_bytes()
    assert records.sign(tmp_path)
    signed = (tmp_path / "run.json").read_bytes()
    assert json.loads(signed)["format"] == seals.FORMAT
    assert not records.sign(tmp_path)
    assert (tmp_path / "run.json").read_bytes() == signed
    assert (tmp_path / "history.parquet").read_bytes() == rows
    assert records.load(tmp_path).provenance == run().provenance
    put(run().history, "lr", 0.3).to_parquet(tmp_path / "history.parquet")
    with pytest.raises(RecordError):
        records.sign(tmp_path)


def test_every_committed_record_is_signed_and_keeps_its_hash():
    folders = [path.parent for path in (ROOT / "chapters/records").rglob("run.json")]
    assert len(folders) >= 45
    for folder in folders:
        fields = json.loads((folder / "run.json").read_text("utf8"))
        assert fields["format"] == seals.FORMAT
        assert records.load(folder).experiment.hash == fields["hash"]


def test_unknown_columns_are_kept(tmp_path):
    rows = [row | {"probe": 2.5 * row["epoch"]} for row in run().history.to_dict("records")]
    records.save(Run(run().experiment, history(rows), run().provenance), tmp_path)
    read = records.load(tmp_path).history
    assert list(read.columns) == [*COLUMNS, "probe"]
    assert read["probe"].tolist() == [2.5, 5.0]
    history([*run().history.to_dict("records"), {**rows[0], "status": "ok"}])


def test_a_run_whose_process_is_gone_was_interrupted(tmp_path):
    me = files.owner()
    gone = [me | {"pid": 2**22 + 1}, me | {"boot": "another"}, me | {"start": "1"}]
    for owner, status in [
        (me, "running"),
        *((who, "interrupted") for who in gone),
        (me | {"host": "elsewhere", "pid": 2**22 + 1}, "running"),
        ("nonsense", "running"),
    ]:
        written = run(status="running")
        written.provenance["owner"] = owner
        records.save(written, tmp_path)
        assert records.load(tmp_path).status == status


def test_a_record_with_a_function_by_name_can_be_read(tmp_path):
    marker = tmp_path / "made-by-a-record"
    (tmp_path / "planted.py").write_text(
        f"open({str(marker)!r}, 'w').write('x')\ndef lr(t): return .1"
    )
    path = corrupt(tmp_path, "run.json", edited())
    for field in ("lr", "batch_size"):
        data = json.loads(path.read_text())
        data["experiment"][field] = {"kind": "UserSchedule", "function": "planted:lr"}
        path.write_bytes(edited(**data)(path.read_bytes()))
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(tmp_path)
            read = records.load(tmp_path)
            assert read.experiment.to_dict()[field]["function"] == "planted:lr"
            assert read.history["train_loss"].tolist() == [0.5, 0.25]
            with pytest.raises(ValueError, match=r"'planted:lr' is only a name.*register"):
                read.experiment.plan(1437)
        assert "planted" not in sys.modules
        assert not marker.exists()
        path = corrupt(tmp_path, "run.json", edited())


@pytest.mark.parametrize("name", ["run.json", "history.parquet"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    records.save(run(), tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(RecordError, match=f"{name} is no readable .*it is not a file"):
        records.load(tmp_path)


def test_a_lock_is_not_followed_and_nothing_is_emptied(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").symlink_to(precious)
    with (
        pytest.raises(OSError, match=r"\.lock is a link, which is not followed"),
        exclusive(folder),
    ):
        pytest.fail("locked")
    assert precious.read_text() == "mine"
    (folder / ".lock").unlink()
    os.link(precious, folder / ".lock")
    with exclusive(folder):
        assert precious.read_text() == "mine"


def test_only_our_own_leftovers_are_removed(tmp_path):
    nobody, me, host = 2**22 + 1, os.getpid(), files._host()
    kept = [
        ".mine.tmp",
        ".cfg.tmp",
        f".notes.txt.{nobody}.tmp",
        ".run.json.tmp",
        f".run.json.elsewhere.{nobody}.abc.tmp",
    ]
    removed = [
        f".run.json.{host}.{nobody}.0123abcd.tmp",
        f".history.parquet.{nobody}.tmp",
        f".checkpoint.pt.{host}.{me}.0123abcd.tmp",  # an earlier process with this number
    ]
    for name in kept + removed:
        (tmp_path / name).write_text("x")
    with exclusive(tmp_path):
        assert {p.name for p in tmp_path.iterdir()} == {*kept, ".lock"}


def test_where_a_lock_locks_nothing_a_second_one_destroys_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(files.fcntl, "flock", lambda *_: None)  # as some network file systems
    writing, go_on, seen = threading.Event(), threading.Event(), []

    def slow(path):
        path.write_text("x")
        writing.set()
        go_on.wait(10)

    def first():
        with exclusive(tmp_path):
            records.atomic_write(tmp_path / "checkpoint.pt", slow)
            seen.append((tmp_path / "checkpoint.pt").read_text())

    thread = threading.Thread(target=first)
    thread.start()
    writing.wait(10)
    with exclusive(tmp_path):
        go_on.set()
        thread.join()
    assert seen == ["x"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    reason = r"cannot write into .*file/run: Not a directory; choose another folder"
    with pytest.raises(OSError, match=reason), exclusive(tmp_path / "file" / "run"):
        pytest.fail("locked")
