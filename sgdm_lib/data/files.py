"""Atomic writes of files, and locks that give a folder to one process.

A temporary file is named after the host, the process and a random word, so that two writers never
share one, even where a network file system has no locks.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # no such thing on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["atomic_write", "is_alive", "locked", "owner", "remove_leftovers", "write_together"]

OLD_SECONDS = 86_400.0
"""A temporary file of another host is a leftover when it has not changed for so long."""
_WRITING: set[Path] = set()  # temporary files that this process is writing now


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", platform.node()) or "host"


def owner() -> dict[str, Any]:
    """Identify this process by its host, the boot of that host, its number and its start."""
    return {"host": _host(), "boot": _boot(), "pid": os.getpid(), "start": _start(os.getpid())}


def is_alive(process: Any) -> bool | None:
    """Tell whether the process that :func:`owner` identified still runs; None if unknown.

    The function can look up processes of this host only, so it returns None for other hosts.
    """
    if not isinstance(process, dict) or process.get("host") != _host():
        return None
    pid = process.get("pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return None
    if process.get("boot") != _boot():
        return False
    return _runs(pid) and process.get("start") == _start(pid)


def _boot() -> str:
    """Return an id of this start of the system; empty where the system has none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def _start(pid: int) -> str:
    """Return when a process started, in ticks since the boot, because numbers are used again."""
    with suppress(OSError, IndexError):
        # the second field is the program's name in brackets, which may hold blanks itself
        return Path(f"/proc/{pid}/stat").read_text("utf8", "replace").rpartition(")")[2].split()[19]
    return ""


def _runs(pid: int) -> bool:
    if os.name != "posix":  # there, signal 0 is no question but Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's process, which runs
        return True
    return True


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold a lock that the system releases when the process dies; remove its file afterwards.

    The function neither follows a link nor truncates the file.

    Args:
        path: of the file to lock; made if needed.
        wait: wait for the lock instead of raising.

    Yields:
        Whether the lock excludes others: False where the system has no locks (Windows, some
        network file systems).

    Raises:
        BlockingIOError: if another process holds the lock and ``wait`` is False.
        OSError: if the file cannot be opened.
    """
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        handle = os.open(path, flags, 0o666)
        try:
            try:
                holds = _flock(handle, wait)
                if holds and not _is_at(handle, path):
                    raise BlockingIOError(errno.EAGAIN, "its last owner has just removed it")
            except BlockingIOError:
                if not wait:
                    raise
                continue
            try:
                yield holds
            finally:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            return
        finally:
            os.close(handle)


def _flock(handle: int, wait: bool) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:  # a network file system without locks
        return False
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(handle))
    except FileNotFoundError:
        return False


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove temporary files that a killed process left behind in :func:`atomic_write`.

    Args:
        folder: where to look.
        names: of the files that the temporary ones stood for; no other file is touched.
    """
    known = "|".join(map(re.escape, names))
    # the host and the random word are missing in names that earlier versions gave
    pattern = re.compile(
        rf"\.(?:{known})\.(?:(?P<host>[A-Za-z0-9-]+)\.)?(?P<pid>\d+)(?:\.\w+)?\.tmp"
    )
    for path in folder.iterdir():
        found = pattern.fullmatch(path.name)
        if found and _is_leftover(path, found["host"], int(found["pid"])):
            with suppress(OSError):
                path.unlink()


def _is_leftover(path: Path, host: str | None, pid: int) -> bool:
    if host not in (None, _host()):
        with suppress(OSError):
            return time.time() - path.stat(follow_symlinks=False).st_mtime > OLD_SECONDS
        return False
    if pid == os.getpid():
        return path not in _WRITING
    return not _runs(pid)


def atomic_write(path: Path, write: Callable[[Path], Any], keep: Path | None = None) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it to ``path`` in one step.

    A reader sees the old file or the new one, never half of one, also after a power cut.

    Args:
        path: where the file belongs.
        write: gets the temporary file's path.
        keep: where to move what is at ``path`` now; None to drop it.

    Raises:
        OSError: naming ``path`` and the cause; the old file is then whole.
    """
    write_together([(path, write)], keep)


def write_together(
    writes: Sequence[tuple[Path, Callable[[Path], Any]]], keep: Path | None = None
) -> None:
    """Write several files of one folder like :func:`atomic_write`; replace none before all exist.

    Args:
        writes: path and writer of each file, in the order in which they are put in their places.
        keep: where to move what is at the first path now; None to drop it.

    Raises:
        OSError: naming the file and the cause; if it could not be written, nothing has changed.
    """
    with ExitStack() as made:
        ready = [(made.enter_context(_filled(path, write)), path) for path, write in writes]
        for temporary, path in ready:
            with _named(path):
                if keep is not None and path.exists():
                    os.replace(path, keep)
                    keep = None
                os.replace(temporary, path)
    with suppress(OSError):  # some systems cannot open a folder, or not flush one
        folder = os.open(writes[0][0].parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _filled(path: Path, write: Callable[[Path], Any]) -> Iterator[Path]:
    """Yield a temporary file for ``path``, complete on the disk, and remove it if it remains."""
    temporary = path.with_name(f".{path.name}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    _WRITING.add(temporary)
    try:
        with _named(path):
            write(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _WRITING.discard(temporary)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Make errors of the file system name the file that was to be written, and the cause."""
    try:
        yield
    except OSError as error:
        number = error.errno or errno.EIO
        raise OSError(number, f"cannot write {path}: {error.strerror or error}") from error
