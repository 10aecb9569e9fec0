"""The files of runs in a store. Many write there, so a file is known by its name and size before it is read or kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlparse

from nnexp.runs.files import MOST_TEXT, content_in, content_of, is_inside, opened
from nnexp.tracking.download import download
from nnexp.tracking.store import Store
from nnexp.tracking.stored_run import StoredRun


class StoredFiles:
    """The artifacts of one run, by the names that they have in a run directory."""

    def __init__(self, store: Store, run: StoredRun) -> None:
        self._store, self._run, self._folder = store, run, artifact_folder(run)
        self._known: dict[str, tuple[dict[str, int | None], list[str]]] = {}

    def names(self, folder: str = "") -> Mapping[str, int | None]:
        """The files of a folder with their sizes in bytes, as far as the store knows these."""
        return self._listed(folder)[0]

    def folders(self, folder: str = "") -> list[str]:
        """The folders in a folder."""
        return self._listed(folder)[1]

    def read(self, name: str, most: int = MOST_TEXT) -> bytes:
        """The content of a file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is larger than `most` bytes, or its name leads elsewhere.
        """
        if self._folder is not None:
            return content_in(self._folder, name, most)
        with tempfile.TemporaryDirectory() as scratch:
            return content_of(self._downloaded(name, scratch, most), most)

    def fetch(self, name: str, into: Path, most: int = MOST_TEXT) -> None:
        """Put a file under its name into a folder; errors as of :meth:`read`, and what is there is replaced."""
        _refuse_elsewhere(name)
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._folder is not None:
            target.write_bytes(content_in(self._folder, name, most))
            return
        with tempfile.TemporaryDirectory(dir=into) as scratch:
            os.replace(self._downloaded(name, scratch, most), target)

    def _downloaded(self, name: str, scratch: str, most: int) -> Path:
        _refuse_elsewhere(name)
        parent = name.rpartition("/")[0]
        if name not in self.names(parent):
            raise FileNotFoundError(name)
        if (size := self.names(parent)[name]) is not None and size > most:
            raise ValueError(f"{name}: expected at most {most:,} bytes, got {size:,}")
        there = self._store.artifacts(self._run.artifact_uri)
        if urlparse(there.artifact_uri).scheme in ("http", "https"):
            return download(there.artifact_uri, name, Path(scratch), most)
        path = Path(there.download_artifacts(name, scratch))
        with opened(path):  # it is a file
            return path

    def _listed(self, folder: str) -> tuple[dict[str, int | None], list[str]]:
        if folder not in self._known:
            self._known[folder] = self._list(folder) if folder == "" or is_inside(folder) else ({}, [])
        return self._known[folder]

    def _list(self, folder: str) -> tuple[dict[str, int | None], list[str]]:
        if self._folder is not None:
            entries = list(os.scandir(self._folder / folder)) if (self._folder / folder).is_dir() else []
            prefix = f"{folder}/" if folder else ""
            files: dict[str, int | None] = {
                prefix + e.name: e.stat().st_size for e in entries if e.is_file(follow_symlinks=False)
            }
            return files, [prefix + e.name for e in entries if e.is_dir(follow_symlinks=False)]
        if folder and folder not in self.folders(folder.rpartition("/")[0]):
            return {}, []  # a server answers with an error where there is no such folder
        found = self._store.artifacts(self._run.artifact_uri).list_artifacts(folder or None)
        found = [each for each in found if is_inside(each.path) and each.path.rpartition("/")[0] == folder]
        return {each.path: each.file_size for each in found if not each.is_dir}, [e.path for e in found if e.is_dir]


def _refuse_elsewhere(name: str) -> None:
    if not is_inside(name):
        raise ValueError(f"{name!r} is no name of a file of a run")


def artifact_folder(run: StoredRun) -> Path | None:
    """The artifacts as a folder, if they lie on this machine."""
    parts = urlparse(run.artifact_uri)
    path = Path(unquote(parts.path))
    return path if parts.scheme in ("", "file") and path.is_dir() else None
