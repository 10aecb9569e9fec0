"""Where the time of a run and of a sweep goes, for each kind of process: a table, and a picture by `--figure FILE`."""

from __future__ import annotations

from benchmarks import commands
from benchmarks.measure import Line
from benchmarks.spans import Process, Span, read

TITLE = "Where the time goes: seconds of wall time by what is done, all processes of a kind together"
SWEEP = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
# Greys, from what is wanted to what is waited for, and the pattern that tells equal ones apart.
LOOKS = {
    "fit": ("#000000", ""),
    "imports": ("#ffffff", "////"),
    "drawing": ("#6e6e6e", ""),
    "publishing": ("#b4b4b4", ""),
    "report": ("#6e6e6e", "xxxx"),
    "claiming": ("#ffffff", "...."),
    "planning": ("#b4b4b4", "||||"),
    "composing": ("#b4b4b4", "\\\\\\\\"),
    "recording": ("#ffffff", "----"),
    "store": ("#6e6e6e", "++++"),
    "waiting": ("#ececec", ""),
}
ORDER = (*LOOKS, "other")


def lines_of(command: str, processes: list[Process]) -> list[Line]:
    """For each kind of process what it does, most CPU time first."""
    whole, found = sum(process.cpu for process in processes), []
    for role in dict.fromkeys(process.role for process in processes):
        mine = [process for process in processes if process.role == role]
        totals = {}
        for name in ORDER:
            parts = [process.total(name) for process in mine]
            parts += [process.unnamed for process in mine if name == "other"]
            totals[name] = tuple(sum(values) for values in zip(*parts, strict=True))
        for name, (wall, cpu) in sorted(totals.items(), key=lambda item: -item[1][1]):
            if wall > 0.005:
                note = f"CPU {cpu:.2f} s, {100 * cpu / whole:.0f} % of that of all; {len(mine)} process"
                found.append(Line(f"{command}, {role}: {name}", wall, "s", note=note + "es" * (len(mine) > 1)))
    return found


def threads(process: Process) -> list[tuple[str, list[Span]]]:
    """The spans of each thread that has some, the first with the name of the process."""
    found: dict[int, list[Span]] = {}
    for span in sorted(process.spans, key=lambda span: (span.begin, -span.end)):
        found.setdefault(span.thread, []).append(span)
    return [(process.role if i == 0 else "", spans) for i, spans in enumerate(found.values())]


def draw(timelines: dict[str, list[Process]], path: str) -> None:
    """A bar for each thread of each process; inner spans lie on those around them."""
    from matplotlib.patches import Patch

    from nnexp.figures.style import new_figure, styled

    @styled
    def drawn() -> None:
        rows = {name: [row for each in processes for row in threads(each)] for name, processes in timelines.items()}
        heights = [0.9 + 0.22 * len(each) for each in rows.values()]
        figure = new_figure(9.0, sum(heights) + 0.7)
        all_axes = figure.subplots(len(rows), 1, gridspec_kw={"height_ratios": heights}, squeeze=False)[:, 0]
        for axes, (name, processes) in zip(all_axes, timelines.items(), strict=True):
            start = min(process.begin for process in processes)
            for i, (_, spans) in enumerate(rows[name]):
                for span in spans:  # those within others after them
                    if span.name in LOOKS:
                        color, hatch = LOOKS[span.name]
                        look = {"facecolor": color, "edgecolor": "black", "linewidth": 0.3, "hatch": hatch}
                        axes.broken_barh([(span.begin - start, span.end - span.begin)], (i - 0.4, 0.8), **look)
            named = {i: role for i, (role, _) in enumerate(rows[name]) if role}
            axes.set_yticks(list(named), list(named.values()))
            for i in list(named)[1:]:
                axes.axhline(i - 0.5, color="gray", linewidth=0.5)
            axes.set(title=name, xlabel="seconds since the start of the command", ylim=(len(rows[name]) - 0.5, -0.5))
            axes.set_xlim(0, max(process.end for process in processes) - start)
        looks = {"edgecolor": "black", "linewidth": 0.3}
        patches = [Patch(facecolor=c, hatch=hatch, label=name, **looks) for name, (c, hatch) in LOOKS.items()]
        figure.legend(handles=patches, loc="lower center", ncols=(len(patches) + 1) // 2, frameon=False)
        figure.tight_layout(rect=(0, 0.7 / (sum(heights) + 0.7), 1, 1))
        figure.savefig(path, dpi=110)

    drawn()


def run(quick: bool, figure: str | None = None) -> list[Line]:
    seeds = ",".join(map(str, range(2 if quick else 16)))
    words = {"a default run": (), f"a sweep of {seeds.count(',') + 1} runs, two workers": (*SWEEP, f"seed={seeds}")}
    timelines, lines = {}, []
    for name, overrides in words.items():
        with commands.scratch() as folder:
            (folder / "timeline").mkdir()
            budget = commands.BUDGET_OF_A_CHECK if quick else ()
            done = commands.whole(folder, *overrides, *budget, NNEXP_TIMELINE=str(folder / "timeline"))
            timelines[name] = read(folder / "timeline")
        known = sum(process.cpu for process in timelines[name])
        note = f"CPU {known:.1f} s" if done.cpu is None else f"CPU {done.cpu:.1f} s, of which {known:.1f} s are below"
        lines += [Line(f"{name}: start to exit", done.seconds, "s", note=note), *lines_of(name, timelines[name])]
    if figure:
        draw(timelines, figure)
    return lines
