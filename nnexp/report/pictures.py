"""The pictures that every task's runs get, each only where it says something, with the caption that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nnexp.comparison import curves, maps, responses
from nnexp.comparison.drawing import MOST_LINES
from nnexp.comparison.sections import Picture, slug
from nnexp.comparison.settings import Group
from nnexp.comparison.spec import History
from nnexp.comparison.wording import listed


def of_curves(group: Group, histories: Mapping[str, History]) -> Iterator[Picture]:
    """What was logged while training."""
    metrics = group.spec.followed(group, histories) if histories else []
    if not metrics or not curves.having(histories, [metric.key for metric in metrics]):
        return
    axes = listed([axis.unit for axis in group.spec.axes])
    caption = f"While training, against {axes}; a dot marks the end, with the final values that the tables have."
    if group.most_seeds > 1:
        caption += f" Lines are medians over the {group.noun}s"
        few = len(group.settings) <= curves.MOST_BANDS
        caption += ", shades reach from the lowest to the highest." if few else "."
        caption += " A run that has ended keeps its last value."
    if len(group.settings) > MOST_LINES:
        caption += f" {group.top} {MOST_LINES} of {len(group.settings):,} settings are shown."
    yield Picture("curves", curves.sketch(group, histories, metrics), caption)


def of_responses(group: Group) -> Iterator[Picture]:
    """Final figures over what was swept."""
    keys, name_of = responses.curve_keys(group), group.spec.name_of
    for key in keys:
        panels = group.spec.panels(group, responses.slice_through_best(group, key))
        if not panels:
            continue
        others = ", the other keys as in the best setting" if len(group.keys) > 1 else ""
        caption = (
            f"Final {listed([panel.name for panel in panels])} over {name_of(key)}{others}: means over "
            f"the {group.noun}s, as bars their 95 % intervals (from three {group.noun}s on), single runs as faint dots"
        )
        caption += "; the triangle marks the best." if group.has_choice else "."
        yield Picture(f"over-{slug(key)}", responses.sketch(group, key), caption)
    if not group.has_choice:
        return
    if maps.is_grid(group):
        first, second = map(name_of, group.keys)
        missing = "" if maps.is_full(group) else "; grey was not run"
        caption = f"Mean {group.by.name} over {first} and {second}; the best is framed{missing}."
        yield Picture("map", maps.heat_map(group), caption)
    elif len(group.keys) > 2:
        caption = (
            f"Each line is one of {len(group.settings):,} settings, from what was swept to its mean {group.by.name}, "
            "which colours it; the best is bold."
        )
        yield Picture("parallel", maps.parallel_coordinates(group), caption)
    elif not keys and len(group.settings) > 2:
        caption = f"Mean {group.by.name} of each setting over what was swept; the best is ringed."
        yield Picture("scatter", maps.scatter(group), caption)
