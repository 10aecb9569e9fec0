"""Make a report: a folder with the page, the table of runs and the figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path

from nnexp import tasks
from nnexp.comparison import curves, logged_figures, searches, trials, variance_sources
from nnexp.comparison.grouping import COUNTED, TASK, compare_settings, groups, with_sample_sizes
from nnexp.comparison.metric import Metric
from nnexp.comparison.sections import Section, slug
from nnexp.comparison.settings import Frame, Group
from nnexp.comparison.spec import ComparisonSpec, Evidence, History, Reader, References
from nnexp.comparison.wording import count
from nnexp.errors import UsageError
from nnexp.figures import scales
from nnexp.figures.canvas import png
from nnexp.figures.sketch import Panel, Sketch
from nnexp.figures.style import save
from nnexp.report import claims, latex, method, page, pictures, rendering, sentences, table, tables
from nnexp.report.files import RunFiles
from nnexp.report.page import Page
from nnexp.report.selection import Found, Selection, find
from nnexp.runs import tags
from nnexp.runs.directory import write_atomically
from nnexp.runs.records import SweepPlan
from nnexp.terminal import say
from nnexp.tracking.registry import Registered
from nnexp.tracking.store import Store

PAGE, FIGURES, LATEX = "report.html", "figures", "latex"
MOST_GROUPS = 4
NEWEST = 4  # runs, of whose tasks a report will be
SUFFIXES = (".png", ".svg", ".pdf")
FEW = (
    "No interval is given for fewer than three replicates, nor where all are equal. p-values are two-sided; those of "
    "a table are corrected together where more than one is given."
)
CLOCK = "Seconds are of the clock on whatever machine a run had, with whatever else went on there."


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
        Those sentences that say which setting is the best and how far that can be believed, on each data set and over
        all; empty for a lone run.
    files : tuple of Path
        All that was written.
    latex : Path or None
        The LaTeX document of the report, in its folder `latex`, where it was asked for.
    registered : Registered or None
        The version of the best run's model, where it was registered.
    """

    path: Path
    n_runs: int
    sentences: tuple[str, ...]
    choice: tuple[str, ...]
    files: tuple[Path, ...]
    latex: Path | None = None
    registered: Registered | None = None


def prepare(store: Store) -> None:
    """Import and read what a report on the newest runs will need: the first one of a process takes half longer else."""
    import_module("pyarrow.parquet")
    with suppress(Exception):  # what is wrong with the store, the report itself will say
        for task in {run.tags.get(tags.TASK, tasks.NETWORK) for run in store.search(newest_first=True, limit=NEWEST)}:
            spec_of(task)
    page.template()
    rendering.render(Sketch(1, 1, [[Panel(scales.linear(0, 100, "of (%)"), scales.linear(0.1, 1, ""), title="runs")]]))


