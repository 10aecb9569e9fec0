"""What is known of data without loading them: digest, size and counts, of files and of a user's own function.

What was found is valid while all that it was found by is as it was: the function's sources and options, and size and
times of the files that the options or the sources name, and of those that the function was seen to open. A function
that asked other machines or processes, or that gave different data for the same of all this, is called each time.
"""

from __future__ import annotations

import ast
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import nnexp
from nnexp import own
from nnexp.datasets.dataset import Dataset
from nnexp.own.observed import Seen, observed
from nnexp.own.places import State, state_of

FORMAT = 1
SETTLED = 1_000_000_000  # nanoseconds after which a file's times tell a further change of it, on any file system
MOST_FILES = 10_000  # in a folder that an option names
LONGEST_PATH = 255
DIGESTS = "digests"  # the folder in `data.cache`

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What planning needs to know of a data set: its digest, number of features, and samples of each class."""

    digest: str
    n_features: int
    counts: tuple[int, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> About:
        """Of a data set that is loaded."""
        counts = np.bincount(dataset.y, minlength=len(dataset.classes)).tolist()
        return cls(dataset.digest, dataset.X.shape[1], tuple(counts))

    def stand_in(self) -> Dataset:
        """A data set that splits as the one that it is about."""
        y = np.repeat(np.arange(len(self.counts)), self.counts)
        return Dataset("", np.zeros((y.size, 1)), y, tuple(map(str, range(len(self.counts)))))


@dataclass(frozen=True)
class Call:
    """A way to make a data set, and what decides its outcome, but for what it reads.

    Attributes
    ----------
    name
        Of the data set, or of the function.
    make
        Makes it.
    options
        Of the function; paths among them name files that it may read.
    settings
        What else decides.
    sources
        Of the function, where it is the user's own.
    """

    name: str
    make: Callable[[], Dataset]
    options: Mapping[str, Any]
    settings: Sequence[Any] = ()
    sources: own.Sources = field(default_factory=own.Sources)

    @property
    def key(self) -> str:
        """Digest of what decides."""
        versions = [np.__version__, nnexp.__version__]
        said = [self.name, self.sources.digests(), self.options, self.settings, own.command_folder(), versions]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=repr).encode()).hexdigest()[:32]

    def named_files(self) -> dict[str, State] | None:
        """Files and folders that the options or the sources name; None where they are too many to be looked at."""
        found: dict[str, State] = {}
        for text in _texts(self.options):
            path = os.path.join(own.command_folder(), os.path.expanduser(text))
            if os.path.isdir(path) and not Path(own.command_folder()).is_relative_to(os.path.realpath(path)):
                for inner in _walk(path):
                    found[inner] = state_of(inner)
                    if len(found) > MOST_FILES:
                        return None
            elif os.path.isfile(path):
                found[os.path.abspath(path)] = state_of(path)
        for path in self.sources.paths():
            for text in _literals(str(path), state_of(path)):
                for folder in (own.command_folder(), path.parent):
                    if os.path.isfile(file := os.path.join(folder, os.path.expanduser(text))):
                        found[os.path.abspath(file)] = state_of(file)
        return found


def _texts(value: Any) -> Iterator[str]:
    """The texts in options that may be paths."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_PATH and "\0" not in value:
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _walk(folder: str) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        if DIGESTS in folders:  # of this cache, which may be in the folder of the data
            folders.remove(DIGESTS)
        yield where
        yield from (os.path.join(where, name) for name in files)


