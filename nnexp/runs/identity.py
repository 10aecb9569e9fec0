"""Who a run is: digests of its config, data and code, and the key made of the three.

Equal keys mean equal numbers on an equal BLAS kernel, NumPy and SciPy (:mod:`nnexp.runs.arithmetic`): a sweep skips
a job only where a finished run has the job's very key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = Path(__file__).resolve().parent.parent

# The modules that decide the numbers of a run. What keeps, draws or publishes them is not among them.
DECIDING_MODULES = ("nn", "optim", "datasets", "tasks/network/training")
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


def config_hash(deciding: Mapping[str, Any]) -> str:
    """Digest of the leaves that decide the result, independent of their order."""
    return sha256(json.dumps(dict(deciding), sort_keys=True, default=str).encode())


@cache
def module_digests() -> dict[str, str]:
    """Digest of the source of each module that decides the result, by its path in the package."""
    paths = [
        path
        for name in DECIDING_MODULES
        for path in ([PACKAGE / f"{name}.py"] if (PACKAGE / f"{name}.py").is_file() else (PACKAGE / name).rglob("*.py"))
    ]
    return {
        path.relative_to(PACKAGE).as_posix(): sha256(path.read_bytes().replace(b"\r\n", b"\n"))
        for path in sorted(paths)
    }


@cache
def code_digest() -> str:
    """Digest of all the modules that decide the result."""
    return sha256(json.dumps(module_digests(), sort_keys=True).encode())


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


def identify(deciding: Mapping[str, Any], data_digest: str) -> Identity:
    """The identity of a run of this code with this config on this data."""
    return Identity(config_hash(deciding), data_digest, code_digest())
