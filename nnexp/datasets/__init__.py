"""Data sets: load one by the keys of its config, check those keys before any work, split it.

Nothing heavy is imported before a data set is built: a load from the cache costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from nnexp import own
from nnexp.datasets import custom, exercise, known, matfile, published, tablefile
from nnexp.datasets.cache import cached
from nnexp.datasets.dataset import SCALES, Dataset, Scaling, Split, upright
from nnexp.datasets.known import About, Call
from nnexp.datasets.partition import GROUPED, KINDS, NO_GROUPS

__all__ = [
    "GROUPED",
    "KEYS",
    "KINDS",
    "SOURCES",
    "About",
    "Dataset",
    "Scaling",
    "Source",
    "Split",
    "about",
    "check",
    "find_own",
    "load",
    "typed_options",
    "upright",
]


@dataclass(frozen=True)
class Source:
    """One kind of data set: how it is loaded and checked, and the config keys that both take.

    `call`, of the same keys but for the cache, where its digest may be known without loading it.
    """

    load: Callable[..., Dataset]
    check: Callable[..., None]
    keys: tuple[str, ...]
    call: Callable[..., Call] | None = None

    @classmethod
    def known(cls, call: Callable[..., Call], check: Callable[..., None], keys: tuple[str, ...]) -> Source:
        """One whose digest may be known without loading it."""

        def load(*, cache: str | None = None, **keys: Any) -> Dataset:
            return known.load(call(**keys), cache)

        return cls(load, check, keys, call)


def _load_ex4(*, cache: str | None = None) -> Dataset:
    return cached(cache, "ex4", exercise.build, exercise.DIGEST)


def _load_digits(*, cache: str | None = None) -> Dataset:
    return cached(cache, "digits", published.digits)


def _load_shipped(name: str, *, cache: str | None = None) -> Dataset:
    return cached(cache, name, partial(published.shipped, name))


def _mat(*, path: str, image_shape: Any = "auto", image_order: str = "F", groups: str | None = None) -> Dataset:
    return matfile.read(path, _shape(image_shape), image_order, groups)


def _csv(
    *, path: str, target: str, image_shape: Any = None, image_order: str = "C", groups: str | None = None
) -> Dataset:
    return tablefile.read(path, target, _shape(image_shape), image_order, groups)


def _load_openml(*, openml_name: str, version: int = 1, image_shape: Any = "auto", cache: str | None = None) -> Dataset:
    stem = f"openml-{openml_name}-{version}"
    dataset = cached(cache, stem, lambda: published.openml(openml_name, version, cache))
    if image_shape == "auto":
        return dataset
    return replace(dataset, image_shape=matfile.fit_image_shape(_shape(image_shape), dataset.X.shape[1]))


def _of_file(read: Callable[..., Dataset], package: str) -> Callable[..., Call]:
    """The call of a function that reads a file with a package."""

    def call(*, path: str, **keys: Any) -> Call:
        settings = [metadata.version(package), keys]
        return Call(read.__name__, lambda: read(path=path, **keys), {"path": path}, settings)

    return call


def _check_mat(
    *, path: Any = None, image_shape: Any = "auto", image_order: Any = "F", groups: str | None = None
) -> None:
    matfile.check_path(path)
    if groups in ("X", "y"):
        raise ValueError(f"`data.groups` must name another variable than X and y, got {groups!r}")
    _shape(image_shape)
    _check_order(image_order)


def _check_csv(
    *,
    path: Any = None,
    target: Any = None,
    image_shape: Any = None,
    image_order: Any = "C",
    groups: str | None = None,
) -> None:
    tablefile.check(path, target, groups)
    _shape(image_shape)
    _check_order(image_order)


def _check_order(image_order: Any) -> None:
    if image_order not in ("C", "F"):
        raise ValueError(f"`data.image_order` must be F (column by column, as MATLAB stores) or C, got {image_order!r}")


def _check_openml(*, openml_name: Any = None, version: Any = 1, image_shape: Any = "auto") -> None:
    published.check_openml(openml_name, version)
    _shape(image_shape)


IMAGE_KEYS = ("image_shape", "image_order")
SOURCES: dict[str, Source] = {
    "ex4": Source(_load_ex4, lambda: None, ("cache",)),
    "digits": Source(_load_digits, lambda: None, ("cache",)),
    **{
        name: Source(partial(_load_shipped, name), lambda: None, ("cache",))
        for name in ("breast_cancer", "wine", "iris")
    },
    "mat": Source.known(_of_file(_mat, "scipy"), _check_mat, ("path", "groups", "image_shape", "image_order", "cache")),
    "csv": Source.known(
        _of_file(_csv, "pandas"), _check_csv, ("path", "target", "groups", "image_shape", "image_order", "cache")
    ),
    "openml": Source(_load_openml, _check_openml, ("openml_name", "version", "image_shape", "cache")),
}


CUSTOM, CUSTOM_KEYS = "custom", ("options", *IMAGE_KEYS, "cache")
KEYS = {name: source.keys for name, source in SOURCES.items()} | {CUSTOM: CUSTOM_KEYS}  # by the choice of the group


def find_own(name: str) -> own.Own:
    """The function of the user's own that a name means; a ConfigError where there is none."""
    return own.find_function(custom.KEY, "datasets", name, SOURCES)


def typed_options(name: str, options: Any) -> dict[str, Any]:
    """The options of a user's own function, each as its type; a ConfigError where it does not know one."""
    return custom.typed(find_own(name), options)