@cache
def _literals(path: str, known: State) -> tuple[str, ...]:
    """The texts in a source file that may be paths."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return tuple(dict.fromkeys(text for value in constants if isinstance(value, str) for text in _texts(value)))


@dataclass(frozen=True)
class Entry:
    """What a file of this cache holds."""

    about: About
    files: Mapping[str, State]
    is_stable: bool = True  # False: different data were seen for the same of all this, so the function is always called

    def is_valid(self, call: Call) -> bool:
        """Whether all is as it was."""
        if not self.is_stable or (named := call.named_files()) is None:
            return False
        return named.keys() <= self.files.keys() and all(state_of(path) == was for path, was in self.files.items())


def lookup(call: Call, folder: str | None) -> About | None:
    """What is known of the outcome of a call; None where the function must be called."""
    entry = _read(call, folder)
    return entry.about if entry is not None and entry.is_valid(call) else None


def remember(call: Call, folder: str, dataset: Dataset, seen: Seen, named: Mapping[str, State] | None) -> bool:
    """Keep what a call gave, where that can be relied on later; return whether it can.

    Parameters
    ----------
    seen
        What the function read.
    named
        The named files as they were before it was called.
    """
    found, before = About.of(dataset), _read(call, folder)
    files = {**seen.files, **(named or {})}
    if before is not None and (not before.is_stable or (before.is_valid(call) and before.about != found)):
        _write(call, folder, Entry(found, {}, is_stable=False))
        return False
    now = time.time_ns()
    is_known = seen.is_all and named is not None
    if not is_known or not all(state_of(path) == was and _is_settled(was, now) for path, was in files.items()):
        return False
    if before is None or before.about != found or before.files != files:
        _write(call, folder, Entry(found, files))
    return True


_last: tuple[str, Dataset] | None = None  # the jobs of a worker share it, by the key of its call


def load(call: Call, cache: str | None) -> Dataset:
    """The data set of a call, made by the call or, in a process that made it before, known to be the same.

    Raises
    ------
    ValueError
        If it cannot be made; in one line.
    """
    global _last
    known = lookup(call, cache)
    if _last is not None and known is not None and _last[0] == call.key and _last[1].digest == known.digest:
        return _last[1]
    _last = None
    dataset, is_known = _make(call, cache)
    if is_known:
        _last = call.key, dataset
    return dataset


def about(call: Call, cache: str | None) -> About:
    """What planning needs to know of the data set of a call, which is made where that is not known."""
    return lookup(call, cache) or About.of(_make(call, cache)[0])


def _make(call: Call, cache: str | None) -> tuple[Dataset, bool]:
    """The data set, and whether what it was made of is known."""
    if cache is None:
        return call.make(), False
    made = _prepare(cache)
    named = call.named_files()
    try:
        with observed() as seen:
            dataset = call.make()
    except BaseException:
        for folder in made:  # what is refused leaves nothing
            with suppress(OSError):
                folder.rmdir()
        raise
    return dataset, remember(call, cache, dataset, seen, named)


def _is_settled(state: State, now: int) -> bool:
    return not any(changed > now - SETTLED for changed in state[1:])


def _path(call: Call, folder: str) -> Path:
    return Path(folder).expanduser() / DIGESTS / f"{call.key}.json"


def _prepare(folder: str) -> list[Path]:
    """Make the folder of this cache before a function is called, which may list the folder that it is in.

    Return the folders that there were not, the innermost first.
    """
    path = Path(folder).expanduser() / DIGESTS
    new = [each for each in (path, *path.parents) if not each.exists()]
    with suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
    return new


def _read(call: Call, folder: str | None) -> Entry | None:
    if folder is None:
        return None
    try:
        said = json.loads(_path(call, folder).read_bytes())
        if said["format"] != FORMAT:
            return None
        told = said["about"]
        known = About(told["digest"], told["n_features"], tuple(told["counts"]))
        return Entry(known, {path: tuple(was) for path, was in said["files"].items()}, said["is_stable"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # there is none, or it is damaged and made anew


def _write(call: Call, folder: str, entry: Entry) -> None:
    content = {"format": FORMAT, "of": call.name, **asdict(entry)}
    path = _path(call, folder)
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.stem, suffix=".part", delete=False) as part:
            json.dump(content, part)
        os.replace(part.name, path)  # whole, whatever other processes write there
    except OSError as error:
        logger.warning("%s could not be cached: %s", path, error)
