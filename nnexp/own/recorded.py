"""Which names are looked up that nobody has typed: those that the record of a run has, which anybody may have written.

Nothing in a record tells a run of a friend from one of an attacker, and any function of any module has a dotted path.
So a record that the user has not written himself (:mod:`nnexp.runs.seals`) can only name what somebody has put here for
nnexp: a function of the user's own files that is defined there, or a name that a package has registered. What else is
installed is called if the user names it himself; the standard library is not even imported.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from nnexp.own.modules import SUFFIXES, own_module
from nnexp.readers import ConfigError

# Tasks, as long as they are not trained, and activations are not called with what a record says, and have to be made
# for nnexp: what is installed may be imported for them.
LOOKED_AT = ("tasks", "activations")


class DistrustedError(ConfigError):
    """A name of a record that is not looked up."""


_typed: ContextVar[frozenset[str] | None] = ContextVar("typed", default=None)
_calls: ContextVar[bool] = ContextVar("calls", default=False)


@contextmanager
def of_records(typed: Collection[str] = (), *, calls: bool = False) -> Generator[None]:
    """Have names looked up meanwhile as befits those of a record.

    Parameters
    ----------
    typed
        Names that the user has given himself, which are looked up as ever.
    calls
        Whether what is found is going to be called with what the record says.
    """
    tokens = _typed.set(frozenset(typed)), _calls.set(calls)
    try:
        yield
    finally:
        _typed.reset(tokens[0])
        _calls.reset(tokens[1])


def is_distrusted(name: str, registered: Collection[str]) -> bool:
    """Whether a name comes from a record, and neither from the user nor from a package that has registered it."""
    typed = _typed.get()
    return typed is not None and name not in typed and name not in registered


def refuse_module(key: str, group: str, name: str, module: str) -> None:
    """Raise a DistrustedError where the module of a distrusted name is not to be imported."""
    if module == "__main__" or own_module(module) is not None:
        return
    if group in LOOKED_AT and not _calls.get() and module.partition(".")[0] not in sys.stdlib_module_names:
        return
    raise _refused(key, name)


def refuse_found(key: str, name: str, module: str, attributes: Sequence[str], found: object) -> None:
    """Raise a DistrustedError where a module of the user's own has a distrusted name only by an import of another."""
    own = own_module(module)
    if own is None and module != "__main__":  # was seen to be one that may be imported
        return
    if inspect.isroutine(found) or inspect.isclass(found):
        where = getattr(found, "__module__", None)
        is_own = isinstance(where, str) and (where == module or own_module(where) is not None)
    elif own is None:  # a notebook, of which no file says what it has imported
        is_own = False
    else:
        is_own = len(attributes) == 1 and not inspect.ismodule(found) and not _imports(own.path, attributes[0])
    if not is_own:
        raise _refused(key, name)


def _imports(path: Path, name: str) -> bool:
    """Whether a file has a name by an import statement."""
    tree: Any = ast.parse(path.read_bytes()) if path.suffix in SUFFIXES else ast.Module([], [])
    imported = (each for each in ast.walk(tree) if isinstance(each, ast.Import | ast.ImportFrom))
    return any(name == (alias.asname or alias.name) for each in imported for alias in each.names)


def _refused(key: str, name: str) -> DistrustedError:
    return DistrustedError(
        f"`{key}` = {name!r} is what the record of the run says, and no function of your own files; what a record "
        f"names is not called: if you trust it, name it yourself, {key}={name}"
    )
