"""Which code and which packages made a result; imports neither torch nor pandas."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import tomllib
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

__all__ = ["code_version", "version", "versions"]

VERSIONED = ("sgdm-lib", "torch", "numpy", "pandas", "scikit-learn")


@cache
def version(package: str = "sgdm-lib") -> str:
    """The version of an installed package; this library's also in a tree that is not installed.

    Without metadata this library's version is that of the ``pyproject.toml`` beside its folder,
    and any other package's is "unknown".

    >>> version("no-such-package")
    'unknown'
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        pass
    if package == "sgdm-lib":
        with suppress(OSError, KeyError, tomllib.TOMLDecodeError):
            text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf8")
            return str(tomllib.loads(text)["project"]["version"])
    return "unknown"


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's numbers."""
    return {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}


@cache
def code_version() -> str:
    """The library's version, git commit (if a checkout) and a hash of its source files."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    commit = ""
    if (package.parent / ".git").exists():
        command = ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=10"]
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
            commit = done.stdout.strip()
    named = f"{version()}+{commit or 'installed'}"
    return f"{named} (source {digest.hexdigest()[:12]})"
