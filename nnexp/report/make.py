"""Make a report: a folder with the page, the table of runs and the figures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from nnexp.figures.style import save
from nnexp.report import curves, gallery, methods, sentences, table, tables
from nnexp.report.drawing import to_svg
from nnexp.report.files import History, RunFiles
from nnexp.report.page import Page, Picture, Section
from nnexp.report.profiles import TAUS
from nnexp.report.selection import Found, Selection, find
from nnexp.report.settings import Group, groups
from nnexp.report.statistics import Comparison, compare
from nnexp.runs.directory import write_atomically
from nnexp.tracking.store import Store

PAGE, FIGURES = "report.html", "figures"
ALL_PAIRS_UP_TO = 4  # settings; of more, the best is compared with the next best
MOST_COMPARED, MOST_DATA_SETS = 12, 4
SUFFIXES = (".png", ".svg", ".pdf")
HOW = (
    "Replicates are seeds: a seed draws the split and the start, and runs of one seed share both. What is said of "
    "settings is about more seeds on the same data, not about other data.",
    "Intervals are 95 % bootstrap intervals of the mean over seeds (bias-corrected and accelerated, 4,999 resamples); "
    "none is given for fewer than three seeds, and with so few any is too short.",
    "p-values are two-sided, of the exact sign-flip permutation test of the mean difference within seeds; n seeds "
    "allow none below 2 / 2ⁿ. Holm's correction keeps the chance of any false claim in a table below 5 %.",
    "Cost is the objective with the penalty, loss the same without it, both in nats per sample and summed over the "
    "outputs; an evaluation is one of cost and gradient, or one Hessian-vector product.",
    "Seconds are of the clock on whatever machine a run had, with whatever else went on there.",
)


@dataclass(frozen=True)
class ReportResult:
    """A report that was made.

    Attributes
    ----------
    path : Path
        The page, `report.html`; beside it `runs.csv`, `runs.parquet` and the folder `figures`.
    n_runs : int
        Runs in the table, whatever became of them.
    sentences : tuple of str
        What the page says first.
    choice : tuple of str
        Those sentences that say which setting is the best and how far that can be believed; empty for a lone run.
    files : tuple of Path
        All that was written.
    """

    path: Path
    n_runs: int
    sentences: tuple[str, ...]
    choice: tuple[str, ...]
    files: tuple[Path, ...]


def make_report(
    store: Store, selection: Selection, out_folder: str | Path, *, formats: Sequence[str] = ("png",)
) -> ReportResult:
    """Compare the runs of a selection and write page, table and figures.

    Parameters
    ----------
    store : Store
        Read only.
    selection : Selection
    out_folder : path
        Made where it is missing; an earlier report in it is replaced.
    formats : sequence of str
        In which the figures are saved beside the page: png, svg, pdf.

    Returns
    -------
    ReportResult

    Raises
    ------
    NothingToReportError
        Where there are no such runs.
    """
    return write_report(find(store, selection), RunFiles(store), Path(out_folder), formats)


def write_report(found: Found, files: RunFiles, folder: Path, formats: Sequence[str] = ("png",)) -> ReportResult:
    """Write the report of runs that have been read."""
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    frame = table.tidy(found.runs)
    params = table.param_keys(frame, found.runs)
    runs = {run.run_id: run for run in found.runs}
    histories = files.histories([runs[run_id] for run_id in frame.loc[frame[table.COUNTED], "run_id"]])
    parts = groups(frame, params)
    writer = _Writer(folder, formats)

    said = [*sentences.about_runs(frame, found.plan), *sentences.about_data(parts, MOST_DATA_SETS)]
    sections = []
    for group in parts[:MOST_DATA_SETS]:
        title = f"Data set {group.name}" if len(parts) > 1 else "Comparison" if len(group.settings) > 1 else "The runs"
        section, own = _section(title, group, histories), _of_group(histories, group)
        prefix = f"{gallery.slug(group.name)}-" if len(parts) > 1 else ""
        section.pictures += [writer.keep(exhibit, prefix) for exhibit in gallery.exhibits(group, own, files, runs)]
        sections.append(section)
    if benchmark := methods.benchmark(parts, histories):
        section = sections[0]
        if len(parts) > 1:
            sections.append(section := Section("Methods over all data sets"))
        section.sentences += sentences.about_methods(benchmark, TAUS[1])
        section.pictures.insert(1, writer.keep(gallery.profiles(benchmark)))
    if sections:
        sections[-1].sentences += sentences.about_step_sizes(parts)
    if len(parts) == 1:
        said += sections[0].sentences
        sections[0].sentences = []
    page = Page(
        title=f"Report: {found.title}",
        facts=_facts(frame),
        command=found.plan.command if found.plan else None,
        sentences=said,
        sections=sections,
        runs=tables.of_runs(frame, params),
        method=HOW if parts else (),
    )
    write_atomically(folder / PAGE, page.html())
    written = [folder / PAGE, *table.write(frame, folder), *writer.written]
    return ReportResult(folder / PAGE, len(frame), tuple(said), _choice(parts), tuple(written))


def _choice(parts: Sequence[Group]) -> tuple[str, ...]:
    """What is said of the best setting of each data set, in two or three sentences."""
    said: list[str] = []
    for group in parts[:MOST_DATA_SETS]:
        own = sentences.about_choice(group)
        if len(group.settings) > 1:
            own = [*own[1:3], *sentences.about_comparisons(group, compare_settings(group))[:1]]
        elif group.best.n == 1:
            continue
        said += [f"{group.name}: {text}" for text in own] if len(parts) > 1 else own
    return tuple(said)


def _clear(folder: Path) -> None:
    """Remove the figures of an earlier report, which may be of other runs."""
    if (folder / PAGE).exists():
        for path in (folder / FIGURES).glob("*"):
            if path.suffix in SUFFIXES:
                path.unlink()


def _of_group(histories: Mapping[str, History], group: Group) -> dict[str, History]:
    own = [run_id for setting in group.settings for run_id in setting.runs["run_id"]]
    return {run_id: histories[run_id] for run_id in own if run_id in histories}


def _facts(frame: table.Frame) -> str:
    first, last = frame["started"].min(), frame["started"].max()
    days = f"{first:%Y-%m-%d}" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return f"{sentences.count(len(frame), 'run')} started {days} (UTC); report of {made}."


def _section(title: str, group: Group, histories: Mapping[str, History]) -> Section:
    """Sentences and tables about the runs on one data set."""
    comparisons = compare_settings(group)
    said = [*sentences.about_choice(group), *sentences.about_comparisons(group, comparisons)]
    if (own := _of_group(histories, group)) and group.has_choice:
        metric = curves.followed(group, own)[0]
        said += sentences.about_curves(curves.winners(group, own, metric), metric)
    shown = [tables.of_what(group)] if group.is_lettered else []
    shown.append(tables.of_settings(group))
    if any(comparison.n for comparison in comparisons):
        shown.append(tables.of_comparisons(comparisons, group.final))
    return Section(title, said, shown)


def compare_settings(group: Group) -> list[Comparison]:
    """All pairs of few settings, or the best of many against the next best, on the metric that is reported."""
    measured = [setting for setting in group.ranked if setting.column(group.final.key).notna().any()]
    if len(measured) < 2 or group.most_seeds < 2 or not group.has_choice:
        return []
    ranked = measured[:MOST_COMPARED]
    labels = [setting.label for setting in ranked]
    pairs = [(labels[0], other) for other in labels[1:]]
    if len(measured) <= ALL_PAIRS_UP_TO:
        pairs = list(combinations(labels, 2))
    values = {setting.label: setting.by_seed(group.final.key) for setting in ranked}
    return compare(values, pairs, higher_is_better=group.final.higher_is_better)


class _Writer:
    """Saves figures in the asked formats and has them ready for the page."""

    def __init__(self, folder: Path, formats: Sequence[str]) -> None:
        self.folder, self.formats = folder / FIGURES, formats
        self.written: list[Path] = []

    def keep(self, exhibit: gallery.Exhibit, prefix: str = "") -> Picture:
        """Save a figure."""
        self.folder.mkdir(exist_ok=True)
        name = prefix + exhibit.name
        for suffix in self.formats:
            path = self.folder / f"{name}.{suffix}"
            save(exhibit.figure, path)
            self.written.append(path)
        return Picture(to_svg(exhibit.figure, name), exhibit.caption)
