"""What a report says of runs of the network alone."""

from __future__ import annotations

from collections.abc import Sequence

from nnexp.comparison.settings import Group
from nnexp.comparison.wording import listed
from nnexp.tasks.network.report.keys import FIXED_STEP, LEARNING_RATE, METHOD

SELECTED_ON_TEST = (
    "{why}, so the best of {n:,} was chosen on the test part itself, which flatters it. "
    "With data.validation_size=0.2 the choice is made on a part of its own."
)


def about_lambda() -> list[str]:
    """Why runs with nothing held out do not tell which lambda is best."""
    return [
        "Nothing is held out and lambda differs, so none of them is called the best: the training loss is lowest "
        "with the least penalty, whatever the data. data.test_size=0.2 holds out a part to choose by."
    ]


def about_holding_out(keys: Sequence[str]) -> list[str]:
    """Why figures of test parts that were held out in different ways do not tell which network is best."""
    return [
        f"Settings differ in how samples are held out ({listed(keys)}), so none of them is called the best: a higher "
        "figure may be an easier test part."
    ]


def about_selection_bias(group: Group) -> list[str]:
    """That the test part flatters what was chosen on it."""
    if group.choice.part == "validation":
        return [
            f"There is no test part, so the best of {len(group.complete):,} was chosen on the validation part itself, "
            "which flatters it."
        ]
    if group.choice.part != "test":
        return []
    some = any(setting.has("accuracy/validation") for setting in group.settings)
    why = "Not all of them have a validation part" if some else "There is no validation part"
    return [SELECTED_ON_TEST.format(why=why, n=len(group.complete))]


def about_parts(group: Group) -> list[str]:
    """That nothing was held out."""
    if group.choice.part == "test":
        return []
    return [f"No part was held out for testing: these are figures of the {group.final.name.split()[0]} part."]


def about_step_sizes(groups: Sequence[Group]) -> list[str]:
    """Which of several methods took the step size that they have by default."""
    runs = [setting.runs for group in groups for setting in group.settings]
    methods = {str(method) for each in runs if METHOD in each for method in each[METHOD]}
    tuned = {str(m) for each in runs if LEARNING_RATE in each for m in each.loc[each[LEARNING_RATE].notna(), METHOD]}
    if len(methods) < 2 or not (untuned := sorted((methods & {*FIXED_STEP}) - tuned)):
        return []
    its = "its default step size" if len(untuned) == 1 else "their default step sizes"
    return [
        f"{listed(untuned)} ran with {its} ({LEARNING_RATE}), not tuned for these problems; another may do better. "
        "+sweep=step_sizes tries nine of each."
    ]
