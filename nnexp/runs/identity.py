"""Who a run is: digests of its config, data and code, and the key made of the three.

Equal keys mean equal numbers on an equal BLAS kernel, NumPy and SciPy (:mod:`nnexp.runs.provenance`); the kernel is
the same on all processors where the config says so (:mod:`nnexp.kernels`). A sweep skips a job only where a finished
run has the job's very key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = Path(__file__).resolve().parent.parent

DIGEST_LENGTH = 32


def sha256(*parts: bytes | memoryview) -> str:
    """First 32 hexadecimal digits of the SHA-256 of the parts one after the other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:DIGEST_LENGTH]


def array_digest(array: np.ndarray) -> str:
    """Digest of an array's type, shape and exact values."""
    array = np.ascontiguousarray(array)
    return sha256(f"{array.dtype.str}{array.shape}".encode(), array.data.cast("B"))


@cache
def source_digests(names: tuple[str, ...]) -> dict[str, str]:
    """Digest of each source file of some modules and folders of this package, by its path in the package."""
    found = [
        path
        for name in names
        for path in ([PACKAGE / f"{name}.py"] if (PACKAGE / f"{name}.py").is_file() else (PACKAGE / name).rglob("*.py"))
    ]
    return {
        path.relative_to(PACKAGE).as_posix(): sha256(path.read_bytes().replace(b"\r\n", b"\n"))
        for path in sorted(found)
    }


def digest_of(value: Any) -> str:
    """Digest of something that JSON can hold, independent of the order of keys."""
    return sha256(json.dumps(value, sort_keys=True, default=str).encode())


def config_hash(deciding: Mapping[str, Any]) -> str:
    """Digest of the leaves that decide the result."""
    return digest_of(dict(deciding))


@dataclass(frozen=True)
class Identity:
    """The digests of one run and its key."""

    config_hash: str
    data_digest: str
    code_digest: str

    @property
    def run_key(self) -> str:
        """Equal keys, equal numbers, but for rounding by another BLAS kernel."""
        return sha256(f"{self.config_hash}/{self.data_digest}/{self.code_digest}".encode())

    def to_json(self) -> dict[str, str]:
        """As a run's record has it."""
        return asdict(self) | {"run_key": self.run_key}

    def planned(self, own: Mapping[str, str]) -> str:
        """What a sweep's job is planned to be, as one text that travels with it; `own`: digests of the user's files."""
        return " ".join([self.run_key, self.data_digest or NO_DATA, self.code_digest, *(f"{n}:{own[n]}" for n in own)])


NO_DATA = "-"


def planned_key(planned: str) -> str:
    """The key of a planned job."""
    return planned.partition(" ")[0]


def changed_since(planned: str, now: Identity, own: Mapping[str, str]) -> str | None:
    """What is not as a job was planned, in a sentence; None where all is.

    Parameters
    ----------
    planned
        What :meth:`Identity.planned` said.
    now, own
        Of the process that does the job.
    """
    key, data_digest, code_digest, *files = planned.split(" ")
    if key == now.run_key:
        return None
    then = dict(file.rsplit(":", 1) for file in files)
    if changed := [name for name in {**then, **own} if then.get(name) != own.get(name)]:
        return f"{', '.join(changed)} changed since the sweep was planned"
    if code_digest != now.code_digest:
        return "the code changed since the sweep was planned"
    if data_digest != (now.data_digest or NO_DATA):
        return "data changed since the sweep was planned"
    return "the config changed since the sweep was planned"
