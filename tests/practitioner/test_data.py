"""Data sets: what they hold, what is derived from them, and what a damaged file does."""

import dataclasses
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sgdm_lib import data
from sgdm_lib.data import cache, sources

N_TRAIN, N_TEST, CLASSES = 40, 20, 10
DIGITS = data.load("digits")


def random_split(n, seed, shape=(4, 4, 3)):
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    return images[order], (np.arange(n) % CLASSES)[order]


def small_arrays():
    x_train, y_train = random_split(N_TRAIN, 0)
    x_test, y_test = random_split(N_TEST, 1)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def small_source(arrays):
    """Describe a "CIFAR-10" of 40 and 20 images of 4x4 pixels."""
    return dataclasses.replace(
        sources.SPECS["cifar10"],
        shape=(3, 4, 4),
        n_train=N_TRAIN,
        n_test=N_TEST,
        mean=tuple(arrays["x_train"].mean((0, 1, 2)) / 255),
    )


@pytest.fixture
def arrays():
    return small_arrays()


@pytest.fixture
def small(monkeypatch, arrays):
    monkeypatch.setitem(sources.SPECS, "cifar10", small_source(arrays))
    return sources.SPECS["cifar10"]


@pytest.fixture
def fake_torchvision(monkeypatch, arrays):
    """Replace torchvision's CIFAR10 by one that "downloads" the arrays; returns its calls."""
    calls = []

    class Fake:
        classes = tuple("abcdefghij")

        def __init__(self, root, train, download):
            calls.append((root, train, download))
            part = "train" if train else "test"
            self.data = arrays[f"x_{part}"]
            self.targets = arrays[f"y_{part}"].tolist()

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Fake)
    return calls


def save(folder, arrays, name="cifar10", **more):
    folder.mkdir(exist_ok=True)
    np.savez(folder / f"{name}.npz", **{**arrays, **more})
    return folder / f"{name}.npz"


def assert_refused(folder, *words):
    with pytest.raises(data.DataError) as caught:
        data.load("cifar10", folder)
    for word in ("cifar10.npz", *words):
        assert word in str(caught.value)


def pairs(images, labels):
    return sorted(
        (int(label), image.tobytes()) for image, label in zip(images, labels, strict=True)
    )


# --- digits -----------------------------------------------------------------------------------


def test_digits_are_scikit_learns_images_scaled_to_bytes():
    from sklearn.datasets import load_digits

    raw = load_digits()
    assert DIGITS.shape == (1, 8, 8)
    assert (DIGITS.n_train, DIGITS.n_test) == (1437, 360)
    assert DIGITS.classes == tuple("0123456789")
    for x, y in ((DIGITS.x_train, DIGITS.y_train), (DIGITS.x_test, DIGITS.y_test)):
        assert (x.dtype, y.dtype) == (torch.uint8, torch.int64)
    # v/16 of full brightness, rounded to the nearest byte (halves up): 8 -> 127.5 -> 128
    expected = [round(255 * v / 16 + 1e-9) for v in range(17)]
    scaled = np.array(expected, dtype=np.uint8)[raw.images.astype(int)]
    ours = pairs(DIGITS.x_train[:, 0].numpy(), DIGITS.y_train) + pairs(
        DIGITS.x_test[:, 0].numpy(), DIGITS.y_test
    )
    assert sorted(ours) == pairs(scaled, raw.target)


def test_digits_are_split_evenly_and_always_alike():
    assert DIGITS.y_test.bincount().tolist() == [36, 36, 36, 36, 37, 36, 36, 36, 35, 36]
    share = DIGITS.y_test.bincount() / (DIGITS.y_train.bincount() + DIGITS.y_test.bincount())
    assert (share - 0.2).abs().max() < 0.005
    assert DIGITS.checksum == "525cc0c9d05debf2d2ecd43ca904e69b9d806695322514a206ad576301e81f7b"


def test_digits_normalisation_constants_are_those_of_its_training_pixels():
    pixels = DIGITS.x_train.double() / 255
    assert DIGITS.mean[0] == pytest.approx(pixels.mean().item(), abs=5e-6)
    assert DIGITS.std[0] == pytest.approx(pixels.std(correction=0).item(), abs=5e-6)


