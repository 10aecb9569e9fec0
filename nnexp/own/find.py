"""A user's function by its name: a dotted path, or a name that a package has registered by an entry point."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

from nnexp.errors import one_line
from nnexp.own.errors import last_own_place
from nnexp.own.folder import use_folder
from nnexp.own.imports import is_as_imported, refresh
from nnexp.own.modules import resolve
from nnexp.own.recorded import is_distrusted, refuse_found, refuse_module
from nnexp.own.sources import Sources, is_in_memory, source_in_memory, sources_of
from nnexp.readers import ConfigError
from nnexp.terminal import say


class NotFoundError(ConfigError):
    """There is nothing of that name that can be imported."""


MOST_EDITS = 10  # while a function is found
NEEDED_ELSEWHERE = ("datasets", "activations")  # those that the companion, too, must import
GROUPS = ("optimizers", "datasets", "activations", "tasks")  # of entry points: nnexp.optimizers, ...


@dataclass(frozen=True)
class Own:
    """What was found under a name: the object, and its sources."""

    name: str
    found: Any
    sources: Sources


def is_own(name: object, builtin: Collection[str] = ()) -> bool:
    """Whether a name is none of the built-in ones, so that it is looked for among what is a user's own."""
    return isinstance(name, str) and name not in builtin and ("." in name or name in registered_names())


@cache
def registered(group: str) -> dict[str, str]:
    """The names that installed packages have registered in a group of `GROUPS`, with what they stand for."""
    return {point.name: point.value for point in metadata.entry_points(group=f"nnexp.{group}")}


@cache
def registered_names() -> frozenset[str]:
    """The names that are registered in any group."""
    return frozenset(name for group in GROUPS for name in registered(group))


def find(key: str, group: str, name: str, builtin: Collection[str] = ()) -> Own:
    """What is meant by a name that is not built in.

    Parameters
    ----------
    key
        The config key that holds the name, for messages.
    group
        One of `GROUPS`.
    builtin
        The names that are no user's own, for messages.

    Raises
    ------
    ConfigError
        If there is nothing of that name, or its module cannot be imported.
    """
    known = _held.get()
    if known is None or is_distrusted(name, registered(group)):
        return _find(key, group, name, builtin)
    if (group, name) not in known:
        known[group, name] = _find(key, group, name, builtin)
    return known[group, name]


_held: ContextVar[dict[tuple[str, str], Own] | None] = ContextVar("held", default=None)


@contextmanager
def held() -> Generator[None]:
    """Have each name mean one thing meanwhile: what its file holds when it is first looked for.

    A file may be edited at any time. What is trained is then still what was digested, and what is kept of it.
    """
    if _held.get() is not None:
        yield
        return
    token = _held.set({})
    try:
        yield
    finally:
        _held.reset(token)


def _find(key: str, group: str, name: str, builtin: Collection[str]) -> Own:
    use_folder()
    points = registered(group)
    if "." not in name and name not in points:
        known = [*builtin, *points]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        if len(known) < 2:
            raise ConfigError(f"`{key}` must be {' or '.join([*known, 'the dotted path of a function'])}, got {name!r}")
        hint = hint or "; your own function is named by its dotted path"
        raise ConfigError(f"`{key}` must be one of {', '.join(known)}, got {name!r}{hint}")
    module, attributes = _parts(key, name, points[name] if name in points else name)
    if distrusts := is_distrusted(name, points):
        refuse_module(key, group, name, module)
    if module == "__main__" and group in NEEDED_ELSEWHERE:
        raise ConfigError(
            f"`{key}` must name something in a file that can be imported, got {name!r}: the process that draws and "
            "publishes needs it too"
        )
    for _ in range(MOST_EDITS):
        found = _attribute(key, name, module, attributes, _import(key, name, module))
        if distrusts:
            refuse_found(key, name, module, attributes, found)
        own = Own(name, found, _sources(key, name, module, attributes[-1], found))
        if is_as_imported(module):  # it was not edited between its import and the reading of its sources
            return own
    raise ConfigError(f"`{key}` = {name!r} is being edited; try again when that is done")


def _attribute(key: str, name: str, module: str, attributes: Sequence[str], found: Any) -> Any:
    for attribute in attributes:
        try:
            found = getattr(found, attribute)
        except AttributeError:
            close = difflib.get_close_matches(attribute, _offered(found), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            place = getattr(sys.modules[module], "__file__", None) or module
            if module == "__main__":  # whose file here is that of a launcher
                place, hint = "this process", "; in a file that can be imported, every process would find it"
            raise NotFoundError(
                f"`{key}` must name something that can be imported, got {name!r}: {place} has no {attribute!r}{hint}"
            ) from None
    return found


def find_function(key: str, group: str, name: str, builtin: Collection[str] = ()) -> Own:
    """As :func:`find`, for what is to be called; a ConfigError where it cannot be."""
    own = find(key, group, name, builtin)
    refuse_uncallable(key, own)
    return own


def _offered(found: object) -> list[str]:
    """The names in something that may be meant: not those of the modules that it has imported."""
    return [name for name in dir(found) if name[0] != "_" and not inspect.ismodule(getattr(found, name, None))]


def refuse_uncallable(key: str, own: Own) -> None:
    """Raise a ConfigError where what was found cannot be called."""
    if not callable(own.found):
        raise ConfigError(f"`{key}` must name a function, got {own.name!r}, {type(own.found).__name__}")


def _parts(key: str, name: str, value: str) -> tuple[str, list[str]]:
    """The module of a dotted path, and the attributes in it."""
    if ":" in value:  # as an entry point writes it
        module, _, rest = value.partition(":")
        return module.strip(), rest.split("[")[0].strip().split(".")
    words = value.split(".")
    if not all(word.isidentifier() for word in words):
        raise ConfigError(f"`{key}` must be a dotted path such as package.module.function, got {name!r}")
    for n in range(len(words) - 1, 0, -1):
        module = ".".join(words[:n])
        if module in sys.modules or resolve(module) is not None:
            return module, words[n:]
    raise NotFoundError(
        f"`{key}` must name something that can be imported, got {name!r}: there is no module {words[0]!r} in the "
        "folder of the command or among the installed packages"
    )


def _sources(key: str, name: str, module: str, attribute: str, found: object) -> Sources:
    if not is_in_memory(module):
        return sources_of(module)
    sources = source_in_memory(module, attribute, found)
    if sources is None:
        raise ConfigError(f"`{key}` must name something in a file, got {name!r}, whose source cannot be read")
    if name not in _told:
        _told.add(name)
        say(f"note: {name} is known by its own text alone, not by what it calls; in a file both would be seen")
    return sources


_told: set[str] = set()


def _import(key: str, name: str, module: str) -> Any:
    refresh(module)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a module may fail in any way when it is imported
        place = last_own_place(error)
        where = f" ({place})" if place else ""
        told = f"{type(error).__name__}: {one_line(error)}{where}"
        raise NotFoundError(f"`{key}` must name something that can be imported, got {name!r}: {told}") from error
