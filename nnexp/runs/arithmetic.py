# pyright: reportMissingTypeStubs=false
"""With which arithmetic a run was made: the BLAS kernel and the versions of NumPy and SciPy.

OpenBLAS chooses its kernel by the processor, and kernels round differently: the numbers of two runs of an equal key are
equal only where these are equal too. They are tags of a run, in `run.json` and in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from nnexp.runs import provenance
from nnexp.runs.tags import KERNEL, NUMPY, SCIPY

NAMES = {KERNEL: "BLAS kernel", NUMPY: "NumPy", SCIPY: "SciPy"}
STRICT = "strict"  # the value of `resume` with which other arithmetic does not stand for a job


@cache
def here() -> dict[str, str]:
    """The tags of a run that this process makes."""
    import numpy
    import scipy

    import_module("scipy.linalg")  # loads SciPy's own BLAS, whose kernel counts too

    kernels = dict.fromkeys(library["kernel"] or library["library"] for library in provenance.blas())
    return {KERNEL: "/".join(kernels) or "unknown", NUMPY: numpy.__version__, SCIPY: scipy.__version__}


def difference(made: Mapping[str, str], base: Mapping[str, str] | None = None) -> str | None:
    """What tells the arithmetic of a run from that of `base` (default: of this process); None where they are equal.

    Parameters
    ----------
    made, base
        Tags of a run; other tags than those of the arithmetic are not looked at.
    """
    base = here() if base is None else base
    if not all(key in tags for tags in (made, base) for key in NAMES):
        return None if all(made.get(key) == base.get(key) for key in NAMES) else "a BLAS kernel that was not recorded"
    parts = [f"another {name}: {made[key]}, here {base[key]}" for key, name in NAMES.items() if made[key] != base[key]]
    return ", ".join(parts) or None


def stands(resume: bool | str, made: Mapping[str, str], base: Mapping[str, str] | None = None) -> bool:
    """Whether a finished run of a job's key stands for the job, by the value of `resume`."""
    return resume is True or (resume == STRICT and difference(made, base) is None)


def shown(tags: Mapping[str, str]) -> str:
    """The arithmetic of a run in a few words; empty where it was not recorded."""
    if not all(key in tags for key in NAMES):
        return ""
    return f"{tags[KERNEL]}, NumPy {tags[NUMPY]}, SciPy {tags[SCIPY]}"
