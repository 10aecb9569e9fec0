"""Reading what lies in run directories, where a full disk, a crash or a person may have left anything.

Each kind of file is read in one place here. What cannot be read is a :class:`RecordError` that names the file on one
line; where many are listed, it is told once and left out.

Nor need it have been written by nnexp: a run directory may come from somebody else, a store is written by many. So a
file is read only if it is one, of a size that it can have, and nothing in it makes an object or a file elsewhere.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import yaml

from nnexp.errors import UsageError, one_line
from nnexp.terminal import hand_on, say

MOST_TEXT = 2**26  # bytes of a file that is read whole as text: a plan of 100,000 jobs has a quarter of it
MOST_CONFIG = 2**20  # of a config
MOST_TABLE = 2**30  # of a history
MOST_ARRAYS, MOST_GROWTH = 2**28, 16  # unpacked bytes of arrays that any file may have, and for each byte of the file

_told: set[object] = set()


class RecordError(UsageError):
    """A file of a run or a sweep that cannot be read; the message names it on one line."""


class VanishedError(RecordError, FileNotFoundError):
    """A run directory that was there and is gone."""


def tell_once(text: str, about: object = None) -> None:
    """Name what is left out, once in this process for what it is about: directories are listed again and again."""
    key = str(about or text)
    if not hand_on(text, key) and key not in _told:
        _told.add(key)
        say(text)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordError
        If it cannot be read, or holds something else.
    """
    try:
        value = json.loads(content_of(path).decode("utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{path} is damaged: {one_line(error)}") from error
    if (read := as_object(value)) is None:
        raise RecordError(f"{path} is damaged: expected a JSON object, got {type(value).__name__}")
    return read


def to_json(value: Any) -> str:
    """Readable JSON; NumPy numbers become Python's."""
    return json.dumps(value, indent=2, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return cast(Any, value).tolist()
    if isinstance(value, Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    return str(value)


def is_inside(name: object) -> bool:
    """Whether something is the name of a file in a folder, with folders before it, and no path that leads elsewhere."""
    if not isinstance(name, str) or not name.isprintable() or set(name) & set("\\:"):
        return False
    return all(part not in ("", ".", "..") for part in name.split("/"))


def content_of(path: Path, most: int = MOST_TEXT) -> bytes:
    """The content of a file of at most so many bytes, which is read where the path says and not where a link leads.

    Raises
    ------
    OSError
        If there is none that can be read, or it is a link, a device or a pipe.
    ValueError
        If it is larger.
    """
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"expected at most {most:,} bytes, got more")
    return content


def content_in(folder: Path, name: str, most: int = MOST_TEXT) -> bytes:
    """The content of a file of a folder, as :func:`content_of`; a ValueError where the name leads out of the folder."""
    path = folder / name
    if not is_inside(name) or not path.parent.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} is no name of a file of a run")
    return content_of(path, most)


def opened(path: Path) -> IO[bytes]:
    """A file, open for reading; an OSError where it is a link, a device or a pipe, of which a pipe would not end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path}: expected a file, got a link, a device or a folder")
    return os.fdopen(handle, "rb")


class _PlainLoader(yaml.SafeLoader):
    """Reads numbers as OmegaConf does; no tag makes an object, and no alias a large value of a small text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in the class above
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if cast("Any", self).check_event(yaml.AliasEvent):
            raise ValueError("it has an alias, which no recorded config has")
        return super().compose_node(parent, index)


cast("Any", _PlainLoader).add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?\d[\d_]*\.[\d_]*(?:[eE][-+]?\d+)?$|[-+]?\d[\d_]*[eE][-+]?\d+$|\.\d[\d_]*(?:[eE][-+]\d+)?$"
        r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def read_yaml(content: bytes) -> Any:
    """What a config says that somebody has recorded: its values as they stand, no interpolation followed.

    Raises
    ------
    ValueError
        If it is none; in one line.
    """
    try:
        if len(content) > MOST_CONFIG:
            raise ValueError(f"expected at most {MOST_CONFIG:,} bytes, got {len(content):,}")
        return yaml.load(content, _PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(one_line(error)) from error


def as_object(value: Any) -> dict[str, Any] | None:
    """A value that was read from JSON as the object that it is; None where it is something else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """A value that was read from JSON as the list that it is; None where it is something else."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def is_text(value: Any) -> bool:
    """Whether a value is a text that says something."""
    return isinstance(value, str) and bool(value)


def is_mapping(value: Any) -> bool:
    """Whether a value is a JSON object."""
    return isinstance(value, Mapping)


Write = Callable[[Path, str], None]


def damaged(path: Path, key: str, value: Any) -> RecordError:
    """The error of a file in which the value of a key is none that it can have."""
    return RecordError(f"{path} is damaged: its {key!r} is {json.dumps(value, default=str)[:80]}")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordError
        If it is no archive of arrays, or a part of it cannot be read.
    """
    try:
        with opened(path) as file:
            return arrays_of(file)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} is damaged: {one_line(error)}") from error


def arrays_of(file: IO[bytes]) -> dict[str, np.ndarray]:
    """All arrays of an open `.npz` file; a ValueError says what is wrong with it."""
    try:
        _refuse_bomb(file)
        stored = np.load(file, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise ValueError("expected the arrays of an .npz file, got one array")
        return {name: stored[name] for name in stored.files}
    except Exception as error:  # each layer of the format has errors of its own: zip, zlib, the header, pickle
        is_pickle = "pickle" in str(error)  # as NumPy takes all that is no archive to be; it advises to load it
        raise ValueError("it is no archive of numbers" if is_pickle else one_line(error)) from error


def _refuse_bomb(file: IO[bytes]) -> None:
    """Raise a ValueError where unpacking an archive would fill the memory; what is no archive, NumPy will say."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if zipfile.is_zipfile(file):
        unpacked = sum(each.file_size for each in zipfile.ZipFile(file).infolist())
        if unpacked > MOST_ARRAYS + MOST_GROWTH * size:
            raise ValueError(f"its {size:,} bytes would become {unpacked:,}")
    file.seek(0)


def rows_of(path: Path, columns: Sequence[str], lines: Sequence[str]) -> Iterator[dict[str, float]]:
    """Whole lines of a history as rows, only the values that are there; a damaged one is told and left out."""
    if not {"step", "time"} <= set(columns):
        tell_once(f"{path} is damaged: its first line does not name the columns step and time; left out", path)
        return
    for line in lines:
        cells = line.split(",")
        try:
            row = {column: float(cell) for column, cell in zip(columns, cells, strict=True) if cell}
            if not is_number(row["step"]) or not is_number(row["time"]):
                raise ValueError
        except (ValueError, KeyError):
            text = f"{path} is damaged: {len(columns)} numbers expected, got {line[:80]!r}; such rows are left out"
            tell_once(text, path)
            continue
        yield row
