"""Which code and which packages made a result; imports neither torch nor pandas."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

__all__ = ["code_version", "versions"]

VERSIONED = ("sgdm-lib", "torch", "numpy", "pandas", "scikit-learn")


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's numbers."""
    found = {"python": platform.python_version()}
    return found | {name: metadata.version(name) for name in VERSIONED}


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
    named = f"{metadata.version('sgdm-lib')}+{commit or 'installed'}"
    return f"{named} (source {digest.hexdigest()[:12]})"
