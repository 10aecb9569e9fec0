"""Modules of the user's own in memory: what runs is the text of the files, of which the digest is taken.

A long process, such as a notebook's kernel, would go on with what it imported first.
"""

from __future__ import annotations

import importlib
import marshal
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from nnexp.own.modules import Module, closure, spec_after
from nnexp.own.places import State, is_own_file, state_of
from nnexp.own.sources import SourceFile, digest_of_content
from nnexp.readers import ConfigError

HEADER = 16  # bytes of a .pyc before its code
INEXACT = 2_000_000_000  # nanoseconds; the start of a process is known to a second

_seen: dict[str, State] = {}  # by module: its file when it was imported
_ran: dict[str, str] = {}  # by real path: digest of the text that was executed last
# When a module was forgotten last, and when it was imported, both counted in modules that were forgotten.
_forgotten: dict[str, int] = {}
_imported: dict[str, int] = {}
_n_forgotten = 0


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
    """Forget what was edited of a module and all that it imports, and what uses it, maybe by way of another module.

    The import that follows then runs the very text of which the digest is taken.

    Raises
    ------
    ConfigError
        If the script that runs was edited, which no import mends.
    """
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    importlib.invalidate_caches()
    own = dict(closure(module)[0])
    if "__main__" in own:
        _refuse_edited(own.pop("__main__").path)
    for name in _outdated(own):
        _forget(name)
    for name, each in own.items():
        if name in sys.modules:
            _seen.setdefault(name, state_of(each.path))
        else:
            _seen[name], _imported[name] = state_of(each.path), _n_forgotten
            _ran.pop(os.path.realpath(each.path), None)


def _refuse_edited(script: Path) -> None:
    now = state_of(script)
    if "__main__" not in _seen and max(now[1:], default=0) < _start_of_process() + INEXACT:
        _seen["__main__"] = now
    if _seen.get("__main__") != now:
        raise ConfigError(f"{script.name} was edited since it was started: start it again")


def is_as_imported(module: str) -> bool:
    """Whether the files of a module, and of all that it imports, are as they were when it was refreshed."""
    own = closure(module)[0].items()
    return all(_seen.get(name) == state_of(each.path) for name, each in own if name != "__main__")


def _outdated(own: Mapping[str, Module]) -> list[str]:
    loaded = [name for name in own if name in sys.modules]
    edited = {name for name in loaded if _is_edited(name, own[name].path)}
    latest = max((_forgotten.get(name, 0) for name in own), default=0)
    if not edited and all(latest <= _imported.get(name, 0) for name in loaded):
        return []
    return [name for name in loaded if _uses_what_is_gone(name, edited)]


def _uses_what_is_gone(name: str, edited: set[str]) -> bool:
    """Whether a module holds objects of one that was edited, or that another function's refresh has forgotten."""
    needed, since = closure(name)[0], _imported.get(name, 0)
    return any(each in edited or _forgotten.get(each, 0) > since for each in needed)


def _is_edited(name: str, path: Path) -> bool:
    file = getattr(sys.modules[name], "__file__", None)
    if file is not None and Path(file).name == path.name and Path(file).resolve() != path.resolve():
        return True  # it is that of another folder
    now = state_of(path)
    if name in _seen:
        return _seen[name] != now
    return max(now[1:], default=0) > _start_of_process() or _was_other_code(name, path)


def _forget(name: str) -> None:
    global _n_forgotten
    forgotten = sys.modules.pop(name)
    package, _, last = name.rpartition(".")
    if package and getattr(sys.modules.get(package), last, None) is forgotten:
        delattr(sys.modules[package], last)  # which `from package import module` would take
    _n_forgotten += 1
    _forgotten[name] = _n_forgotten


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


def ran_otherwise(files: Mapping[str, SourceFile], digests: Mapping[str, str]) -> list[str]:
    """The names of files of which this process has executed another text than the one of the digests.

    As where a file was edited after its digest was taken, and before a function imported it.
    """
    ran = {name: _ran.get(os.path.realpath(file.path)) for name, file in files.items()}
    return [name for name, digest in ran.items() if digest is not None and digest != digests.get(name)]


@cache
def _start_of_process() -> int:
    """In nanoseconds since the epoch."""
    import psutil

    return int(psutil.Process().create_time() * 1e9)
