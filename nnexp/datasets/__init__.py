"""Data sets: load one by the keys of its config, check those keys before any work, split it.

Nothing heavy is imported before a data set is built: a load from the cache costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnexp.datasets import exercise, matfile, published, tablefile
from nnexp.datasets.cache import cached
from nnexp.datasets.dataset import SCALES, Dataset, Scaling, Split, upright

__all__ = ["SOURCES", "Dataset", "Scaling", "Source", "Split", "check", "load", "upright"]


@dataclass(frozen=True)
class Source:
    """One kind of data set: how it is loaded and checked, and the config keys that both take."""

    load: Callable[..., Dataset]
    check: Callable[..., None]
    keys: tuple[str, ...]


def _load_ex4(*, cache: str | None = None) -> Dataset:
    return cached(cache, "ex4", exercise.build, exercise.DIGEST)


def _load_digits(*, cache: str | None = None) -> Dataset:
    return cached(cache, "digits", published.digits)


def _load_mat(*, path: str, image_shape: Any = "auto", image_order: str = "F", cache: str | None = None) -> Dataset:
    del cache  # the file itself is as near as a cache would be
    return matfile.read(path, _shape(image_shape), image_order)


def _load_csv(
    *, path: str, target: str, image_shape: Any = None, image_order: str = "C", cache: str | None = None
) -> Dataset:
    del cache
    return tablefile.read(path, target, _shape(image_shape), image_order)


def _load_openml(*, openml_name: str, version: int = 1, image_shape: Any = "auto", cache: str | None = None) -> Dataset:
    stem = f"openml-{openml_name}-{version}"
    dataset = cached(cache, stem, lambda: published.openml(openml_name, version, cache))
    if image_shape == "auto":
        return dataset
    return replace(dataset, image_shape=matfile.fit_image_shape(_shape(image_shape), dataset.X.shape[1]))


def _check_mat(*, path: Any = None, image_shape: Any = "auto", image_order: Any = "F") -> None:
    matfile.check_path(path)
    _shape(image_shape)
    _check_order(image_order)


def _check_csv(*, path: Any = None, target: Any = None, image_shape: Any = None, image_order: Any = "C") -> None:
    tablefile.check(path, target)
    _shape(image_shape)
    _check_order(image_order)


def _check_order(image_order: Any) -> None:
    if image_order not in ("C", "F"):
        raise ValueError(f"`data.image_order` must be F (column by column, as MATLAB stores) or C, got {image_order!r}")


def _check_openml(*, openml_name: Any = None, version: Any = 1, image_shape: Any = "auto") -> None:
    published.check_openml(openml_name, version)
    _shape(image_shape)


SOURCES: dict[str, Source] = {
    "ex4": Source(_load_ex4, lambda: None, ("cache",)),
    "digits": Source(_load_digits, lambda: None, ("cache",)),
    "mat": Source(_load_mat, _check_mat, ("path", "image_shape", "image_order", "cache")),
    "csv": Source(_load_csv, _check_csv, ("path", "target", "image_shape", "image_order", "cache")),
    "openml": Source(_load_openml, _check_openml, ("openml_name", "version", "image_shape", "cache")),
}


def load(name: str, **keys: Any) -> Dataset:
    """Load a data set by the keys of the config group ``data``.

    Parameters
    ----------
    name : {"ex4", "digits", "mat", "csv", "openml"}
        The kind of data set.
    **keys
        What that kind takes of the config, see `SOURCES`: ``cache``, the folder in which a built data set is kept
        (None: nowhere); for ``mat`` also ``path``, ``image_shape`` and ``image_order`` of :func:`matfile.read`, for
        ``csv`` also ``target`` of :func:`tablefile.read`; for
        ``openml`` also ``openml_name``, ``version`` and ``image_shape`` of :func:`published.openml`.

    Returns
    -------
    Dataset
        The same bits whether built or from the cache, on any machine and with any number of threads.

    Raises
    ------
    ValueError
        One line that names the config key, its value and what is allowed.
    """
    source = _source(name, keys)
    source.check(**{key: value for key, value in keys.items() if key != "cache"})
    return source.load(**keys)


def check(name: Any, *, test_size: Any = 0.0, validation_size: Any = 0.0, scale: Any = "none", **keys: Any) -> None:
    """Check the keys of the config group ``data``, cheaply: nothing is imported, read or fetched.

    Parameters
    ----------
    name, **keys
        As for :func:`load`.
    test_size, validation_size, scale
        As for :meth:`Dataset.split`.

    Raises
    ------
    ValueError
        One line that names the config key, its value and what is allowed.
    """
    source = _source(name, keys)
    for key, share in (("test_size", test_size), ("validation_size", validation_size)):
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise ValueError(f"`data.{key}` must be a number in [0, 1), got {share!r}")
    if scale not in SCALES:
        raise ValueError(f"`data.scale` must be one of {', '.join(SCALES)}, got {scale!r}")
    cache = keys.pop("cache", None)
    if cache is not None and (not isinstance(cache, str) or not cache.strip()):
        raise ValueError(f"`data.cache` must be a folder, or null for none, got {cache!r}")
    if cache is not None and Path(cache).expanduser().is_file():
        raise ValueError(f"`data.cache` must be a folder, got {cache!r}, which is a file")
    source.check(**keys)


def _source(name: Any, keys: dict[str, Any]) -> Source:
    if not isinstance(name, str) or name not in SOURCES:
        raise ValueError(f"`data.name` must be one of {', '.join(SOURCES)}, got {name!r}")
    unknown = [key for key in keys if key not in SOURCES[name].keys]
    if unknown:
        raise ValueError(
            f"`data.{unknown[0]}` is not a config key of data={name}, which has test_size, validation_size, scale, "
            + ", ".join(SOURCES[name].keys)
        )
    return SOURCES[name]


def _shape(image_shape: Any) -> Any:
    """Read the config's image shape: None, "auto" or (height, width)."""
    if image_shape is None or image_shape == "auto":
        return image_shape
    if isinstance(image_shape, list | tuple) and len(image_shape) == 2:
        if all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in image_shape):
            return tuple(image_shape)
    raise ValueError(f"`data.image_shape` must be auto, null or [height, width], got {image_shape!r}")
