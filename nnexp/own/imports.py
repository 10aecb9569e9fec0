"""Modules of the user's own in memory: what runs is the text of the files, of which the digest is taken."""

from __future__ import annotations

import importlib
import marshal
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import psutil

from nnexp.own.places import is_own_file
from nnexp.own.sources import State, closure, digest_of_content, spec_after, state

HEADER = 16  # bytes of a .pyc before its code

_seen: dict[str, State] = {}  # by module: its file when it was imported
_ran: dict[str, str] = {}  # by real path: digest of the text that was executed last


class _TextLoader(SourceFileLoader):
    """Compiles the text of a file each time.

    A compiled copy is taken for that of a text if only second and size are the same, as after a quick edit, or a
    `git checkout` in the second of the last run.
    """

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError("no compiled copy is used")  # which is how a loader says that there is none

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:
        if isinstance(data, bytes):
            _ran[os.path.realpath(path)] = digest_of_content(data)
        return super().source_to_code(data, path, _optimize=_optimize)


class _TextFinder(MetaPathFinder):
    """Finds what the finders after it find, and has what is the user's own loaded from its text."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = spec_after(self, fullname, path)
        if spec is not None and type(spec.loader) is SourceFileLoader and is_own_file(spec.loader.path):
            spec.loader = _TextLoader(spec.loader.name, spec.loader.path)
        return spec


_finder = _TextFinder()


def refresh(module: str) -> None:
    """Forget the modules of the user's own that were edited since they were imported, and those that use them.

    Then their import runs the very text of which the digest is taken. A long process, such as a notebook's kernel,
    would go on with what it imported first.
    """
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    importlib.invalidate_caches()
    own = {name: each for name, each in closure(module)[0].items() if name != "__main__"}
    started = int(psutil.Process().create_time() * 1e9)
    stale = [name for name, each in own.items() if name in sys.modules and _is_stale(name, each.path, started)]
    if stale:
        for name in own:
            sys.modules.pop(name, None)
    for name, each in own.items():
        if name not in sys.modules:
            _seen[name] = state(each.path)
            _ran.pop(os.path.realpath(each.path), None)


def _is_stale(name: str, path: Path, started: int) -> bool:
    now = state(path)
    if name in _seen:
        return _seen[name] != now
    return max(now.changed, now.replaced) > started or _was_other_code(name, path)


def _was_other_code(name: str, path: Path) -> bool:
    """Whether a module that Python imported by itself may have been made of a compiled copy of another text."""
    spec = getattr(sys.modules[name], "__spec__", None)
    if spec is None or type(spec.loader) is not SourceFileLoader or not spec.cached:
        return False
    try:
        compiled = marshal.loads(Path(spec.cached).read_bytes()[HEADER:])
        return compiled != compile(path.read_bytes(), os.fspath(path), "exec", dont_inherit=True)
    except (OSError, EOFError, ValueError, TypeError, SyntaxError):
        return False


def ran_otherwise(files: Mapping[str, Path], digests: Mapping[str, str]) -> list[str]:
    """The names of files of which this process has executed another text than the one of the digests.

    As where a file was edited after its digest was taken, and before a function imported it.
    """
    ran = {name: _ran.get(os.path.realpath(path)) for name, path in files.items()}
    return [name for name, digest in ran.items() if digest is not None and digest != digests.get(name)]
