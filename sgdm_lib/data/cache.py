"""One verified file holds each data set: this module finds, writes, reads and checks it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sgdm_lib.data.dataset import Dataset
from sgdm_lib.data.files import atomic_write, locked, remove_leftovers
from sgdm_lib.data.sources import (
    Arrays,
    DataError,
    DatasetSpec,
    collect,
    how_to_provide,
    require_original,
)

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_MEAN_TOLERANCE = 2e-3


def data_root(root: str | PathLike[str] | None = None) -> Path:
    """Return the folder of the cached data sets.

    It is ``root`` if given, else ``$SGDM_DATA``, else ``sgdm`` in the user's cache folder
    (``$XDG_CACHE_HOME`` if that is an absolute path, else ``~/.cache``).

    Raises:
        DataError: if it begins with the name of a user that does not exist.

    >>> data_root("/srv/data").as_posix()
    '/srv/data'
    """
    chosen = root if root is not None else os.environ.get("SGDM_DATA")
    if chosen:
        try:
            return Path(chosen).expanduser()
        except RuntimeError:
            given = "root" if root is not None else "SGDM_DATA"
            raise DataError(
                f"{given} must name a folder, got {os.fspath(chosen)!r}: there is no such user"
            ) from None
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "sgdm"


def load_cached(spec: DatasetSpec, root: Path, download: bool) -> Dataset:
    """Return a data set from its file under ``root``; make the file first if it is missing."""
    file = root / f"{spec.name}.npz"
    if not file.exists():
        prepare(spec, root, download)
    return _as_dataset(spec, read(spec, file))


def prepare(spec: DatasetSpec, root: Path, download: bool) -> None:
    """Make the data set's file from the original; of several processes at once, one does it.

    The file appears complete (temporary file, fsync, rename) or not at all, also where the system
    has no file locks: then both processes write, and either result is the same.

    Raises:
        DataError: if there is no original, it is not what it should be, or writing fails.
    """
    file = root / f"{spec.name}.npz"
    require_original(spec, root, download)
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / f".{spec.name}.lock", wait=True):
            if file.exists():
                return
            remove_leftovers(root, [file.name])
            arrays = collect(spec, root, download)
            orders, digest = verify(spec, arrays, f"the original of {spec.title}")
            for part, order in orders.items():
                for key in (f"x_{part}", f"y_{part}"):
                    arrays[key] = arrays[key][order]
            _write(file, {**arrays, "digest": np.asarray(digest)})
    except OSError as error:
        raise DataError(
            f"cannot write {file} ({error}): free some space there, or point SGDM_DATA to a folder "
            "you can write to"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # folders made for nothing; one that is filled stays
            for folder in made:
                folder.rmdir()


def _write(file: Path, arrays: Arrays) -> None:
    def write(path: Path) -> None:
        with open(path, "wb") as handle:  # given a path, numpy would append another suffix
            np.savez(handle, allow_pickle=False, **arrays)

    atomic_write(file, write)


def read(spec: DatasetSpec, file: Path) -> Arrays:
    """Return the arrays of a data set's file in canonical order, after checking all of them.

    Canonical order: each part is sorted by the SHA-256 of (label, pixels) of its images, so that
    the same data set comes out whatever order its file has: the official archive's or another's.

    Raises:
        DataError: naming the file and what is wrong with it.
    """
    try:
        with open(file, "rb") as handle, np.load(handle, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except FileNotFoundError:
        raise DataError(f"{file} is missing: {how_to_provide(spec, file.parent)}") from None
    except Exception as error:  # damaged bytes make numpy's and zipfile's readers raise anything
        reason = f"{type(error).__name__}: {error}".partition(" unless you trust")[0]
        if "allow_pickle" in reason:  # numpy's advice, which would run what is in the file
            reason = "it is not an npz file of numbers"
        raise _refused(file, f"it cannot be read ({reason})") from error
    orders, _ = verify(spec, arrays, str(file))
    for part, order in orders.items():
        if not np.array_equal(order, np.arange(len(order))):
            arrays[f"x_{part}"] = arrays[f"x_{part}"][order]
            arrays[f"y_{part}"] = arrays[f"y_{part}"][order]
    return arrays


def _refused(what: str | PathLike[str], problem: str) -> DataError:
    return DataError(f"{what} is refused: {problem}. Delete it, or replace it by an intact copy")


def verify(
    spec: DatasetSpec, arrays: Arrays, what: str
) -> tuple[dict[str, NDArray[np.int64]], str]:
    """Check keys, shapes, types, labels, pixel means and content of a data set.

    Args:
        spec: the numbers and shapes that the data set must have.
        arrays: x_train, y_train, x_test, y_test, and ``digest`` if it was recorded.
        what: the name of the arrays in a message.

    Returns:
        For "train" and "test" the canonical order of its images, and the digest of the content in
        that order, which does not depend on the order the images came in.

    Raises:
        DataError: if anything is not as it should be.
    """
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise _refused(what, f"it lacks {', '.join(missing)}")
    for part, n in (("train", spec.n_train), ("test", spec.n_test)):
        _verify_part(spec, part, n, arrays[f"x_{part}"], arrays[f"y_{part}"], what)
    names = arrays.get("class_names")
    if names is not None and names.shape != (spec.n_classes,):
        raise _refused(what, f"it names {names.size} classes, not {spec.n_classes}")
    mean = arrays["x_train"].reshape(-1, spec.shape[0]).mean(axis=0) / 255
    if not np.allclose(mean, spec.mean, rtol=0, atol=_MEAN_TOLERANCE):
        raise _refused(
            what,
            f"its training pixels have mean {np.round(mean, 4).tolist()}, but those of "
            f"{spec.title} have {list(spec.mean)}; it holds other images",
        )
    orders, digests = {}, []
    for part in ("train", "test"):
        orders[part], digest = canonical_order(arrays[f"x_{part}"], arrays[f"y_{part}"])
        digests.append(digest)
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()
    wanted = spec.digest or (str(arrays["digest"]) if "digest" in arrays else digest)
    if digest != wanted:
        raise _refused(what, "its images or labels were changed (their digest does not agree)")
    return orders, digest


def _verify_part(
    spec: DatasetSpec, part: str, n: int, x: NDArray[Any], y: NDArray[Any], what: str
) -> None:
    channels, height, width = spec.shape
    for key, array, shape, dtype in (
        (f"x_{part}", x, (n, height, width, channels), "uint8"),
        (f"y_{part}", y, (n,), "int64"),
    ):
        if array.shape != shape or array.dtype != dtype:
            raise _refused(
                what,
                f"{key} is {array.dtype} of shape {array.shape}, but {spec.title} has {dtype} "
                f"of shape {shape}",
            )
    each = n // spec.n_classes
    # the range first: counting a label of 10**12 would need as much memory
    if (
        y.min() < 0
        or y.max() >= spec.n_classes
        or not np.array_equal(np.bincount(y), np.full(spec.n_classes, each))
    ):
        raise _refused(
            what,
            f"y_{part} does not have the labels 0..{spec.n_classes - 1} {each} times each, "
            f"as {spec.title} has",
        )


def canonical_order(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.int64], str]:
    """Return the order of the images by SHA-256 of (label, pixels), and the digest of all of them.

    Equal images with equal labels are interchangeable, so the sorted data set is unique.

    Args:
        x: images, uint8 of shape (n, H, W, C).
        y: labels, int64 of shape (n,).

    Returns:
        Indices that sort the images, and the SHA-256 (hex) of the sorted hashes.
    """
    prefix = y.astype("<i8")
    x = np.ascontiguousarray(x)
    hashes = bytearray()
    for label, image in zip(prefix, x, strict=True):
        one = hashlib.sha256(label.tobytes())
        one.update(image)
        hashes += one.digest()
    words = np.frombuffer(bytes(hashes), dtype=">u8").reshape(-1, 4)
    order = np.lexsort(words.T[::-1])
    return order, hashlib.sha256(words[order].tobytes()).hexdigest()


def _as_dataset(spec: DatasetSpec, arrays: Arrays) -> Dataset:
    def images(key: str) -> torch.Tensor:
        return torch.from_numpy(arrays.pop(key)).permute(0, 3, 1, 2).contiguous()

    names = arrays.get("class_names", np.arange(spec.n_classes))
    return Dataset(
        name=spec.name,
        x_train=images("x_train"),
        y_train=torch.from_numpy(arrays["y_train"]),
        x_test=images("x_test"),
        y_test=torch.from_numpy(arrays["y_test"]),
        mean=spec.mean,
        std=spec.std,
        classes=tuple(str(name) for name in names),
    )
