"""The sources of a user's function: the files that its module imports, directly or not, and that are his own.

They are read when the function is found: what is kept, and what the digest is of, is what was imported then.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from nnexp.own.modules import SUFFIXES, closure, own_module, spec_of_loaded
from nnexp.own.places import State, state_of

DIGEST_LENGTH = 32
# NumPy and SciPy are told apart by tags of every run, and `resume` says what a difference means.
WITHOUT_VERSION = ("nnexp", "numpy", "scipy")


@dataclass(frozen=True)
class SourceFile:
    """A file as it was when it was read; `text` is None of what is compiled."""

    path: Path
    digest: str
    text: str | None


@dataclass(frozen=True)
class Sources:
    """The sources of a function.

    Attributes
    ----------
    files
        By the name in the run's record, such as ``mylib/steps.py``.
    packages
        Versions of the installed packages that they import, by the name that is imported.
    in_memory
        Texts of what is in no file that can be imported, such as a notebook's function, by a name like a file's.
    """

    files: Mapping[str, SourceFile] = field(default_factory=dict[str, SourceFile])
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    in_memory: Mapping[str, str] = field(default_factory=dict[str, str])

    def __or__(self, other: Sources) -> Sources:
        return Sources(
            {**self.files, **other.files},
            {**self.packages, **other.packages},
            {**self.in_memory, **other.in_memory},
        )

    def paths(self) -> list[Path]:
        """The files."""
        return [file.path for file in self.files.values()]

    @property
    def names(self) -> list[str]:
        """The names of what is the user's own."""
        return [*self.files, *self.in_memory]

    def digests(self) -> dict[str, str]:
        """Digest of each file and version of each package, as part of what decides a run's numbers."""
        return {
            **{name: file.digest for name, file in self.files.items()},
            **{name: _sha256(text.encode("utf-8", "surrogateescape")) for name, text in self.in_memory.items()},
            **{f"package {name}": version for name, version in self.packages.items()},
        }

    def texts(self) -> dict[str, str]:
        """The texts of the sources; what is compiled has none."""
        read = {name: file.text for name, file in self.files.items() if file.text is not None}
        return {**read, **self.in_memory}


def sources_of(module: str) -> Sources:
    """The sources of a module; those of an installed module are the version of its package."""
    own, installed = closure(module)
    files = {each.name_of_file(name): _read(each.path, state_of(each.path)) for name, each in sorted(own.items())}
    packages = {name: _version(name) for name in sorted(installed) if name not in WITHOUT_VERSION}
    return Sources(files, packages)


def source_in_memory(module: str, attribute: str, found: object) -> Sources | None:
    """The source of what a module has that is in no file which can be imported; None where it cannot be read."""
    what: Any = found if inspect.isroutine(found) or inspect.isclass(found) else type(found)
    try:
        return Sources(in_memory={f"{module}/{attribute}.py": inspect.getsource(what)})
    except (OSError, TypeError):
        return None


def is_in_memory(module: str) -> bool:
    """Whether a module has no file of its own, as that of a notebook's cells."""
    return module in sys.modules and own_module(module) is None and spec_of_loaded(module) is None


def read_source(path: Path) -> str:
    """The text of a source file; what is not UTF-8 in it stays as it is."""
    return _text(path.read_bytes())


def _text(content: bytes) -> str:
    return content.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape")


@cache
def _read(path: Path, known: State) -> SourceFile:
    """A file in a state."""
    try:
        content = path.read_bytes()
    except OSError:
        return SourceFile(path, "gone", None)
    return SourceFile(path, digest_of_content(content), _text(content) if path.suffix in SUFFIXES else None)


def digest_of_content(content: bytes) -> str:
    """The digest of a file by what it holds, the same after a checkout on Windows."""
    return _sha256(content.replace(b"\r\n", b"\n"))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]


@cache
def _version(name: str) -> str:
    """The version of the installed package that gives a module."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
    for distribution in metadata.packages_distributions().get(name, ()):
        return metadata.version(distribution)
    return str(getattr(sys.modules.get(name), "__version__", "unknown"))
