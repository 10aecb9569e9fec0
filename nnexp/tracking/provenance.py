"""What a run was made with: code, packages, BLAS, processor, system."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

import nnexp
from nnexp.tracking.identity import PACKAGE, code_digest, module_digests

GIT_SECONDS = 5


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE.parent), *arguments], capture_output=True, text=True, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@cache
def git_state() -> dict[str, Any]:
    """Commit, branch and uncommitted difference of the project's checkout; empty where there is none."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top.strip()).resolve() != PACKAGE.parent:
        return {}
    commit, branch = _git("rev-parse", "HEAD"), _git("rev-parse", "--abbrev-ref", "HEAD")
    diff = _git("diff", "HEAD", "--", "nnexp", "conf", "pyproject.toml", "constraints.txt")
    if commit is None:
        return {}
    return {"commit": commit.strip(), "branch": (branch or "").strip(), "dirty": bool(diff), "diff": diff or ""}


@cache
def packages() -> dict[str, str]:
    """Versions of the installed packages by name."""
    return {
        name: version
        for name, version in sorted(
            (dist.metadata["Name"].lower(), dist.version) for dist in metadata.distributions() if dist.metadata["Name"]
        )
    }


@cache
def cpu_model() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def blas() -> list[dict[str, Any]]:
    """Each BLAS library of this process: whose it is, version, kernel for this processor, threads."""
    return [
        {
            "owner": "scipy" if "scipy" in library["filepath"].lower() else "numpy",
            "library": library["internal_api"],
            "version": library.get("version"),
            "kernel": library.get("architecture"),
            "threads": library["num_threads"],
        }
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]


def environment() -> dict[str, Any]:
    """Everything outside the config that the numbers of a run could depend on."""
    git = git_state()
    return {
        "nnexp": nnexp.__version__,
        "code_digest": code_digest(),
        "modules": module_digests(),
        "git": {key: git[key] for key in ("commit", "branch", "dirty") if key in git},
        "python": sys.version.split()[0],
        "packages": packages(),
        "blas": blas(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
    }
