"""What the trials of a search tell beyond the best of them: which of the searched keys mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from nnexp.comparison.citing import cite
from nnexp.comparison.drawing import COLORS, INK, drawn, panels
from nnexp.comparison.metric import MISSING
from nnexp.comparison.scales import KeyScale
from nnexp.comparison.sections import Picture, Section, Table
from nnexp.comparison.settings import Group
from nnexp.comparison.wording import count, listed

LEAST_TRIALS, ENOUGH_TRIALS = 10, 30
SPARSE = 2  # a search has tried at most one of so many combinations of the values that it has tried
TREES, FEWER_TREES, MANY_TRIALS = 64, 16, 50  # of the forest; more trials need fewer trees, and each takes longer
RANDOM_KEYS = 5


@dataclass(frozen=True)
class Importances:
    """The share of each searched key, the largest first; all together 1.

    Attributes
    ----------
    shares : mapping of str to float
        By the key.
    noise : float
        The largest share that a key without any influence got, of `RANDOM_KEYS` that were drawn at random.
    n_trials : int
    left_out : tuple of str
        Keys that not all trials have.
    """

    shares: Mapping[str, float]
    noise: float
    n_trials: int
    left_out: tuple[str, ...] = ()


def is_search(group: Group) -> bool:
    """Whether the settings of a group are trials spread over a space, and no grid of values."""
    n_values = [len({setting.values[key] for setting in group.settings}) for key in group.keys]
    return SPARSE * len(group.settings) <= math.prod(n_values)


def importances(group: Group) -> Importances | None:
    """How much of what was found each searched key explains by itself; None of a grid, or of fewer than 10 trials.

    By functional analysis of variance over a random forest (Hutter, Hoos and Leyton-Brown, *An efficient approach for
    assessing hyperparameter importance*, 2014), as Optuna has it. The space is that of the values tried, on a
    logarithmic scale where they span a factor of 10: Optuna itself would weigh such a key by its largest decade alone.
    Several seeds of one setting are one trial, with their mean. The forest has a fixed seed: the same trials give the
    same shares.
    """
    metric = group.by
    trials = [setting for setting in group.settings if setting.has(metric.key)]
    if len(trials) < LEAST_TRIALS or not is_search(group):
        return None
    values = {key: [setting.values[key] for setting in trials] for key in group.keys}
    whole = {key: column for key, column in values.items() if MISSING not in column and len(set(column)) > 1}
    figures = np.array([setting.column(metric.key).mean() for setting in trials])
    if len(whole) < 2 or np.ptp(figures) == 0:
        return None
    scales = {key: KeyScale.of(column) for key, column in whole.items()}
    columns = {key: np.array([scales[key](value) for value in column]) for key, column in whole.items()}
    texts = {key for key, scale in scales.items() if not scale.is_numeric}
    shares = _shares(columns, texts, figures)
    rng = np.random.default_rng(0)
    noise = [_shares(columns | {"": rng.uniform(size=len(trials))}, texts, figures)[""] for _ in range(RANDOM_KEYS)]
    left_out = tuple(key for key in group.keys if key not in whole)
    return Importances(shares, max(noise), len(trials), left_out)


def _shares(columns: Mapping[str, np.ndarray], texts: set[str], figures: np.ndarray) -> dict[str, float]:
    """Optuna's importances of a study with these trials, the largest first."""
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space: dict[str, BaseDistribution] = {
        key: CategoricalDistribution(sorted(set(column)))
        if key in texts
        else FloatDistribution(float(column.min()), float(column.max()))
        for key, column in columns.items()
    }
    study = optuna.create_study()
    for row, figure in enumerate(figures):
        params = {key: float(column[row]) for key, column in columns.items()}
        study.add_trial(optuna.create_trial(params=params, distributions=space, value=float(figure)))
    n_trees = TREES if len(figures) <= MANY_TRIALS else FEWER_TREES
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=n_trees, seed=0)
    return {
        key: float(share) for key, share in optuna.importance.get_param_importances(study, evaluator=evaluator).items()
    }


def add_to(section: Section, group: Group) -> None:
    """Add what there is to say and to show of a search."""
    found = importances(group)
    if found is None:
        return
    section.sentences.append(_sentence(group, found))
    section.tables.append(_table(group, found))
    section.methods.append((
        f"The importance of the searched keys for {group.by.name} is by functional analysis of variance over a random "
        "forest ", cite("hutter2014"), f", of {found.n_trials} trials.",
    ))  # fmt: skip
    caption = (
        f"Of what the searched keys explain of {group.by.name}, each by itself, the share of each, over "
        f"{found.n_trials} trials: functional "
        "analysis of variance of a random forest (Hutter et al. 2014), the space being that of the values tried. The "
        f"dashed line is the most that a key without influence got, of {RANDOM_KEYS} drawn at random. No "
        "interval is given."
    )
    section.pictures.append(Picture("importances", draw(group, found), caption))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "below 1 %"


def _sentence(group: Group, found: Importances) -> str:
    above = [f"{group.spec.name_of(k)} {_percent(s)}" for k, s in found.shares.items() if s > found.noise]
    below = [group.spec.name_of(key) for key, share in found.shares.items() if share <= found.noise]
    said = f"Of what the searched keys explain of {group.by.name}, each by itself, over {found.n_trials} trials: "
    said += f"{listed(above)}" if above else "none more than a key without influence could"
    if above and below:
        said += f"; {listed(below)} no more than a key without influence could ({_percent(found.noise)})"
    if found.n_trials < ENOUGH_TRIALS:
        said += f". {count(found.n_trials, 'trial')} are few for this: it is a guess below some {ENOUGH_TRIALS}"
    if found.left_out:
        said += f". Left out, since not all trials have it: {listed(list(map(group.spec.name_of, found.left_out)))}"
    return said + "."


def _table(group: Group, found: Importances) -> Table:
    rows = [
        [group.spec.name_of(key), _range(group, key), f"{100 * share:.1f} %"] for key, share in found.shares.items()
    ]
    caption = f"Importance of the searched keys for {group.by.name}, {found.n_trials} trials; the noise is up to "
    return Table(
        f"{caption}{100 * found.noise:.1f} %.", ["key", "tried", "share"], rows, frozenset({0, 1}), name="importances"
    )


def _range(group: Group, key: str) -> str:
    """What was tried of a key."""
    values = KeyScale.of([setting.values[key] for setting in group.settings]).values
    if all(isinstance(value, int | float) for value in values):
        return f"{values[0]:.3g} to {values[-1]:.3g}"
    return ", ".join(map(str, values))


@drawn
def draw(group: Group, found: Importances) -> Figure:
    """Draw a bar for each key, the most important on top."""
    figure, axes = panels(5.6, 0.9 + 0.3 * len(found.shares), 1, 1)
    panel, names = axes[0, 0], [group.spec.axis_name(key) for key in found.shares]
    shares = [100 * share for share in found.shares.values()]
    panel.barh(names, shares, color=COLORS[0], height=0.62)
    panel.axvline(100 * found.noise, color=INK, linestyle=(0, (4, 3)), linewidth=1)
    for row, share in enumerate(shares):
        panel.annotate(f"{share:.0f} %", (share, row), (4, 0), textcoords="offset points", va="center", fontsize=8)
    panel.invert_yaxis()
    panel.set_xticks(range(0, 101, 20))
    panel.set(xlabel=f"share of what they explain of {group.by.name} (%)", xlim=(0, 1.12 * max(shares)))
    panel.tick_params(axis="y", length=0)
    return figure