def test_a_data_set_cannot_be_changed_and_its_checksum_tells_contents_apart():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DIGITS.name = "other"
    assert data.load("digits").checksum == DIGITS.checksum
    order = torch.arange(DIGITS.n_train).flip(0)
    other = [
        dataclasses.replace(DIGITS, y_train=DIGITS.y_train.flip(0)),
        dataclasses.replace(DIGITS, x_train=DIGITS.x_train[order], y_train=DIGITS.y_train[order]),
        dataclasses.replace(DIGITS, x_train=DIGITS.x_train.reshape(-1, 1, 4, 16)),
        data.subset(DIGITS, 1436),
    ]
    assert len({DIGITS.checksum, *(one.checksum for one in other)}) == 5


# --- derived sets and random streams ----------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_random_labels(first, second, seed):
    low, high = sorted((first, second))
    less, more = (data.with_random_labels(DIGITS, f, seed).y_train for f in (low, high))
    for fraction, labels in ((low, less), (high, more)):
        assert (labels != DIGITS.y_train).sum() == round(fraction * 1437)
        assert labels.min() >= 0
        assert labels.max() <= 9
    changed = less != DIGITS.y_train
    assert torch.equal(less[changed], more[changed]), "a larger fraction contains a smaller one"
    assert torch.equal(less, data.with_random_labels(DIGITS, low, seed).y_train)


def test_random_labels_are_uniform_over_the_other_classes():
    noisy = data.with_random_labels(DIGITS, 1.0)
    shift = (noisy.y_train - DIGITS.y_train) % 10
    counts = shift.bincount(minlength=10)
    assert counts[0] == 0
    assert ((counts[1:] - 1437 / 9) ** 2 / (1437 / 9)).sum() < 26.1  # 0.1%, 8 degrees
    assert torch.equal(noisy.x_train, DIGITS.x_train)
    assert torch.equal(noisy.y_test, DIGITS.y_test)
    assert not torch.equal(noisy.y_train, data.with_random_labels(DIGITS, 1.0, seed=1).y_train)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 1437), st.integers(1, 1437), st.integers(0, 5))
def test_subsets_are_nested_and_balanced(first, second, seed):
    low, high = sorted((first, second))
    less, more = data.subset(DIGITS, low, seed), data.subset(DIGITS, high, seed)
    assert torch.equal(more.x_train[:low], less.x_train)
    assert torch.equal(more.y_train[:low], less.y_train)
    assert less.n_train == low
    assert less.n_test == 360
    counts = less.y_train.bincount(minlength=10)
    if low <= 10 * int(DIGITS.y_train.bincount().min()):
        assert counts.max() - counts.min() <= 1
    whole = data.subset(DIGITS, 1437, seed)
    assert pairs(whole.x_train.numpy(), whole.y_train) == pairs(
        DIGITS.x_train.numpy(), DIGITS.y_train
    )


def test_an_epochs_order_is_the_documented_function_of_seed_and_epoch():
    for n, seed, epoch in ((1, 0, 0), (10, 3, 0), (1000, 3, 199), (77, 2**32 - 1, 5)):
        words = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(words[0]) >> 1)
        expected = torch.randperm(n, generator=generator)
        torch.manual_seed(epoch)
        before = torch.get_rng_state()
        order = data.epoch_permutation(n, seed, epoch)
        assert order.dtype == torch.int64
        assert torch.equal(order, expected)
        assert torch.equal(torch.get_rng_state(), before), "the global state is left alone"


