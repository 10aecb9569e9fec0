"""Notes: what the MLflow UI shows at the top of a run and of a sweep, in Markdown.

The UI shows about five lines of a note before "Show more", so what matters comes first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nnexp.runs.records import RunRecord, RunResult, SweepPlan
from nnexp.runs.tags import CHANGED, CHECK, DIRECTORY, RERUN_OF
from nnexp.tasks.presentation import Presentation

NOTE = "mlflow.note.content"
LONGEST = 7500  # characters; MLflow takes 8,000 in a tag
SEEDS = 10  # that are linked; an address is long


def run_note(shown: Presentation, record: RunRecord, result: RunResult | None, run_id: str | None = None) -> str:
    """What a run is, its result, how to run it again and where its directory is; the result is None while it trains."""
    lines = [f"**{plain(shown.what(record))}**: {_outcome(shown, result)}", "", *_rerun(record, result)]
    command = f"Run it again: `nnexp rerun {run_id}`. " if run_id and result else ""
    lines.append(f"{command}Directory: {_code(record.tags[DIRECTORY])} on {_host(record)}")
    if result is not None and (outcome := shown.outcome(result)):
        lines += ["", *(shown.table(result) or [outcome]), "", plain(result.message)]
    asked = [_code(text) for text in record.overrides if not text.startswith("tracking.")]
    if asked:
        lines += ["", f"Overrides: {', '.join(asked)}"]
    return "\n".join(lines)[:LONGEST]


def _outcome(shown: Presentation, result: RunResult | None) -> str:
    if result is None:
        return "running"
    ended = "" if result.is_finished else result.status.lower()
    return ", ".join(filter(None, [ended, shown.outcome(result) or plain(result.message)]))


def _rerun(record: RunRecord, result: RunResult | None) -> list[str]:
    """Of which run it is the rerun, what a check said and what has changed."""
    tags = {**record.tags, **(result.tags if result is not None else {})}
    if RERUN_OF not in tags:
        return []
    verdict = f": **{plain(tags[CHECK])}**" if CHECK in tags else ""
    changed = tags.get(CHANGED, "nothing recorded")
    return [f"Rerun of {_code(tags['nnexp.rerun_of'])}{verdict}; changed: {plain(changed)}", ""]


def sweep_note(
    plan: SweepPlan,
    counts: Mapping[str, int],
    best: Sequence[Any],
    ranked_by: str,
    failures: Sequence[str],
    links: Mapping[str, str],
    run_link: str,
    choice: Sequence[str] = (),
) -> str:
    """How far a sweep is, where to compare its runs, and which settings are the best.

    Parameters
    ----------
    best
        Objects with `shown` (a mean as text), `name` and `runs` (pairs of a seed and a run's id), best first.
    ranked_by
        What orders them, in words.
    links
        Addresses by what they show.
    run_link
        The address of a run up to its id.
    choice
        What the report of the sweep says of the best setting.
    """
    told = [f"{counts.get(state, 0)} {state}" for state in ("failed", "lost", "running") if counts.get(state)]
    progress = ", ".join([f"{counts.get('finished', 0)} of {counts.get('planned', 0)} jobs finished", *told])
    lines = [f"**{plain(plan.name)}**: {progress}", ""]
    lines += ["Compare: " + ", ".join(f"[{text}]({link})" for text, link in links.items()), ""]
    lines += [" ".join(map(plain, choice)), ""] if choice else []
    if best:
        has_seeds = any(len(entry.runs) > 1 for entry in best)
        lines += [f"| {ranked_by} | setting |" + " seeds |" * has_seeds, "|---|---|" + "---|" * has_seeds]
        lines += [_ranked(entry, run_link, has_seeds) for entry in best]
    lines += ["", f"Finish or repeat it with the same command: {_code(plan.command)}"]
    if failures:
        lines += ["", "Failures:", "", *(f"- {plain(text)}" for text in failures)]
    return "\n".join(lines)[:LONGEST]


def _ranked(entry: Any, run_link: str, has_seeds: bool) -> str:
    """A setting as a row: linked to its run, or where it has several seeds, each of them to its own."""
    if not has_seeds:
        return f"| {entry.shown} | [{plain(entry.name)}]({run_link}{entry.runs[0][1]}) |"
    seeds = " ".join(f"[{seed or 'run'}]({run_link}{run_id})" for seed, run_id in entry.runs[:SEEDS])
    more = f" and {len(entry.runs) - SEEDS} more" if len(entry.runs) > SEEDS else ""
    return f"| {entry.shown} | {plain(entry.name)} | {seeds}{more} |"


def _host(record: RunRecord) -> str:
    return json.loads(record.owner)["machine"].split("/")[0]


def _code(text: str) -> str:
    return f"`{_one_line(text).replace('`', ' ')}`"


def plain(text: str) -> str:
    """A text as Markdown that shows it: it makes no link, no picture, no element of HTML and no cell of a table."""
    return re.sub(r"([\\`|\[\]])", r"\\\1", _one_line(text)).replace("<", "&lt;")


def _one_line(text: str) -> str:
    return " ".join(str(text).split())
