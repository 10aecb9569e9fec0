# pyright: reportMissingTypeStubs=false
"""`training.kernel`: the arithmetic of this processor (native), or one that all x86-64 processors with AVX2 have.

By the processor OpenBLAS chooses its kernel when it is loaded, and NumPy its loops when it is imported, and each rounds
in its own way. Both look into the environment, so a process is portable from its beginning or not at all, and those
that it starts inherit that. Imports nothing heavy.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from nnexp.readers import ConfigError

KEY = "training.kernel"
KERNELS = (NATIVE, PORTABLE) = ("native", "portable")
CORE = "Haswell"
CORE_VARIABLE, LOOPS_VARIABLE = "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"
# NumPy's exp and log of float64 are other functions with AVX-512, which a user's own activation may call. (NumPy takes
# the names of features that a processor or a version does not have without a word: 2.4 has brought new ones.)
LOOPS = "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_KNL AVX512_KNM"
VARIABLES = {CORE_VARIABLE: CORE, LOOPS_VARIABLE: LOOPS}
AVX2, AVX512 = {"X86_V3", "AVX2"}, ("X86_V4", "AVX512")  # in the names of NumPy's loops
NEEDED_FLAGS = ("avx2", "fma")  # of the processor
OPPOSITE = "NPY_ENABLE_CPU_FEATURES"  # with which NumPy refuses to be imported beside the other
RESTARTED = "NNEXP_RESTARTED"  # the id of a process that has begun anew already; those that it starts have others
ADVICE = f"set {CORE_VARIABLE}={CORE} and {LOOPS_VARIABLE}='{LOOPS}' before Python starts"


HINT = f"With {KEY}={PORTABLE} all x86-64 processors with AVX2 make the same bits."


def kernel_of(params: Mapping[str, Any]) -> str:
    """The kernel that a run with these params is computed with; that of other tasks than the network is native."""
    return str(params.get(KEY, NATIVE))


# A command's own process.

_command: list[str] = []  # the words of this process, where it may begin anew


def of_command(words: Sequence[str], arguments: Sequence[str]) -> None:
    """Note that this process is a command's own; where it asks for the portable kernel by an override, have that.

    Parameters
    ----------
    words
        The arguments that the process was given.
    arguments
        The same, without what must not be seen in the table of processes.
    """
    _command[:] = [*sys.orig_argv[: len(sys.orig_argv) - len(words)], *arguments]
    if _asked(arguments) == PORTABLE and not is_set() and processor_problem(platform.machine(), _flags()) is None:
        if "numpy" in sys.modules:
            _restart()
        _set(os.environ)


def _asked(words: Iterable[str]) -> str | None:
    """What the overrides say; the last of them counts."""
    values = [word.partition("=")[2] for word in words if word.lstrip("+").startswith(f"{KEY}=")]
    return values[-1].strip("'\"") if values else None


def is_set() -> bool:
    """Whether the environment has what the portable kernel needs."""
    return all(os.environ.get(name) == value for name, value in VARIABLES.items())


def _restart() -> None:
    """Begin this process anew with the variables, but once only."""
    if not _command or _has_begun_anew():
        return
    sys.stdout.flush()
    sys.stderr.flush()
    environment = dict(os.environ) | {RESTARTED: str(os.getpid())}
    _set(environment)
    os.execve(sys.executable, [sys.executable, *_command[1:]], environment)


def _set(environment: MutableMapping[str, str]) -> None:
    environment.update(VARIABLES)
    environment.pop(OPPOSITE, None)


def _has_begun_anew() -> bool:
    return os.environ.get(RESTARTED) == str(os.getpid())


def stay() -> None:
    """From now on this process does not begin anew: it works."""
    _command.clear()


# What computes here.


@dataclass(frozen=True)
class Library:
    """A BLAS library of a process."""

    owner: str  # NumPy or SciPy
    name: str
    kernel: str | None


def require(kernel: str) -> None:
    """See, before any work, that this process computes with this kernel; a command's own process begins anew for it.

    Raises
    ------
    ConfigError
        If it computes with another.
    """
    if kernel != PORTABLE:
        return
    why = processor_problem(platform.machine(), _flags())
    why = why or arithmetic_problem(_libraries(), _loops(), began_anew=_has_begun_anew())
    if why is not None and ADVICE in why:
        _restart()
    if why is not None:
        raise ConfigError(f"`{KEY}`={PORTABLE} {why}")


_of_children: list[str] = []  # the kernel of the processes that this one starts, where it is another than its own


def require_of_children(kernel: str) -> None:
    """See that the processes that this one starts compute with this kernel, where it does not do so itself.

    Each of them sees for itself whether it does. To be called within :func:`environment_kept`.

    Raises
    ------
    ConfigError
        If they cannot.
    """
    try:
        require(kernel)
    except ConfigError as error:
        if ADVICE not in str(error):
            raise
        _of_children[:] = [CORE]
        _set(os.environ)


@contextmanager
def environment_kept() -> Iterator[None]:
    """What is set meanwhile for processes that are started is as before afterwards."""
    before = {name: os.environ.get(name) for name in (*VARIABLES, OPPOSITE)}
    try:
        yield
    finally:
        _of_children.clear()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def of_children() -> str | None:
    """The BLAS kernel of the processes that this one starts to compute, where it is another than its own."""
    return _of_children[0] if _of_children else None


def refuse_several(kernels: Collection[str]) -> None:
    """Refuse jobs of one sweep with several kernels, which no process has.

    Raises
    ------
    ConfigError
        If there are several.
    """
    if len(set(kernels)) > 1:
        raise ConfigError(
            f"`{KEY}` must be the same for all jobs of a sweep, got {', '.join(sorted(set(kernels)))}: a process has "
            "one kernel; make a sweep of each, and compare them by nnexp report"
        )


def processor_problem(machine: str, flags: Collection[str] | None) -> str | None:
    """Why a processor does not have the portable kernel, to be said of the key; None where it does.

    Parameters
    ----------
    machine
        The kind of processor.
    flags
        What it has, `NEEDED_FLAGS` among them; None where that is not known.
    """
    if machine.lower() not in ("x86_64", "amd64"):
        return f"needs an x86-64 processor with AVX2, this one is {machine}"
    missing = [flag for flag in NEEDED_FLAGS if flags is not None and flag not in flags]
    return f"needs an x86-64 processor with AVX2 and FMA, this one lacks {', '.join(missing)}" if missing else None


def arithmetic_problem(libraries: Sequence[Library], loops: Collection[str], *, began_anew: bool = False) -> str | None:
    """Why a process does not compute with the portable kernel, to be said of the key; None where it does.

    Parameters
    ----------
    libraries
        The BLAS of NumPy and SciPy.
    loops
        The instruction sets of NumPy's loops.
    began_anew
        With the variables, which so have been of no use.
    """
    if not libraries:
        return "needs OpenBLAS, here NumPy's BLAS is not known"
    for library in libraries:
        if library.name != "openblas":
            return f"needs OpenBLAS, here the BLAS of {library.owner} is {library.name}"
    wrong = dict.fromkeys(str(each.kernel) for each in libraries if each.kernel != CORE)
    others = [f"the BLAS kernel is {kernel}" for kernel in wrong]
    if others and began_anew:
        return f"needs an OpenBLAS with kernels for several processors, like that of the wheels; here {others[0]}"
    if wide := [name for name in loops if name.startswith(AVX512)]:
        others.append(f"NumPy's loops use {wide[0]}")
    elif not AVX2.intersection(loops):
        others.append("NumPy's loops do not use AVX2")
    return f"cannot be had in this process, where {' and '.join(others)}: {ADVICE}" if others else None


def _flags() -> Collection[str] | None:
    """What the processor has, where the system tells it without NumPy; NumPy's loops tell it too, later."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), None)


def _libraries() -> list[Library]:
    import_module("scipy.linalg")  # loads SciPy's own
    is_scipys, loaded = import_module("nnexp.blas").is_scipys, import_module("threadpoolctl").threadpool_info()
    return [
        Library("SciPy" if is_scipys(each["filepath"]) else "NumPy", each["internal_api"], each.get("architecture"))
        for each in loaded
        if each["user_api"] == "blas"
    ]


def _loops() -> list[str]:
    numpy: Any = import_module("numpy")
    return numpy.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