def test_seeds_epochs_and_streams_give_different_draws():
    draws = {
        tuple(torch.randint(0, 2**40, (2,), generator=data.generator(seed, epoch, stream)).tolist())
        for seed in range(20)
        for epoch in range(20)
        for stream in data.STREAMS
    }
    assert len(draws) == 20 * 20 * len(data.STREAMS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda d: data.load("mnist"),
            "data set must be one of digits, fashion_mnist, .* got 'mnist'",
        ),
        (lambda d: data.with_random_labels(d, 1.1), "fraction must be .* <= 1, got 1.1"),
        (lambda d: data.with_random_labels(d, -0.1), "fraction must be .* >= 0"),
        (lambda d: data.with_random_labels(d, 0.1, seed=-1), "seed must be a whole number >= 0"),
        (lambda d: data.subset(d, 0), "n_train must be a whole number >= 1 and <= 1437, got 0"),
        (lambda d: data.subset(d, 1438), "got 1438"),
        (lambda d: data.epoch_permutation(0, 0, 0), "n must be a whole number >= 1"),
        (lambda d: data.epoch_permutation(5, 0, -1), "epoch must be a whole number >= 0"),
        (lambda d: data.generator(0, 0, "noise"), "stream must be one of order, augment"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(DIGITS)


# --- the cached file --------------------------------------------------------------------------


def test_where_the_files_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("SGDM_DATA", str(tmp_path / "mine"))
    assert data.data_root() == tmp_path / "mine"
    assert data.data_root(tmp_path) == tmp_path
    monkeypatch.setenv("SGDM_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data.data_root() == tmp_path / "cache" / "sgdm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.data_root() == tmp_path / ".cache" / "sgdm"


def test_a_file_loads_as_tensors_with_its_pairs_kept(small, arrays, tmp_path):
    save(tmp_path, arrays, class_names=np.array(list("abcdefghij")))
    loaded = data.load("cifar10", tmp_path)
    assert loaded.shape == (3, 4, 4)
    assert loaded.x_train.is_contiguous()
    assert loaded.classes == tuple("abcdefghij")
    assert (loaded.mean, loaded.std) == (small.mean, small.std)
    for part in ("train", "test"):
        images = getattr(loaded, f"x_{part}").permute(0, 2, 3, 1).contiguous().numpy()
        labels = getattr(loaded, f"y_{part}")
        assert pairs(images, labels) == pairs(arrays[f"x_{part}"], arrays[f"y_{part}"])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_the_order_of_the_file_does_not_matter(seed):
    x, y = random_split(30, 5)
    x[:3], y[:3] = x[0], y[0]  # duplicates
    order, digest = cache.canonical_order(x, y)
    shuffle = np.random.default_rng(seed).permutation(30)
    order_again, digest_again = cache.canonical_order(x[shuffle], y[shuffle])
    assert digest == digest_again
    assert np.array_equal(x[order], x[shuffle][order_again])
    assert np.array_equal(y[order], y[shuffle][order_again])
    y[7] = (y[7] + 1) % CLASSES
    assert cache.canonical_order(x, y)[1] != digest


def test_two_copies_in_different_order_are_one_data_set(small, arrays, tmp_path):
    save(tmp_path / "one", arrays)
    save(tmp_path / "two", {key: array[::-1] for key, array in arrays.items()})
    one, two = (data.load("cifar10", tmp_path / folder) for folder in ("one", "two"))
    assert one.checksum == two.checksum


def test_the_files_of_all_sets_are_described_consistently():
    for name, source in sources.SPECS.items():
        assert source.name == name
        assert source.n_train % source.n_classes == source.n_test % source.n_classes == 0
        assert len(source.mean) == len(source.std) == source.shape[0]
        if source.torchvision:
            assert hasattr(torchvision.datasets, source.torchvision)


@settings(deadline=None, max_examples=30)
@given(keep=st.floats(0, 0.9999))
def test_truncated_files_are_refused(keep):
    content = zipped(small_arrays())
    found = read_bytes(content[: int(keep * len(content))])
    assert isinstance(found, str)
    assert "cifar10.npz is refused: it cannot be read" in found


@settings(deadline=None, max_examples=50)
@given(where=st.floats(0, 0.9999), flip=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_harmless(where, flip):
    """Some bytes of a zip file mean nothing (time stamps); no other change goes unnoticed."""
    damaged = bytearray(zipped(small_arrays()))
    damaged[int(where * len(damaged))] ^= flip
    found, expected = read_bytes(bytes(damaged)), small_arrays()
    if isinstance(found, str):
        assert "cifar10.npz is refused" in found
        return
    for part in ("train", "test"):
        assert pairs(found[f"x_{part}"], found[f"y_{part}"]) == pairs(
            expected[f"x_{part}"], expected[f"y_{part}"]
        )


def zipped(arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def read_bytes(content):
    """Return what a file with this content holds, or the message it is refused with."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cifar10.npz"
        file.write_bytes(content)
        try:
            return cache.read(small_source(small_arrays()), file)
        except data.DataError as error:
            return str(error)


def test_wrong_contents_are_refused_by_name(small, arrays, tmp_path):
    def refused(*words, **change):
        save(tmp_path, arrays, **change)
        assert_refused(tmp_path, *words)

    x, y = arrays["x_train"], arrays["y_train"]
    refused("x_train is uint8 of shape (40, 3, 4, 4)", x_train=x.transpose(0, 3, 1, 2))
    refused("x_train is float32", x_train=x.astype(np.float32))
    refused("y_train is int32", y_train=y.astype(np.int32))
    refused("y_train is int64 of shape (39,)", y_train=y[:-1])
    refused("x_train is uint8 of shape (20", x_train=arrays["x_test"], x_test=x)
    refused("labels 0..9 4 times each", y_train=np.where(y == 9, 8, y))
    refused("labels 0..9 2 times each", y_test=arrays["y_test"] - 1)
    refused("have mean", "CIFAR-10", "other images", x_train=x // 2)
    refused("names 3 classes", class_names=np.array(["a", "b", "c"]))
    refused("cannot be read", x_train=np.array([None, 1], dtype=object))
    np.savez(tmp_path / "cifar10.npz", **{k: v for k, v in arrays.items() if k != "y_test"})
    assert_refused(tmp_path, "lacks y_test")
    np.save(tmp_path / "cifar10.npy", x)
    os.replace(tmp_path / "cifar10.npy", tmp_path / "cifar10.npz")
    assert_refused(tmp_path, "cannot be read")
    (tmp_path / "cifar10.npz").write_bytes(b"")
    assert_refused(tmp_path, "cannot be read", "Delete it")
    os.remove(tmp_path / "cifar10.npz")
    (tmp_path / "cifar10.npz").mkdir()
    assert_refused(tmp_path, "cannot be read")


def test_swapped_labels_are_noticed_by_the_digest(small, arrays, tmp_path, monkeypatch):
    _, digest = cache.verify(small, arrays, "the original")
    swapped = arrays["y_train"].copy()
    first, second = np.flatnonzero(swapped == 0)[0], np.flatnonzero(swapped == 1)[0]
    swapped[[first, second]] = swapped[[second, first]]
    save(tmp_path, arrays, digest=np.array(digest))
    data.load("cifar10", tmp_path)
    save(tmp_path, arrays, digest=np.array(digest), y_train=swapped)
    assert_refused(tmp_path, "digest")
    save(tmp_path, arrays, y_train=swapped)  # nothing recorded, nothing known beforehand
    data.load("cifar10", tmp_path)
    pinned = dataclasses.replace(small, digest=digest)
    monkeypatch.setitem(sources.SPECS, "cifar10", pinned)
    assert_refused(tmp_path, "digest")


def test_cifar100_is_known_by_its_digest():
    assert len(sources.SPECS["cifar100"].digest) == 64


# --- preparing it -----------------------------------------------------------------------------


def test_without_file_and_download_the_error_says_what_to_do(small, fake_torchvision, tmp_path):
    root = tmp_path / "none"
    with pytest.raises(data.DataError) as caught:
        data.load("cifar10", root)
    for word in ("CIFAR-10", str(root), "cifar10.npz", "sgdm data cifar10", "SGDM_DATA"):
        assert word in str(caught.value)
    assert fake_torchvision == []
    assert not root.exists(), "nothing is made for a data set that is not there"
    with pytest.raises(data.DataError, match="tiny-imagenet-200 exists"):
        data.load("tiny_imagenet", root, download=True)


def test_download_makes_one_file_and_is_needed_once(small, fake_torchvision, arrays, tmp_path):
    first = data.load("cifar10", tmp_path, download=True)
    assert [call[1:] for call in fake_torchvision] == [(True, True), (False, True)]
    assert {path.name for path in tmp_path.iterdir()} == {"cifar10.npz"}
    again = data.load("cifar10", tmp_path, download=True)
    assert len(fake_torchvision) == 2
    assert first.checksum == again.checksum == data.load("cifar10", tmp_path).checksum
    assert first.classes == tuple("abcdefghij")
    images = first.x_train.permute(0, 2, 3, 1).contiguous().numpy()
    assert pairs(images, first.y_train) == pairs(arrays["x_train"], arrays["y_train"])


def test_grey_images_as_tensors_get_their_channel(monkeypatch, tmp_path):
    x, y = random_split(20, 3, shape=(5, 5))
    monkeypatch.setitem(
        sources.SPECS,
        "fashion_mnist",
        dataclasses.replace(
            sources.SPECS["fashion_mnist"],
            shape=(1, 5, 5),
            n_train=20,
            n_test=20,
            mean=(x.mean() / 255,),
        ),
    )

    class Fake:
        classes = tuple("abcdefghij")

        def __init__(self, root, train, download):
            self.data, self.targets = torch.from_numpy(x), torch.from_numpy(y)

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", Fake)
    loaded = data.load("fashion_mnist", tmp_path, download=True)
    assert loaded.x_train.shape == (20, 1, 5, 5)
    assert pairs(loaded.x_train[:, 0].numpy(), loaded.y_train) == pairs(x, y)


def test_an_unpacked_folder_is_used_without_the_network(small, fake_torchvision, tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    data.load("cifar10", tmp_path)
    assert fake_torchvision == [(str(tmp_path), True, False), (str(tmp_path), False, False)]


@pytest.mark.parametrize(
    "error", [OSError("no route"), RuntimeError("File not found or corrupted")]
)
def test_a_failed_download_leaves_nothing_and_says_why(small, monkeypatch, tmp_path, error):
    def fail(root, train, download):
        raise error

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", fail)
    with pytest.raises(data.DataError, match=f"downloading CIFAR-10 failed.*{error}.*copy a"):
        data.load("cifar10", tmp_path, download=True)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_wrong_download_is_refused_and_not_kept(small, fake_torchvision, arrays, tmp_path):
    arrays["y_train"][0] = (arrays["y_train"][0] + 1) % CLASSES
    with pytest.raises(data.DataError, match="original of CIFAR-10 is refused: y_train"):
        data.load("cifar10", tmp_path, download=True)
    assert not (tmp_path / "cifar10.npz").exists()


def test_a_full_disk_leaves_nothing_and_says_so(small, fake_torchvision, monkeypatch, tmp_path):
    def full(handle, **arrays):
        handle.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(data.DataError, match=r"cannot write .*cifar10.npz.*No space left"):
        data.load("cifar10", tmp_path, download=True)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_without_file_locks_two_writers_both_succeed(
    small, fake_torchvision, monkeypatch, tmp_path
):
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError("no locks")))
    both_collect = threading.Barrier(2, timeout=30)
    collect = cache.collect

    def together(*arguments):
        both_collect.wait()
        return collect(*arguments)

    monkeypatch.setattr(cache, "collect", together)
    found = []

    def load():
        found.append(data.load("cifar10", tmp_path, download=True).checksum)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1
    assert not list(tmp_path.glob("*.tmp"))


# --- Tiny ImageNet, and several processes -----------------------------------------------------

IDS = ("n01", "n02")


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A Tiny ImageNet of two classes, three training and one validation image each."""
    folder = tmp_path / "tiny-imagenet-200"
    rng = np.random.default_rng(0)
    pixels = []
    for wordnet_id in IDS:
        images = folder / "train" / wordnet_id / "images"
        images.mkdir(parents=True)
        for index in range(3):
            mode = "L" if index == 2 else "RGB"
            noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            file = images / f"{wordnet_id}_{index}.JPEG"
            Image.fromarray(noise).convert(mode).save(file)
            pixels.append(np.asarray(Image.open(file).convert("RGB")))
    (folder / "val" / "images").mkdir(parents=True)
    for index, wordnet_id in ((0, "n02"), (1, "n01")):
        noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "val" / "images" / f"val_{index}.JPEG")
        with open(folder / "val" / "val_annotations.txt", "a") as notes:
            notes.write(f"val_{index}.JPEG\t{wordnet_id}\t0\t0\t62\t62\n")
    (folder / "words.txt").write_text("n00\tentity\nn01\tgoldfish, Carassius auratus\n")
    source = dataclasses.replace(
        sources.SPECS["tiny_imagenet"],
        n_train=6,
        n_test=2,
        n_classes=2,
        mean=tuple(np.mean(pixels, axis=(0, 1, 2)) / 255),
    )
    monkeypatch.setitem(sources.SPECS, "tiny_imagenet", source)
    return folder, pixels, source


def test_tiny_imagenet_from_its_folder(tiny, tmp_path):
    folder, pixels, _ = tiny
    loaded = data.load("tiny_imagenet", tmp_path)
    images = loaded.x_train.permute(0, 2, 3, 1).contiguous().numpy()
    assert pairs(images, loaded.y_train) == pairs(pixels, [0, 0, 0, 1, 1, 1])
    assert loaded.classes == ("goldfish", "n02")
    by_label = dict(zip(loaded.y_test.tolist(), loaded.x_test, strict=True))
    expected = np.asarray(Image.open(folder / "val" / "images" / "val_0.JPEG"))
    assert np.array_equal(by_label[1].permute(1, 2, 0).numpy(), expected)
    assert (tmp_path / "tiny_imagenet.npz").is_file()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda f: (f / "train/n01/images/n01_1.JPEG").write_bytes(b"\xff\xd8half"), "n01_1.JPEG"),
        (lambda f: (f / "val/images/val_1.JPEG").unlink(), "val_1.JPEG"),
        (lambda f: (f / "val/val_annotations.txt").unlink(), "val_annotations.txt"),
        (lambda f: (f / "val/val_annotations.txt").write_text("x"), "val_annotations.txt"),
        (lambda f: (f / "train/n01/images/n01_1.JPEG").unlink(), "x_train is uint8 of shape (5"),
    ],
)
def test_a_damaged_tiny_imagenet_folder_is_refused_by_name(tiny, tmp_path, damage, named):
    damage(tiny[0])
    with pytest.raises(data.DataError) as caught:
        data.load("tiny_imagenet", tmp_path)
    assert named in str(caught.value)
    assert not (tmp_path / "tiny_imagenet.npz").exists()