def _call_of(name: str, *, options: Any = None, image_shape: Any = None, image_order: Any = None) -> Call:
    """The call of a user's own function, its options checked."""
    if image_order is not None:
        _check_order(image_order)
    return custom.call_of(find_own(name), options, _shape(image_shape), image_order)


def load(name: str, **keys: Any) -> Dataset:
    """Load a data set by the keys of the config group ``data``.

    Parameters
    ----------
    name : {"ex4", "digits", "breast_cancer", "wine", "iris", "mat", "csv", "openml"}, or a user's own function
        The kind of data set. A function is found by its dotted path or entry point, takes ``options``, and returns
        arrays X and y, a scikit-learn Bunch, a pandas DataFrame and Series, or a `Dataset`.
    **keys
        What that kind takes of the config, see `SOURCES`: ``cache``, the folder in which a built data set is kept
        (None: nowhere); for ``mat`` also ``path``, ``groups``, ``image_shape`` and ``image_order`` of
        :func:`matfile.read`, for ``csv`` also ``target`` of :func:`tablefile.read`; for ``openml`` also
        ``openml_name``, ``version`` and ``image_shape`` of :func:`published.openml`.

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


def about(name: str, **keys: Any) -> About:
    """What planning needs to know of the data set that :func:`load` would give, with the same arguments and errors.

    Of a file and of a user's own function that is often known without reading it (:mod:`nnexp.datasets.known`).
    """
    source = _source(name, keys)
    if source.call is None:
        return About.of(load(name, **keys))
    cache = keys.pop("cache", None)
    source.check(**keys)
    return known.about(source.call(**keys), cache)


def check(
    name: Any,
    *,
    test_size: Any = 0.0,
    validation_size: Any = 0.0,
    scale: Any = "none",
    split: Any = "stratified",
    groups: Any = None,
    folds: Any = None,
    fold: Any = 0,
    **keys: Any,
) -> None:
    """Check the keys of the config group ``data``, cheaply: nothing but a user's own module is imported or read.

    Parameters
    ----------
    name, **keys
        As for :func:`load`.
    test_size, validation_size, scale, split, groups, folds, fold
        As for :meth:`Dataset.split`, where `split` is called ``kind``; `groups` may also be the name of a column or
        variable of a file.

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
    _check_split(split, groups, folds, fold)
    if isinstance(groups, str):
        _check_named(groups, name, source)
        keys["groups"] = groups
    if split == GROUPED and groups is None and name in SOURCES:
        raise ValueError(NO_GROUPS)
    cache = keys.pop("cache", None)
    if cache is not None and (not isinstance(cache, str) or not cache.strip()):
        raise ValueError(f"`data.cache` must be a folder, or null for none, got {cache!r}")
    if cache is not None and Path(cache).expanduser().is_file():
        raise ValueError(f"`data.cache` must be a folder, got {cache!r}, which is a file")
    source.check(**keys)


def _check_split(split: Any, groups: Any, folds: Any, fold: Any) -> None:
    def is_count(value: Any, least: int) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    if split not in KINDS:
        raise ValueError(f"`data.split` must be one of {', '.join(KINDS)}, got {split!r}")
    if not (groups is None or is_count(groups, 1) or (isinstance(groups, str) and groups.strip())):
        raise ValueError(
            "`data.groups` must be null, an integer >= 1 (so many consecutive rows are one group) or the name of a "
            f"column or variable, got {groups!r}"
        )
    if folds is not None and not is_count(folds, 2):
        raise ValueError(f"`data.folds` must be an integer >= 2, or null for none, got {folds!r}")
    if folds is None and fold != 0:
        raise ValueError(f"`data.fold` must be 0 where `data.folds` is null, got {fold!r}")
    if not is_count(fold, 0) or fold >= (folds or 1):
        raise ValueError(f"`data.fold` must be an integer from 0 to {(folds or 1) - 1}, got {fold!r}")


def _check_named(groups: str, name: str, source: Source) -> None:
    if "groups" in source.keys:
        return
    returned = "" if name in SOURCES else "; the function itself may return groups"
    raise ValueError(
        f"`data.groups` must be an integer or null for data={name if name in SOURCES else CUSTOM}, got {groups!r}, "
        f"which can only name a column or variable of a file{returned}"
    )


def _source(name: Any, keys: dict[str, Any]) -> Source:
    if not isinstance(name, str):
        raise ValueError(f"`data.name` must be one of {', '.join(SOURCES)}, got {name!r}")
    source = SOURCES.get(name) or _custom(name)
    unknown = [key for key in keys if key not in source.keys]
    if unknown:
        raise ValueError(
            f"`data.{unknown[0]}` is not a config key of data={name if name in SOURCES else CUSTOM}, which has "
            "test_size, validation_size, scale, split, split_seed, folds, fold, " + ", ".join(source.keys)
        )
    return source


def _custom(name: str) -> Source:
    """The data set of a user's own function."""

    def check_custom(**keys: Any) -> None:
        _call_of(name, **keys)

    find_own(name)
    return Source.known(partial(_call_of, name), check_custom, CUSTOM_KEYS)


def _shape(image_shape: Any) -> Any:
    """Read the config's image shape: None, "auto" or (height, width)."""
    if image_shape is None or image_shape == "auto":
        return image_shape
    if isinstance(image_shape, list | tuple) and len(image_shape) == 2:
        if all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in image_shape):
            return tuple(image_shape)
    raise ValueError(f"`data.image_shape` must be auto, null or [height, width], got {image_shape!r}")
