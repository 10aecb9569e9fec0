"""Whether the probabilities of the best settings can be believed: reliability diagrams, and the figures with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnexp.comparison.citing import Sentence, cite
from nnexp.comparison.drawing import INK, line_styles
from nnexp.comparison.metric import Metric
from nnexp.comparison.sections import Picture, Section, Table
from nnexp.comparison.settings import Group
from nnexp.comparison.spec import Reader
from nnexp.comparison.wording import count, ends, listed
from nnexp.figures import scales
from nnexp.figures.sketch import Line, Panel, Sketch
from nnexp.statistics.calibration import EDGES, N_BINS, Calibration, pooled
from nnexp.statistics.intervals import Summary

NAME = "reliability"  # of the table and the picture
MOST_ROWS = 12
MOST_SETTINGS = 3  # more lines cross each other beyond telling apart
LEAST_SHOWN = 10  # samples of a bin; of fewer, a share says nothing
MARKERS = "oDs"
MOST_STEPS = 6  # of an axis
NONE = 1e-9  # of all, percent: where a bin has no predictions


@dataclass(frozen=True, eq=False)
class Measured:
    """The predictions of a setting, all its runs together."""

    label: str
    n_runs: int
    calibration: Calibration


def gather(group: Group, read: Reader) -> list[Measured]:
    """The best settings, best first, on the part that is reported of them; runs of before have no such figures."""
    found: list[Measured] = []
    for setting in group.complete[:MOST_SETTINGS]:
        name = f"reports/calibration_{group.choice.part}.json"
        measured = [read(run_id, name, _parse) for run_id in setting.runs["run_id"]]
        if there := [each for each in measured if each is not None]:
            found.append(Measured(setting.label, len(there), pooled(there)))
    return found


def pictures(group: Group, read: Reader) -> list[Picture]:
    """The reliability diagram of the best settings, where their runs have kept what it is made of."""
    if not (found := gather(group, read)):
        return []
    settings = [setting for setting in group.settings if setting.label in {one.label for one in found}]
    counts = listed(sorted({f"{one.calibration.n:,}" for one in found}))
    runs = max(one.n_runs for one in found)
    together = f", {count(runs, 'run')} together" if runs > 1 else ""
    shown = f" {group.top} {len(found)} settings are shown." if len(found) < len(group.settings) else ""
    caption = (
        f"Reliability on the {group.final.name.split()[0]} part ({counts} predictions of a setting{together}). Above: "
        f"the share of right predictions in {N_BINS} bins of equal width, over the mean probability of the predicted "
        "class in the bin; beneath the dotted line a network is surer than it is right. Bins with fewer than "
        f"{LEAST_SHOWN} predictions have no mark. Below: the share of the predictions in each bin. Probabilities are "
        "the sigmoids of the outputs, divided by their sum. Brier: the mean squared error of the probabilities, summed "
        "over the classes (0 to 2); ECE: the mean distance of the marks from the dotted line, weighted by their "
        f"predictions.{shown}"
    )
    return [Picture(NAME, sketch(found, line_styles(settings)), caption)]


def about(section: Section) -> list[Sentence]:
    """How the probabilities and the figures of a section were made, where it has any."""
    if not any(table.name == NAME for table in section.tables) and not any(p.name == NAME for p in section.pictures):
        return []
    return [(
        "Probabilities are the sigmoids of the outputs, divided by their sum over the classes. They are judged by the "
        "Brier score, the squared error summed over the classes and averaged over the samples ", cite("brier1950"),
        f", and by the expected calibration error of the most probable class in {N_BINS} bins of equal width ",
        cite("naeini2015", "guo2017"), ".",
    )]  # fmt: skip


def tables(group: Group) -> list[Table]:
    """Brier score and calibration error of the settings."""
    metrics = [group.spec.metric(f"{kind}/{group.choice.part}") for kind in ("brier", "ece")]
    settings = [setting for setting in group.complete if all(setting.has(metric.key) for metric in metrics)]
    if not settings:
        return []
    rows = [
        [setting.label, str(setting.n), *(_shown(setting.summary(metric.key), metric) for metric in metrics)]
        for setting in settings[:MOST_ROWS]
    ]
    caption = "Calibration: Brier score (0 to 2) and expected calibration error (15 bins), the lower the better."
    if group.most_seeds > 1:
        caption += f" Means over the {group.noun}s with 95 % intervals."
    if len(settings) > MOST_ROWS:
        caption += f" {group.top} {MOST_ROWS} of {len(settings):,} settings."
    return [Table(caption, ["setting", f"{group.noun}s", *(metric.axis_label for metric in metrics)], rows, name=NAME)]


def _shown(summary: Summary, metric: Metric) -> str:
    mean, low, high = (metric.show(value, unit=False) for value in (summary.mean, *ends(summary, metric)))
    return f"{mean} [{low}, {high}]" if summary.has_interval else mean


def _parse(content: bytes) -> Calibration:
    return Calibration.from_dict(json.loads(content))


def sketch(found: Sequence[Measured], styles: Mapping[str, tuple[Any, Any]]) -> Sketch:
    """The share of right predictions over the probability, and below how many predictions there are of each."""
    diagonal = Line([0, 100], [0, 100], INK, dash=(0, (1, 2)), width=0.9, label="as good as stated")
    above, below = [diagonal], list[Line]()
    for one, marker in zip(found, MARKERS, strict=False):
        measured, (color, dash) = one.calibration, styles[one.label]
        kept = measured.counts >= LEAST_SHOWN
        shown = f"{one.label}: Brier {measured.brier:.3f}, ECE {100 * measured.ece:.1f} %"
        places = 100 * measured.confidences[kept], 100 * measured.accuracies[kept]
        above.append(Line(*places, color, dash, marker=marker, size=4.5, label=shown))
        share = np.repeat(100 * measured.counts / measured.n, 2)
        below.append(Line(np.repeat(100 * EDGES, 2)[1:-1], np.maximum(share, NONE), color, dash, width=1.4))
    shares = np.concatenate([line.y for line in below])
    x = scales.linear(0, 100, "probability of the predicted class (%)", most=MOST_STEPS)
    low = scales.logarithmic(np.append(shares[shares > NONE], 100), "").low
    rows = [
        [Panel(x, scales.linear(0, 102, "right predictions (%)", most=MOST_STEPS), above)],
        [Panel(x, scales.powers(low, 100, "of all (%)"), below)],
    ]
    return Sketch(5.6, 5.9, rows, shares_x=True, heights=(3, 1), legend=1)