PROCESS = """
import dataclasses, os, sys, time
from sgdm_lib import data
from sgdm_lib.data import cache, sources

root, mean, slow = sys.argv[1], eval(sys.argv[2]), float(sys.argv[3])
sources.SPECS["tiny_imagenet"] = dataclasses.replace(
    sources.SPECS["tiny_imagenet"], n_train=6, n_test=2, n_classes=2, mean=mean)
collect, write = cache.collect, os.replace

def logged(*arguments):
    with open(os.path.join(root, "collected"), "a") as log:
        log.write("x")
    time.sleep(0.5)
    return collect(*arguments)

def delayed(*paths):
    time.sleep(slow)
    return write(*paths)

cache.collect, os.replace = logged, delayed
print(data.load("tiny_imagenet", root).checksum)
"""


def start(root, source, slow=0.0):
    command = [sys.executable, "-c", PROCESS, str(root), repr(tuple(map(float, source.mean)))]
    return subprocess.Popen([*command, str(slow)], stdout=subprocess.PIPE, text=True)


def test_of_two_processes_one_prepares_and_both_succeed(tiny, tmp_path):
    processes = [start(tmp_path, tiny[2]) for _ in range(2)]
    printed = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert printed[0] == printed[1] != ""
    assert (tmp_path / "collected").read_text() == "x"


