"""What a method takes of the memory, checked before anything is trained."""

from __future__ import annotations

import os
from pathlib import Path

from nnexp.optim.evaluations import N_REMEMBERED
from nnexp.optim.methods import find

OWN_VECTORS = 4  # of the size of theta that each method keeps at least, besides the points remembered
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def memory_bytes(method: str, n_params: int) -> int | None:
    """Bytes that `method` takes where that grows with the square of the parameters; None for the other methods.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    n_params : int
        Length of theta.
    """
    quadratic = find(method).memory_bytes
    return None if quadratic is None else quadratic(n_params)


def check_memory(method: str, n_params: int, besides: int = 0) -> None:
    """Check that a method fits in memory; pass where the system does not say how much there is.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    n_params : int
        Length of theta.
    besides : int
        Bytes that the objective takes.

    Raises
    ------
    ValueError
        If it does not; with the figures.
    """
    matrix, available = memory_bytes(method, n_params) or 0, available_bytes()
    if available is None:
        return
    if matrix > available:
        raise ValueError(
            f"`optimizer.method` {method} holds a matrix of {n_params:,} x {n_params:,}: {matrix / 1e9:.1f} GB, but "
            f"{available / 1e9:.1f} GB are available; take one whose memory is linear, such as L-BFGS-B"
        )
    needed = matrix + (2 * N_REMEMBERED + OWN_VECTORS) * 8 * n_params + besides
    if needed > available:
        raise ValueError(
            f"`model.hidden_size` makes a network of {n_params:,} parameters, which takes about {needed / 1e9:.1f} GB "
            f"to train by {method}, but {available / 1e9:.1f} GB are available"
        )


def available_bytes() -> int | None:
    """Bytes that a process can still take without swapping, or None if unknown: the least of what the limits leave."""
    return min((room for room in (_machine(), *_cgroups()) if room is not None), default=None)


def _machine() -> int | None:
    try:
        for line in (PROC / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:  # not Linux
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _cgroups() -> list[int | None]:
    """Room that the control groups of this process (a container's limit, version 1 or 2) still leave."""
    try:
        lines = (PROC / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    rooms: list[int | None] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = CGROUP, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = CGROUP / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = root / path.lstrip("/")
        # A container sees its own group as the root, under a path that exists only outside.
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                rooms.append(_room(folder, *names))
    return rooms


def _room(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    try:
        allowed, used = int((folder / limit).read_text()), int((folder / usage).read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return max(0, allowed - used + int(statistics.get(cache, 0)))
