"""What seeds, splits and folds of the network's runs vary, and how much their held-out parts overlap."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from nnexp.comparison.metric import MISSING
from nnexp.comparison.settings import SEED, Frame, plain
from nnexp.comparison.spec import ON_NEW_DATA
from nnexp.statistics.paired import Design

SPLIT_SEED, FOLDS, FOLD = "data.split_seed", "data.folds", "data.fold"
KEYS = (SEED, SPLIT_SEED, FOLD)
TEST_SIZE, VALIDATION_SIZE = "data.test_size", "data.validation_size"
NAMES = {SPLIT_SEED: "split", FOLD: "fold"}
NONE = (MISSING, "None", "null", "")
ON_THIS_SPLIT, ON_ALL_DATA = "On this split", "On these samples"


def of_run(run: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """A run's seed, split and fold, those that it has."""
    found = {key: plain(run.get(key)) for key in (*KEYS, FOLDS)}
    if found.pop(FOLDS) in NONE:
        del found[FOLD]
    return tuple((NAMES.get(key, key), value) for key, value in found.items() if value not in NONE)


def of_runs(runs: Frame) -> list[tuple[tuple[str, Any], ...]]:
    """The same of several runs; where some have a split apart from the seed, that of the others is named too."""
    found = [dict(of_run(run)) for run in _rows(runs)]
    if any("split" in row for row in found):
        found = [{SEED: row.get(SEED), "split": row.get(SEED), **row} for row in found]
    return [tuple(row.items()) for row in found]


def design(runs: Frame, part: str) -> tuple[Design, list[Hashable]]:
    """The design of runs that are judged on a part of the data, and the replicate that each run counts for.

    The held-out part follows `data.split_seed`, or where that is null the seed, and the fold. Where it varies, a
    replicate is a part; where it does not, a seed.
    """
    rows = [dict(replicate) for replicate in of_runs(runs)]
    seeds: list[Hashable] = [row.get(SEED) for row in rows]
    ratios = sizes(runs, part)
    if not all(ratios):
        return Design(scope=ON_ALL_DATA), seeds
    parts: list[Hashable] = [(row.get("split", row.get(SEED)), row.get("fold")) for row in rows]
    if len(set(parts)) == 1:
        return Design(scope=ON_THIS_SPLIT), seeds
    noun = "fold" if any("fold" in row for row in rows) else "split" if any("split" in row for row in rows) else SEED
    within = SEED if len(set(zip(parts, seeds, strict=True))) > len(set(parts)) else ""
    folds = max((int(k) for run in _rows(runs) if (k := plain(run.get(FOLDS))) not in NONE), default=1)
    validated = max(sizes(runs, "validation")) if part == "test" else 0.0
    others = (("/validation", validated),) if validated else ()
    return Design(noun, max(ratios), ON_NEW_DATA, within, folds, others), parts


def sizes(runs: Frame, part: str) -> list[float]:
    """For each run the samples of a part over those trained on; 0 where the part is not held out."""
    return [_ratio(run, part) for run in _rows(runs)]


def _rows(runs: Frame) -> list[dict[str, Any]]:
    """What is read here of many columns."""
    return runs[[key for key in (*KEYS, FOLDS, TEST_SIZE, VALIDATION_SIZE) if key in runs]].to_dict("records")


def _ratio(run: Mapping[str, Any], part: str) -> float:
    """Samples of the held-out part over samples trained on; 0 where nothing is held out."""
    folds, test, validation = (plain(run.get(key)) for key in (FOLDS, TEST_SIZE, VALIDATION_SIZE))
    test = _share(test, 0.2)
    tested = 1 / (folds - 1) if folds not in NONE else test / (1 - test)  # for each sample of the rest
    validated = _share(validation, 0.0)
    return {"test": tested, "validation": validated}.get(part, 0.0) / (1 - validated)


def _share(value: Any, default: float) -> float:
    return default if value in NONE else float(value)
