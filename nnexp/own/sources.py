"""The sources of a user's function: the files that its module imports, directly or not, and that are his own.

They are read off the files, by their import statements, also those inside functions, so that every process finds the
same ones whatever it has imported before. What is imported by a computed name is not seen, nor what code reads.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from importlib.machinery import BuiltinImporter, ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

from nnexp.own.places import is_own_file

DIGEST_LENGTH = 32
SUFFIXES = (".py", ".pyw")
# NumPy and SciPy are told apart by tags of every run, and `resume` says what a difference means.
WITHOUT_VERSION = ("nnexp", "numpy", "scipy")


class State(NamedTuple):
    """By what a file that was changed is known without reading it.

    `changed` is put back by whoever copies with times, `replaced` (of its entry) never.
    """

    changed: int = 0
    size: int = -1
    replaced: int = 0


@dataclass(frozen=True)
class Sources:
    """The sources of a function.

    Attributes
    ----------
    files
        Paths by the name in the run's record, such as ``mylib/steps.py``.
    packages
        Versions of the installed packages that they import, by the name that is imported.
    in_memory
        Texts of what is in no file that can be imported, such as a notebook's function, by a name like a file's.
    """

    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    in_memory: Mapping[str, str] = field(default_factory=dict[str, str])

    def __or__(self, other: Sources) -> Sources:
        return Sources(
            {**self.files, **other.files},
            {**self.packages, **other.packages},
            {**self.in_memory, **other.in_memory},
        )

    @property
    def names(self) -> list[str]:
        """The names of what is the user's own."""
        return [*self.files, *self.in_memory]

    def digests(self) -> dict[str, str]:
        """Digest of each file and version of each package, as part of what decides a run's numbers."""
        return {
            **{name: _digest(str(path), state(path)) for name, path in self.files.items()},
            **{name: _sha256(text.encode("utf-8", "surrogateescape")) for name, text in self.in_memory.items()},
            **{f"package {name}": version for name, version in self.packages.items()},
        }

    def texts(self) -> dict[str, str]:
        """The texts of the sources; what is compiled has none."""
        read = {name: read_source(path) for name, path in self.files.items() if path.suffix in SUFFIXES}
        return {**read, **self.in_memory}


@dataclass(frozen=True)
class _Module:
    """A module of the user's own."""

    path: Path
    is_package: bool

    def name_of_file(self, module: str) -> str:
        """Its file as the run's record names it, the same wherever it is."""
        if self.path.suffix not in SUFFIXES:
            return "/".join([*module.split(".")[:-1], self.path.name])
        return module.replace(".", "/") + ("/__init__.py" if self.is_package else ".py")


def sources_of(module: str) -> Sources:
    """The sources of a module; those of an installed module are the version of its package."""
    own, installed = closure(module)
    files = {each.name_of_file(name): each.path for name, each in sorted(own.items())}
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
    return module in sys.modules and _own(module) is None and _spec_of_loaded(module) is None


def read_source(path: Path) -> str:
    """The text of a source file; what is not UTF-8 in it stays as it is."""
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def state(path: Path) -> State:
    """The state of a file or folder, also of one that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return State()
    return State(found.st_mtime_ns, found.st_size, found.st_ctime_ns)


@cache
def _digest(path: str, known: State) -> str:
    try:
        content = Path(path).read_bytes()
    except OSError:
        return "gone"
    return digest_of_content(content)


def digest_of_content(content: bytes) -> str:
    """The digest of a file by what it holds, the same after a checkout on Windows."""
    return _sha256(content.replace(b"\r\n", b"\n"))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]


# Finding modules without running them.


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
        path = (
            None if places is None else list(getattr(places, "_path", places))
        )  # one without `__init__` asks its parent
    return found


def _spec(name: str, path: Any) -> ModuleSpec | None:
    return spec_after(None, name, path) or _spec_of_loaded(name)


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


def _spec_of_loaded(name: str) -> ModuleSpec | None:
    return getattr(sys.modules.get(name), "__spec__", None)


def _own(module: str) -> _Module | None:
    """A module of the user's own that has a file."""
    main = sys.modules.get("__main__")
    if module == "__main__" and getattr(main, "__file__", None):
        return _Module(Path(main.__file__).resolve(), is_package=False)  # pyright: ignore[reportOptionalMemberAccess, reportArgumentType]
    spec = resolve(module)
    if spec is None or not spec.has_location or spec.origin is None or not is_own_file(spec.origin):
        return None
    file = getattr(spec.loader, "archive", spec.origin)  # the whole of a zip file
    return _Module(Path(file), is_package=spec.submodule_search_locations is not None)


_closures: dict[str, tuple[dict[str, _Module], set[str], dict[Path, State]]] = {}


def closure(module: str) -> tuple[dict[str, _Module], set[str]]:
    """The modules of the user's own that a module needs, itself among them, and the installed packages.

    Both are kept until one of the files changes: a sweep asks for each of its jobs.
    """
    if module in _closures and all(state(path) == then for path, then in _closures[module][2].items()):
        return _closures[module][:2]
    own, installed = _find_closure(module)
    if own:
        # Folders too: a file that comes may be what an import statement had not found.
        places = {place for each in own.values() for place in (each.path, each.path.parent)}
        _closures[module] = own, installed, {place: state(place) for place in places}
    return own, installed


def forget(module: str) -> None:
    """Look for the sources of a module anew, as where its import has changed the import path."""
    _closures.pop(module, None)


def _find_closure(module: str) -> tuple[dict[str, _Module], set[str]]:
    own: dict[str, _Module] = {}
    installed: set[str] = set()
    to_see, seen = [module], set[str]()
    while to_see:
        name = to_see.pop()
        if name in seen:
            continue
        seen.add(name)
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names and top != "__main__" and _own(top) is None:
            continue
        found = _own(name)
        if found is None:
            spec = resolve(top)
            if spec is not None and (spec.origin is None or not is_own_file(spec.origin)) and not _is_namespace(spec):
                installed.add(top)
            continue
        own[name] = found
        to_see += [name.rpartition(".")[0]] if "." in name else []
        if found.path.suffix in SUFFIXES:
            to_see += _imports(str(found.path), state(found.path), name, found.is_package)
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
