"""How runs of the network are compared, and what a report says of them beyond what it says of every task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from nnexp.comparison.citing import Sentence
from nnexp.comparison.metric import Metric
from nnexp.comparison.sections import Section
from nnexp.comparison.settings import Choice, Column, Frame, Group, Setting
from nnexp.comparison.spec import SECONDS, STEPS, Axis, ComparisonSpec, Evidence, History, Panel, Reader
from nnexp.figures.colors import PART_COLORS
from nnexp.statistics.paired import Design
from nnexp.tasks.network.config import HOLDING_OUT
from nnexp.tasks.network.report import classes, over_problems, pictures, reliability, replicates, sentences, training
from nnexp.tasks.network.report.keys import COST, EVALUATIONS, L2, METHOD, OPTIONS

TEST = "accuracy/test"
KINDS = {"accuracy": "accuracy (%)", "loss": "loss (nats per sample)"}


class NetworkComparison(ComparisonSpec):
    """By the test part, chosen on the validation part where there is one."""

    key_names = {  # noqa: RUF012 - as in the base class, never changed
        L2: "lambda",
        "model.hidden_size": "hidden units",
        METHOD: "method",
        "optimizer.maxfun": "evaluations at most",
        "optimizer.maxiter": "iterations at most",
    }
    axis_names = {L2: "λ, the penalty"}  # noqa: RUF012
    value_forms = {  # noqa: RUF012 - of values that say themselves what they are
        **dict.fromkeys((METHOD, "model.activation", "training.dtype", "data.name"), "{}"),
        "model.hidden_size": "{} units",
    }
    axes = (
        Axis(STEPS.column, "iterations", "iterations"),
        Axis(EVALUATIONS, "evaluations of cost and gradient", "evaluations"),
        Axis(SECONDS.column, "seconds of the fit", "seconds", is_whole=False),
    )
    data_key = "data.name"
    alternatives = METHOD
    replicate_keys = replicates.KEYS
    split_name = replicates.NAMES[replicates.SPLIT_SEED]
    explanations = (
        "Cost is the objective with the penalty, loss the same without it, both in nats per sample and summed over the "
        "outputs; an evaluation is one of cost and gradient, or one Hessian-vector product.",
    )

    def planned_choice(self, runs: Frame) -> Choice:
        """By the parts that all of them will have."""
        parts = [part for part in ("test", "validation") if all(replicates.sizes(runs, part))]
        final = self.metric(f"accuracy/{parts[0]}" if parts else COST)
        return Choice(final, final, part=final.key.partition("/")[2])

    def replicates_of(self, runs: Frame) -> list[tuple[tuple[str, Any], ...]]:
        """The seed, the split and the fold."""
        return replicates.of_runs(runs)

    def design(self, runs: Frame, choice: Choice) -> tuple[Design, list[Hashable]]:
        """By whether the held-out part varies."""
        return replicates.design(runs, choice.part)

    def n_samples(self, group: Group, run_id: str, read: Reader) -> Mapping[str, int]:
        """Of the accuracy on each held-out part that has a report."""
        sizes = {f"accuracy/{part}": classes.n_samples(run_id, part, read) for part in ("validation", "test")}
        return {key: size for key, size in sizes.items() if size}

    def independent(self, columns: Mapping[str, Column]) -> list[str]:
        """The method first, and without the options that it alone decides."""
        keys = list(columns)
        if METHOD in columns:
            decided = {k for k, c in columns.items() if c.groupby(columns[METHOD]).nunique().max() == 1}
            keys = [key for key in keys if not (key in decided and key.startswith(OPTIONS))]
            keys.sort(key=lambda key: key != METHOD)
        return keys

    def choose(self, runs: Frame, params: Sequence[str], logged: Sequence[str]) -> Choice:
        """By what ranks them, reported on the test part where there is one; by the training loss where nothing does."""
        by, tie = self.ranking(runs, params, logged) or ("loss/train", "")
        is_fair = bool(tie)
        if by == COST and not _all_have(runs, COST):
            by = "loss/train"
        final = TEST if TEST in logged else by
        return Choice(self.metric(by), self.metric(final), tie, is_fair, final.partition("/")[2])

    def columns(self, group: Group) -> list[Metric]:
        """What it was chosen by, and the losses of the part that is reported."""
        others = group.having([f"loss/{group.choice.part}", COST])
        return list(dict.fromkeys([group.by, group.final, *others]))

    def run_columns(self, logged: Sequence[str]) -> list[str]:
        """The accuracies, and what was minimized."""
        shown = (COST, "accuracy/train", "accuracy/validation", TEST)
        return [key for key in shown if key in logged]

    def compared(self, group: Group) -> list[Metric]:
        """The reported figure, where it can be."""
        return [group.final] if group.has_choice else []

    def followed(self, group: Group, histories: Mapping[str, History]) -> list[Metric]:
        """The cost, or where lambda was swept a loss, which knows no penalty; and an accuracy."""
        loss = f"loss/{group.choice.part}"
        with_part = [set(history) for history in histories.values() if loss in history]
        there = set[str].intersection(*(with_part or [set(history) for history in histories.values()]))
        held_out = next((part for part in ("validation", "test") if f"loss/{part}" in there), "train")
        cost = f"loss/{held_out}" if L2 in group.keys else COST
        return [self.metric(key) for key in (cost, f"accuracy/{held_out}") if key in there]

    def panels(self, group: Group, settings: Sequence[Setting]) -> list[Panel]:
        """Accuracy and loss of each part."""
        found: list[Panel] = []
        for kind, label in KINDS.items():
            parts = [p for p in PART_COLORS if any(setting.has(f"{kind}/{p}") for setting in settings)]
            lines = [(self.metric(f"{kind}/{p}"), self.metric(f"{kind}/{p}").name.split()[0], PART_COLORS[p])
                     for p in parts]  # fmt: skip
            if lines:
                found.append(Panel(kind, label, lines))
        return found

    def about_no_choice(self, group: Group) -> list[str]:
        """The ways to hold out differ, or lambda."""
        keys = [key for key in HOLDING_OUT if key in group.keys]
        return sentences.about_holding_out(keys) if keys else sentences.about_lambda()

    def about_selection_bias(self, group: Group) -> list[str]:
        """That a validation part would help."""
        return sentences.about_selection_bias(group)

    def about_training(self, group: Group) -> list[Sentence]:
        """The network, its cost, the method, the data and their split."""
        return training.about_training(group)

    def about_parts(self, group: Group) -> list[str]:
        """That nothing was held out."""
        return sentences.about_parts(group)

    def add_to(self, section: Section, group: Group, read: Reader) -> None:
        """How far probabilities can be believed; the classes and the hidden layers of several settings."""
        section.tables += reliability.tables(group)
        section.pictures += reliability.pictures(group, read)
        section.methods += reliability.about(section)
        if len(group.settings) > 1:
            section.pictures += [*pictures.of_classes(group, read), *pictures.of_layers(group, read)]

    def over_groups(self, groups: Sequence[Group], evidence: Evidence) -> Section:
        """The ranks over the data sets; the methods over all problems, and their step sizes."""
        section = super().over_groups(groups, evidence)
        over_problems.add_to(section, groups, evidence)
        return section


def _all_have(runs: Frame, key: str) -> bool:
    return key in runs and bool(runs[key].notna().all())
