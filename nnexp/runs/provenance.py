# pyright: reportMissingTypeStubs=false
"""What a run was made with: code, packages, BLAS, processor, system.

`environment/environment.json` of a run directory holds it, `environment/git_diff.patch` what no commit has. Digests of
the data, of theta at the start and end, of the history and of the predictions are in `run.json` and `result.json`.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_info

import nnexp
from nnexp import kernels
from nnexp.blas import blas_threads, is_scipys
from nnexp.runs.identity import PACKAGE
from nnexp.runs.tags import KERNEL, NUMPY, SCIPY

GIT_SECONDS = 5
ARITHMETIC = {KERNEL: "BLAS kernel", NUMPY: "NumPy", SCIPY: "SciPy"}
STRICT = "strict"  # the value of `resume` with which a run of other arithmetic does not do for a job
SOURCES = ("nnexp", "conf", "pyproject.toml", "constraints.txt")  # what of a checkout a run can depend on


def _git(*arguments: str, good: tuple[int, ...] = (0,)) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE.parent), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode in good else None


@cache
def user() -> str:
    """Who runs this: the name that the environment or the system gives, else the number of the user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without a name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"


@cache
def git_state() -> dict[str, Any]:
    """Commit, branch and uncommitted difference of the project's checkout, new files included; empty without one."""
    known = _git("rev-parse", "--show-toplevel", "HEAD", "--abbrev-ref", "HEAD")
    top, commit, branch = (known or "").splitlines() if known else ("", "", "")
    if not top or Path(top).resolve() != PACKAGE.parent:
        return {}
    diff = (_git("diff", "HEAD", "--", *SOURCES) or "") + _untracked()
    return {"commit": commit, "branch": branch, "dirty": bool(diff), "diff": diff}


def _untracked() -> str:
    """Files that git does not know yet, as a patch that makes them."""
    names = (_git("ls-files", "-z", "--others", "--exclude-standard", "--", *SOURCES) or "").split("\0")
    patches = (_git("diff", "--no-index", "--", os.devnull, name, good=(0, 1)) for name in filter(None, names))
    return "".join(filter(None, patches))


@cache
def packages() -> dict[str, str]:
    """Versions of the installed packages by name.

    The two lines that matter are searched in each package's metadata; parsing all of them takes twenty times as long.
    """
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        head = text.partition("\n\n")[0]
        name, version = (re.search(rf"^{key}:\s*(\S+)", head, re.MULTILINE) for key in ("Name", "Version"))
        if name and version:
            found.setdefault(name[1].lower(), version[1])  # the first on the path is the one that is imported
    return dict(sorted(found.items()))


@cache
def cpu_model() -> str:
    """The processor's name."""
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        named = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
        return named or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    pairs = (line.partition(":") for line in lines)
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    if "model name" in fields:
        return fields["model name"]
    arm = [fields[key] for key in ("CPU implementer", "CPU part") if key in fields]
    return " ".join([platform.processor() or platform.machine(), *arm])


def simd() -> list[str]:
    """The instruction sets of this processor for which NumPy has loops of its own; they decide the last bits too."""
    extensions: Any = np.show_config(mode="dicts")
    return sorted(extensions.get("SIMD Extensions", {}).get("found", []))


def blas() -> list[dict[str, Any]]:
    """Each BLAS library of this process: whose it is, version, kernel for this processor, threads it may use now."""
    loaded = cast("list[dict[str, Any]]", threadpool_info())
    libraries = [
        {
            "owner": "scipy" if is_scipys(library["filepath"]) else "numpy",
            "library": library["internal_api"],
            "version": library.get("version"),
            "kernel": library.get("architecture"),
            "threads": library["num_threads"],
        }
        for library in loaded
        if library["user_api"] == "blas"
    ]
    return sorted(libraries, key=lambda library: library["owner"])


def environment(threads: int, code_digest: str, modules: Mapping[str, str]) -> dict[str, Any]:
    """Everything outside the config and the data that the numbers of a run could depend on.

    Parameters
    ----------
    threads
        Threads of the task's own. The BLAS pools are shown as they are while it trains.
    code_digest, modules
        Of the code that decides its numbers, as a whole and file by file.
    """
    git = git_state()
    with blas_threads(1):
        libraries = blas()
    return {
        "nnexp": nnexp.__version__,
        "code_digest": code_digest,
        "modules": dict(modules),
        "git": {key: git[key] for key in ("commit", "branch", "dirty") if key in git},
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "packages": packages(),
        "blas": libraries,
        "threads": threads,
        "cpu": cpu_model(),
        "simd": simd(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
    }


# With which arithmetic a run was made: OpenBLAS chooses its kernel by the processor, and kernels round differently, so
# the numbers of two runs of an equal key are equal only where these tags are equal too.


@cache
def arithmetic() -> dict[str, str]:
    """The tags of a run that this process makes."""
    scipy: Any = import_module("scipy")
    import_module("scipy.linalg")  # loads SciPy's own BLAS, whose kernel counts too
    loaded = dict.fromkeys(library["kernel"] or library["library"] for library in blas())
    return {KERNEL: "/".join(loaded) or "unknown", NUMPY: np.__version__, SCIPY: scipy.__version__}


def other_arithmetic(made: Mapping[str, str], base: Mapping[str, str] | None = None) -> str | None:
    """What tells the arithmetic of a run from that of `base`; None where they are equal.

    Parameters
    ----------
    made, base
        Tags of a run; other tags than those of the arithmetic are not looked at. Default of `base`: what this process
        computes with, or has processes that it starts compute with.
    """
    if base is None:
        of_children = kernels.of_children()
        base = arithmetic() | ({KERNEL: of_children} if of_children else {})
    others = {key: name for key, name in ARITHMETIC.items() if made.get(key) != base.get(key)}
    if others and not all(key in tags for tags in (made, base) for key in ARITHMETIC):
        return "a BLAS kernel that was not recorded"
    return ", ".join(f"another {name}: {made[key]}, here {base[key]}" for key, name in others.items()) or None


def is_reusable(resume: bool | str, made: Mapping[str, str], base: Mapping[str, str] | None = None) -> bool:
    """Whether a finished run of a job's key can be reused for the job, by the value of `resume`."""
    return resume is True or (resume == STRICT and other_arithmetic(made, base) is None)


def arithmetic_text(tags: Mapping[str, str]) -> str:
    """The arithmetic of a run in a few words; empty where it was not recorded."""
    if not all(key in tags for key in ARITHMETIC):
        return ""
    return f"{tags[KERNEL]}, NumPy {tags[NUMPY]}, SciPy {tags[SCIPY]}"