def make_report(
    store: Store,
    selection: Selection,
    out_folder: str | Path,
    *,
    formats: Sequence[str] = ("png",),
    margin: float | None = None,
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
    margin : float, optional
        Up to which a difference of the figure that is reported is of no account, in its own unit.

    Returns
    -------
    ReportResult

    Raises
    ------
    NothingToReportError
        Where there are no such runs.
    """
    return write_report(find(store, selection), RunFiles(store), Path(out_folder), formats, margin)


def write_report(
    found: Found,
    files: RunFiles,
    folder: Path,
    formats: Sequence[str] = ("png",),
    margin: float | None = None,
    references: References | None = None,
    *,
    with_latex: bool = False,
) -> ReportResult:
    """Write the report of runs that have been read.

    Differences up to the margin are of no account; `references` asks for reference runs.
    """
    frame = table.tidy(found.runs)
    params, logged = table.param_keys(frame, found.runs), table.metric_keys(frame, found.runs)
    runs = {run.run_id: run for run in found.runs}
    histories = files.histories([runs[run_id] for run_id in frame.loc[frame[COUNTED], "run_id"]])
    parts = [
        with_sample_sizes(part, files.reader(runs))
        for part in groups(frame, params, logged, specs_of(found.plan), margin)
    ]
    _refuse_margin(parts, margin)
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    specs = list({group.spec: None for group in parts})

    said = [*sentences.about_runs(frame, found.plan), *sentences.about_groups(parts, MOST_GROUPS)]
    sections = [_section(parts, group, histories, files.reader(runs)) for group in parts[:MOST_GROUPS]]
    overall: list[str] = []
    for spec in specs:
        own = [group for group in parts if group.spec is spec]
        sweep = found.plan.sweep if found.plan else ""
        evidence = Evidence(frame, _complete(histories, spec), files.reader(runs), references, sweep)
        over = spec.over_groups(own, evidence)
        overall += over.summary
        if len(own) > 1 and (over.pictures or over.tables):
            sections.append(_of_task(over, own[0]) if len(specs) > 1 else over)
            continue
        is_shown = len(own) == 1 and own[0] in parts[:MOST_GROUPS]
        last = sections[parts.index(own[0])] if is_shown else sections[-1]
        last.sentences += over.sentences
        last.tables += over.tables
        last.methods += over.methods
        last.pictures[1:1] = over.pictures
    said += overall
    if len(parts) == 1:
        said += sections[0].sentences
        sections[0].sentences = []
    software = method.software(frame[frame[COUNTED]], files.reader(runs), files.is_unread)
    svgs, drawn = _draw(sections, folder / FIGURES, formats)
    if (trouble := files.about_unread()) is not None:
        say(trouble)
        said.insert(0, trouble)
    made = Page(
        title=f"Report: {found.title}",
        facts=_facts(frame),
        command=found.plan.command if found.plan else None,
        sentences=said,
        sections=sections,
        runs=tables.of_runs(frame, params, _run_columns(frame, logged)),
        methods=method.paragraphs(sections, software),
        explanations=_explanations(specs),
        made_with=software.note,
        svgs=svgs,
    )
    for_paper = latex.write(made, folder / LATEX) if with_latex else []
    written = (folder / PAGE, *table.write(frame, folder), *drawn, *for_paper)
    write_atomically(folder / PAGE, made.html())  # the last: where it is, all of the report is
    document = folder / LATEX / latex.DOCUMENT if with_latex else None
    return ReportResult(folder / PAGE, len(frame), tuple(said), (*_choice(parts), *overall), written, document)


def _refuse_margin(parts: Sequence[Group], margin: float | None) -> None:
    """See that a margin is not given in percentage points."""
    for metric in (group.final for group in parts if margin is not None and margin >= 1 and group.final.is_share):
        raise UsageError(
            f"`report.margin` must be < 1 for {metric.name}, which is a share, got {margin:g}; "
            "0.005 is half a percentage point"
        )


def spec_of(task: str) -> ComparisonSpec:
    """How runs of a task are compared."""
    return tasks.recorded(task).comparison


def specs_of(plan: SweepPlan | None) -> Callable[[str], ComparisonSpec]:
    """How runs of tasks are compared that are of a sweep: those of a search by its objective, of several the first."""

    @cache
    def of(task: str) -> ComparisonSpec:
        spec = spec_of(task)
        if plan is None or not plan.objectives:
            return spec
        better = {"maximize": True, "minimize": False}.get(plan.directions[0])
        is_merit = spec.metric(plan.objectives[0]).higher_is_better is better
        return spec.ranked_by(plan.objectives[0]) if is_merit else spec

    return of


def _choice(parts: Sequence[Group]) -> tuple[str, ...]:
    """What is said of the best setting of each group, in two or three sentences."""
    said: list[str] = []
    for group in parts[:MOST_GROUPS]:
        if len(group.settings) > 1:
            comparisons = compare_settings(group, group.final) if group.has_choice else []
            own = claims.about_best(group) or claims.about_choice(group)[1:2]
            own = [*own, *claims.about_comparisons(group, comparisons)[:1]]
        elif group.best.n > 1:
            own = claims.about_choice(group)
        else:
            continue
        said += [f"{group.name}: {text}" for text in own] if len(parts) > 1 else own
    return tuple(said)


def _clear(folder: Path) -> None:
    """Remove the figures of an earlier report, which may be of other runs."""
    if (folder / PAGE).exists():
        for path in (folder / FIGURES).glob("*"):
            if path.suffix in SUFFIXES:
                path.unlink()


def _facts(frame: Frame) -> str:
    first, last = frame["started"].min(), frame["started"].max()
    days = f"{first:%Y-%m-%d}" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return f"{count(len(frame), 'run')} started {days} (UTC); report of {made}."


def _explanations(specs: Sequence[ComparisonSpec]) -> list[str]:
    """How the numbers are to be read."""
    return [FEW, *dict.fromkeys(text for spec in specs for text in spec.explanations), CLOCK] if specs else []


def _run_columns(frame: Frame, logged: Sequence[str]) -> list[Metric]:
    """The figures in the table of all runs, of whatever tasks they are."""
    metrics: dict[str, Metric] = {}
    for task, runs in frame.groupby(TASK, sort=False):
        spec = spec_of(task)
        own = [key for key in logged if runs[key].notna().any()]
        metrics |= {key: spec.metric(key) for key in spec.run_columns(own)}
    return list(metrics.values())


def _section(parts: Sequence[Group], group: Group, histories: Mapping[str, History], read: Reader) -> Section:
    """What there is to say of one group and to show."""
    own = [run_id for setting in group.settings for run_id in setting.runs["run_id"]]
    histories = _complete({run_id: histories[run_id] for run_id in own if run_id in histories}, group.spec)
    comparisons = [(metric, compare_settings(group, metric)) for metric in group.spec.compared(group)]
    said = claims.about_choice(group)
    said += claims.about_comparisons(group, comparisons[0][1] if comparisons else [])
    if group.has_choice and (followed := group.spec.followed(group, histories) if histories else []):
        said += sentences.about_curves(curves.winners(group, histories, followed[0]), followed[0])
    shown = [tables.of_lettered(group)] if group.is_lettered else []
    shown.append(tables.of_settings(group))
    for metric, compared in comparisons:
        if any(comparison.n for comparison in compared):
            shown.append(tables.of_comparisons(compared, metric, group.design))
    used = method.Used.of(group, comparisons)
    made = method.about_group(group, used)
    section = Section(_title(parts, group), said, shown, list(pictures.of_curves(group, histories)), made)
    section.replicates, section.intervals = used.about_n, used.about_intervals
    if len(group.settings) > 1:
        section.pictures += pictures.of_responses(group)
    searches.add_to(section, group)
    trials.add_to(section, group)
    variance_sources.add_to(section, group)
    group.spec.add_to(section, group, read)
    section.pictures += logged_figures.of_runs(group, read)
    if len(parts) > 1:  # each file and each id in the page has a name of its own
        section.tables = [replace(t, name=f"{slug(group.name)}-{t.file_name}") for t in section.tables]
        section.pictures = [replace(p, name=f"{slug(group.name)}-{p.name}") for p in section.pictures]
    return section


def _of_task(over: Section, group: Group) -> Section:
    """The part over the data sets of one of several tasks, with names that no other task's part has."""
    task = str(group.settings[0].runs[TASK].iloc[0])
    drawn = [replace(picture, name=f"{slug(task)}-{picture.name}") for picture in over.pictures]
    return replace(over, title=f"{over.title} of {task}", pictures=drawn)


def _title(parts: Sequence[Group], group: Group) -> str:
    if len(parts) == 1:
        return "Comparison" if len(group.settings) > 1 else "The runs"
    return f"{sentences.kind_of(parts).capitalize()} {group.name}"


def _complete(histories: Mapping[str, History], spec: ComparisonSpec) -> dict[str, History]:
    """The histories that can be drawn over all axes of their task."""
    return curves.having(histories, [axis.column for axis in spec.axes])


def _draw(sections: Sequence[Section], folder: Path, formats: Sequence[str]) -> tuple[dict[str, str], list[Path]]:
    """The figures as SVG for the page by their names, and their files in the asked formats."""
    svgs, written = {}, []
    for picture in (picture for section in sections for picture in section.pictures):
        svgs[picture.name], pixels = rendering.render(picture.drawing)
        folder.mkdir(exist_ok=True)
        for suffix in formats:
            written.append(folder / f"{picture.name}.{suffix}")
            if suffix == "png":
                written[-1].write_bytes(png(pixels))
            else:
                save(picture.figure, written[-1])
    return svgs, written
