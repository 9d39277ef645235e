"""Checkpoints: complete or absent, safe, the one before kept, other experiments refused."""

import os
import warnings
from pathlib import Path

import pytest
import torch
from engine_helpers import small

from sgdm_lib.engine import checkpoint

CPU = torch.device("cpu")


def state(number):
    return {
        "model": {"weight": torch.full((3,), float(number))},
        "step": number,
        "rows": [{"a": 1}],
    }


def save(folder, number, experiment=None):
    checkpoint.save(folder, experiment or small(), state(number))


def load(folder, experiment=None):
    return checkpoint.load(folder, experiment or small(), CPU)


def test_round_trip_and_the_one_before(tmp_path):
    folder = tmp_path / "a" / "b"
    assert load(folder) is None
    for number in (1, 2, 3):
        save(folder, number)
    found = load(folder)
    assert found["step"] == 3
    assert torch.equal(found["model"]["weight"], torch.full((3,), 3.0))
    assert found["rows"] == [{"a": 1}]
    assert {p.name for p in folder.iterdir()} == {checkpoint.NAME, checkpoint.PREVIOUS}
    checkpoint.delete(folder)
    assert not list(folder.iterdir())
    assert load(folder) is None


class Evil:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def garbage(path):
    path.write_bytes(os.urandom(2000))


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    path.write_bytes(b"")


def flipped(path):
    content = bytearray(path.read_bytes())
    where = content.index(torch.full((3,), 2.0).numpy().tobytes())
    content[where] ^= 1
    path.write_bytes(content)


def without_state(path):
    torch.save({"experiment": small().to_json(), "state": [1]}, path)


def hostile(path):
    torch.save({"experiment": small().to_json(), "state": Evil(str(path.parent / "evil"))}, path)


@pytest.mark.parametrize("damage", [garbage, truncated, empty, flipped, without_state, hostile])
def test_a_damaged_newest_one_falls_back_to_the_one_before(tmp_path, damage):
    save(tmp_path, 1)
    save(tmp_path, 2)
    damage(tmp_path / checkpoint.NAME)
    with pytest.warns(
        UserWarning, match=r"checkpoint.pt is damaged .* trying the checkpoint before"
    ):
        assert load(tmp_path)["step"] == 1
    assert not (tmp_path / "evil").exists()


def test_nothing_readable_is_an_error_that_says_what_to_do(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    garbage(tmp_path / checkpoint.NAME)
    garbage(tmp_path / checkpoint.PREVIOUS)
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(RuntimeError, match=r"previous.pt is damaged .* it is kept; restore"),
    ):
        load(tmp_path)


@pytest.mark.parametrize("broken", ["save", "fsync", "replace", "second replace"])
def test_a_failed_write_leaves_a_whole_checkpoint(tmp_path, monkeypatch, broken):
    save(tmp_path, 1)
    save(tmp_path, 2)
    replace, calls = os.replace, []

    def fail(*args):
        calls.append(args)
        if broken == "second replace" and len(calls) == 1:
            return replace(*args)
        if broken == "save":
            Path(args[1]).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if broken == "save":
            patch.setattr(checkpoint, "write_payload", fail)
        else:
            patch.setattr(os, broken.split()[-1], fail)
        with pytest.raises(OSError, match=r"cannot write .*checkpoint.pt: No space left"):
            save(tmp_path, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is damaged
        assert load(tmp_path)["step"] == 2
    assert not list(tmp_path.glob(".*"))


def test_another_experiment_is_refused_by_field(tmp_path):
    save(tmp_path, 1)
    with pytest.raises(
        ValueError, match=r"another experiment \(lr: .*0\.1.* there, .*0\.2.* now\)"
    ):
        load(tmp_path, small(lr=0.2))


def test_checkpoints_load_without_pickled_code(tmp_path):
    save(tmp_path, 1)
    torch.load(tmp_path / checkpoint.NAME, weights_only=True)


def test_the_library_never_loads_pickled_code():
    package = Path(checkpoint.__file__).parent
    for path in package.rglob("*.py"):
        text = path.read_text("utf8")
        assert "weights_only=False" not in text, path
        assert "pickle.load" not in text, path
        assert "allow_pickle=True" not in text, path


@pytest.mark.parametrize("name", [checkpoint.NAME, checkpoint.PREVIOUS])
def test_a_file_of_somebody_else_is_named_and_kept(tmp_path, name):
    torch.save({"mine": torch.ones(3)}, tmp_path / name)
    reason = f"{name} is not a checkpoint of this library: it is kept"
    with pytest.raises(ValueError, match=reason):
        load(tmp_path)
    with pytest.raises(ValueError, match=f"{name} is damaged, or not a checkpoint"):
        checkpoint.clear(tmp_path)
    checkpoint.delete(tmp_path)
    assert torch.load(tmp_path / name)["mine"].sum() == 3


def test_clear_removes_ours_and_keeps_what_cannot_be_read(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    checkpoint.clear(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / checkpoint.NAME).write_text("notes of mine")
    with pytest.raises(ValueError, match="it is kept; move it away"):
        checkpoint.clear(tmp_path)
    assert (tmp_path / checkpoint.NAME).read_text() == "notes of mine"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / checkpoint.NAME)
    with (
        pytest.warns(UserWarning, match="it is not a file"),
        pytest.raises(RuntimeError, match="it is kept"),
    ):
        load(tmp_path)
