"""The figures of one data set's runs, each only where it says something, with the caption that it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from nnexp.report import classes, curves, layers, methods, responses
from nnexp.report.drawing import MOST_LINES, looks_of
from nnexp.report.files import History, RunFiles
from nnexp.report.settings import PARTS, Group, name_of
from nnexp.tracking.store import StoredRun


@dataclass(frozen=True)
class Exhibit:
    """A figure with the name of its file and its caption."""

    name: str
    figure: Figure
    caption: str


def exhibits(
    group: Group, histories: Mapping[str, History], files: RunFiles, runs: Mapping[str, StoredRun]
) -> Iterator[Exhibit]:
    """The figures that say something of these runs."""
    if histories:
        yield _curves(group, histories)
    if len(group.settings) > 1:
        yield from _responses(group)
        yield from _classes(group, files, runs)
        yield from _layers(group, files, runs)


def profiles(found: methods.Benchmark) -> Exhibit:
    """The profiles of methods, which take all data sets together."""
    caption = (
        f"Methods over {found.n_problems:,} problems (all else that was swept, and the seeds). A problem is "
        "solved when the cost is down to fL + τ (f0 − fL), f0 the cost at the start and fL the lowest that any method "
        "reached. Above: performance profiles (Dolan and Moré 2002), the share solved with at most so many times the "
        "evaluations of the best method. Below: data profiles (Moré and Wild 2009), the share solved within a budget."
    )
    return Exhibit("profiles", methods.draw(found), caption)


def best_of(group: Group) -> str:
    """What the settings are called of which not all are shown."""
    return "The best" if group.has_choice else "The first"


def slug(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^\w-]+", "_", name).strip("_")


def _curves(group: Group, histories: Mapping[str, History]) -> Exhibit:
    caption = "While training, against iterations, evaluations and seconds; a dot marks the end."
    if group.most_seeds > 1:
        caption += " Lines are medians over the seeds"
        few = len(group.settings) <= curves.MOST_BANDS
        caption += ", shades reach from the lowest to the highest." if few else "."
        caption += " A run that has ended keeps its last value."
    if len(group.settings) > MOST_LINES:
        caption += f" {best_of(group)} {MOST_LINES} of {len(group.settings):,} settings are shown."
    return Exhibit("curves", curves.draw(group, histories), caption)


def _responses(group: Group) -> Iterator[Exhibit]:
    keys = responses.curve_keys(group)
    for key in keys:
        others = ", the other keys as in the best setting" if len(group.keys) > 1 else ""
        caption = (
            f"Final accuracy and loss over {name_of(key)}{others}: means over the seeds, as bars their 95 % bootstrap "
            "intervals (from three seeds on), single seeds as faint dots"
        )
        caption += "; the triangle marks the best." if group.has_choice else "."
        yield Exhibit(f"over-{slug(key)}", responses.validation_curve(group, key), caption)
    if not group.has_choice:
        return
    if responses.is_grid(group):
        first, second = map(name_of, group.keys)
        missing = "" if responses.is_full(group) else "; grey was not run"
        caption = f"Mean {group.by.name} over {first} and {second}; the best is framed{missing}."
        yield Exhibit("map", responses.heat_map(group), caption)
    elif len(group.keys) > 2:
        caption = (
            f"Each line is one of {len(group.settings):,} settings, from what was swept to its mean {group.by.name}, "
            "which colours it; the best is bold."
        )
        yield Exhibit("parallel", responses.parallel_coordinates(group), caption)
    elif not keys and len(group.settings) > 2:
        caption = f"Mean {group.by.name} of each setting over what was swept; the best is ringed."
        yield Exhibit("scatter", responses.scatter(group), caption)


def _classes(group: Group, files: RunFiles, runs: Mapping[str, StoredRun]) -> Iterator[Exhibit]:
    found = classes.gather(group, files, runs)
    if len(found) < 2:
        return
    labels = {one.label for one in found}
    shown = [setting for setting in group.settings if setting.label in labels]
    part = PARTS[group.part]
    caption = (
        f"Each class on the {part} part: a mark at the mean over the seeds, a line from the lowest to the highest."
    )
    if len(shown) < len(group.settings):
        caption += f" {best_of(group)} {len(found)} settings are shown."
    yield Exhibit("classes", classes.per_class(found, looks_of(shown)), caption)
    if not group.has_choice:
        return
    first, second = found[:2]
    caption = (
        f"Confusion on the {part} part, all seeds together, of the two best settings, {first.label} (left) and "
        f"{second.label} (middle), and left minus middle: on the diagonal brown is good for the left one, beside it "
        "purple. Less than half a percent is not written."
    )
    yield Exhibit("confusion", classes.confusions(first, second), caption)


def _layers(group: Group, files: RunFiles, runs: Mapping[str, StoredRun]) -> Iterator[Exhibit]:
    found, seed = layers.gather(group, files, runs)
    if len(found) < 2:
        return
    caption = (
        f"Weights into the hidden units, seed {seed}. In the first row {found[0].label} with the numbers of its units, "
        "beneath each the one unit of every other setting that is most like it, with the correlation of the weights; a "
        "minus: like with all signs turned, and drawn so. Red is positive; each picture has its own scale."
    )
    if len(found) < len(group.settings):
        caption += f" {best_of(group)} {len(found)} of {len(group.settings):,} settings are shown."
    if (units := len(found[0].weights)) > layers.MOST_UNITS:
        caption += f" Of {units} units the {layers.MOST_UNITS} with the closest partners are shown."
    yield Exhibit("hidden_layers", layers.draw(found), caption)
