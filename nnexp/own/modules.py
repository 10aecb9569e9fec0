"""Modules of the user's own and what they import, found without running them.

They are read off the files, by their import statements, also those inside functions, so that every process finds the
same ones whatever it has imported before. What is imported by a computed name is not seen, nor what code reads.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import BuiltinImporter, ModuleSpec
from pathlib import Path
from typing import Any

from nnexp.own.places import State, is_own_file, state_of

SUFFIXES = (".py", ".pyw")


@dataclass(frozen=True)
class Module:
    """A module of the user's own."""

    path: Path
    is_package: bool

    def name_of_file(self, module: str) -> str:
        """Its file as the run's record names it, the same wherever it is."""
        if self.path.suffix not in SUFFIXES:
            return "/".join([*module.split(".")[:-1], self.path.name])
        return module.replace(".", "/") + ("/__init__.py" if self.is_package else ".py")


def resolve(module: str) -> ModuleSpec | None:
    """Where a module is, without importing it or the packages that it is in; None if there is none."""
    path: Any = None
    found: ModuleSpec | None = None
    name = ""
    for word in module.split("."):
        name = f"{name}.{word}" if name else word
        if name in sys.builtin_module_names:
            return BuiltinImporter.find_spec(name)
        if found is not None and path is None:
            return None  # inside what is no package
        found = _spec(name, path)
        if found is None:
            return None
        places = found.submodule_search_locations
        # That of a package without `__init__` asks its parent.
        path = None if places is None else list(getattr(places, "_path", places))
    return found


def _spec(name: str, path: Any) -> ModuleSpec | None:
    return spec_after(None, name, path) or spec_of_loaded(name)


def spec_after(first: Any, name: str, path: Any) -> ModuleSpec | None:
    """What the finders after one of them find (None: all of them)."""
    finders = list(sys.meta_path)
    for finder in finders[finders.index(first) + 1 :] if first in finders else finders:
        find_spec = getattr(finder, "find_spec", None)
        try:
            found = find_spec(name, path) if find_spec is not None else None
        except KeyError:  # a package without `__init__`, in one that is not imported
            found = _namespace(name, path)
        except (ImportError, AttributeError, ValueError):
            found = None
        if found is not None:
            return found
    return None


def _namespace(name: str, path: Any) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    folders = [os.path.join(entry, name.rpartition(".")[2]) for entry in path]
    spec.submodule_search_locations = [folder for folder in folders if os.path.isdir(folder)]
    return spec


def spec_of_loaded(name: str) -> ModuleSpec | None:
    """Where a module that is imported came from; None where it is of no file, or is not imported."""
    return getattr(sys.modules.get(name), "__spec__", None)


def own_module(module: str) -> Module | None:
    """A module of the user's own that has a file."""
    main = sys.modules.get("__main__")
    if module == "__main__" and getattr(main, "__file__", None):
        return Module(Path(main.__file__).resolve(), is_package=False)  # pyright: ignore[reportOptionalMemberAccess, reportArgumentType]
    spec = resolve(module)
    if spec is None or not spec.has_location or spec.origin is None or not is_own_file(spec.origin):
        return None
    file = getattr(spec.loader, "archive", spec.origin)  # the whole of a zip file
    return Module(Path(file), is_package=spec.submodule_search_locations is not None)


# By the module and the import path, which a module may change when it is imported.
_closures: dict[tuple[str, ...], tuple[dict[str, Module], set[str], dict[Path, State]]] = {}


def closure(module: str) -> tuple[dict[str, Module], set[str]]:
    """The modules of the user's own that a module needs, itself among them, and the installed packages.

    Both are kept until one of the files changes: a sweep asks for each of its jobs.
    """
    key = (module, *sys.path)
    if key in _closures and all(state_of(path) == then for path, then in _closures[key][2].items()):
        return _closures[key][:2]
    own, installed = _find_closure(module)
    if own:
        # Folders too: a file that comes may be what an import statement had not found.
        places = {place for each in own.values() for place in (each.path, each.path.parent)}
        _closures[key] = own, installed, {place: state_of(place) for place in places}
    return own, installed


def _find_closure(module: str) -> tuple[dict[str, Module], set[str]]:
    own: dict[str, Module] = {}
    installed: set[str] = set()
    to_see, seen = [module], set[str]()
    while to_see:
        name = to_see.pop()
        if name in seen:
            continue
        seen.add(name)
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names and top != "__main__" and own_module(top) is None:
            continue
        found = own_module(name)
        if found is None:
            spec = resolve(top)
            if spec is not None and (spec.origin is None or not is_own_file(spec.origin)) and not _is_namespace(spec):
                installed.add(top)
            continue
        own[name] = found
        to_see += [name.rpartition(".")[0]] if "." in name else []
        if found.path.suffix in SUFFIXES:
            to_see += _imports(str(found.path), state_of(found.path), name, found.is_package)
    return own, installed


def _is_namespace(spec: ModuleSpec) -> bool:
    return spec.origin is None and spec.submodule_search_locations is not None


@cache
def _imports(path: str, known: State, module: str, is_package: bool) -> tuple[str, ...]:
    """The modules that a file's import statements may mean."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(dict.fromkeys(_named(tree, module if is_package else module.rpartition(".")[0])))


def _named(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