def test_a_process_killed_while_writing_leaves_no_half_file(tiny, tmp_path):
    process = start(tmp_path, tiny[2], slow=60)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".tiny_imagenet.npz.*.tmp")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "tiny_imagenet.npz").exists()
    loaded = data.load("tiny_imagenet", tmp_path)
    assert loaded.n_train == 6
    assert not list(tmp_path.glob(".tiny_imagenet.npz.*.tmp")), "what it left is cleared away"


def test_the_size_of_the_digits_is_stated_right():
    size = data.size("digits")
    assert size == (DIGITS.n_train, DIGITS.n_test, DIGITS.shape, len(DIGITS.classes))


@pytest.mark.parametrize("label", [CLASSES, 10**12, -1])
def test_a_label_out_of_range_is_refused_before_labels_are_counted(small, tmp_path, arrays, label):
    arrays["y_train"][3] = label
    np.savez(tmp_path / "cifar10.npz", **arrays)
    with pytest.raises(data.DataError, match=r"y_train does not have the labels 0..9 4 times each"):
        data.load("cifar10", tmp_path)


def test_a_home_of_nobody_is_named(monkeypatch):
    monkeypatch.setenv("SGDM_DATA", "~nobody-of-this-name")
    with pytest.raises(data.DataError, match="SGDM_DATA must name a folder, got '~nobody-of-this"):
        data.load("cifar10")
    with pytest.raises(data.DataError, match="root must name a folder, got '~nobody-of-this"):
        data.load("cifar10", "~nobody-of-this-name")


def test_a_failed_preparation_leaves_no_folder(tmp_path, monkeypatch):
    def fail(*_):
        raise data.DataError("no network")

    monkeypatch.setattr(cache, "collect", fail)
    with pytest.raises(data.DataError, match="no network"):
        data.load("cifar10", tmp_path / "a/b", download=True)
    assert not list(tmp_path.iterdir())


def test_numpys_advice_to_load_unsafely_is_not_repeated(tmp_path):
    (tmp_path / "cifar10.npz").write_bytes(b"garbage" * 100)
    with pytest.raises(data.DataError, match="it is not an npz file of numbers") as caught:
        data.load("cifar10", tmp_path)
    assert "allow_pickle" not in str(caught.value)
