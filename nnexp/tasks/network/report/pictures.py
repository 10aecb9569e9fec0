"""The pictures that only runs of the network have, each only where it says something, with the caption it needs."""

from __future__ import annotations

from collections.abc import Iterator

from nnexp.comparison.drawing import line_styles
from nnexp.comparison.sections import Picture
from nnexp.comparison.settings import Group
from nnexp.comparison.spec import Reader
from nnexp.comparison.wording import listed
from nnexp.tasks.network.report import classes, layers


def of_classes(group: Group, read: Reader) -> Iterator[Picture]:
    """Precision, recall and F1 of each class, and the confusion matrices of the two best settings."""
    found = classes.gather(group, read)
    if len(found) < 2:
        return
    labels = {one.label for one in found}
    shown = [setting for setting in group.settings if setting.label in labels]
    part = group.final.name.split()[0]
    caption = (
        f"Each class on the {part} part: a mark at the mean over {_replicates(group)}, a line from the lowest to the "
        "highest."
    )
    if len(shown) < len(group.settings):
        caption += f" {group.top} {len(found)} settings are shown."
    yield Picture("classes", classes.per_class_sketch(found, line_styles(shown)), caption)
    if not group.has_choice:
        return
    first, second = found[:2]
    caption = (
        f"Confusion on the {part} part, {_replicates(group)} together, of the two best settings, {first.label} (left) "
        f"and {second.label} (middle), and left minus middle: on the diagonal brown is good for the left one, beside "
        "it purple. Less than half a percent is not written."
    )
    yield Picture("confusion", classes.confusions_sketch(first, second), caption)


def _replicates(group: Group) -> str:
    """All that a setting was run with: all seeds, or all splits and seeds."""
    return f"all {listed([f'{noun}s' for noun in (group.noun, group.design.within) if noun])}"


def of_layers(group: Group, read: Reader) -> Iterator[Picture]:
    """The hidden layers side by side."""
    found, seed = layers.gather(group, read)
    if len(found) < 2:
        return
    caption = (
        f"Weights into the hidden units, seed {seed}. In the first row {found[0].label} with the numbers of its units, "
        "beneath each the one unit of every other setting that is most like it, with the correlation of the weights; a "
        "minus: like with all signs turned, and drawn so. Red is positive; each picture has its own scale."
    )
    if len(found) < len(group.settings):
        caption += f" {group.top} {len(found)} of {len(group.settings):,} settings are shown."
    if (units := len(found[0].weights)) > layers.MOST_UNITS:
        caption += f" Of {units} units the {layers.MOST_UNITS} with the closest partners are shown."
    yield Picture("hidden_layers", layers.sketch(found), caption)
