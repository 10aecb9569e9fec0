"""Notes: what the MLflow UI shows at the top of a run and of a sweep, in Markdown.

The UI shows about five lines of a note before "Show more", so what matters comes first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

NOTE = "mlflow.note.content"
LONGEST = 7500  # characters; MLflow takes 8,000 in a tag
PARTS = ("train", "validation", "test")


def run_note(record: Mapping[str, Any], result: Mapping[str, Any] | None, run_id: str | None = None) -> str:
    """What a run is, its result, how to run it again and where its directory is.

    Parameters
    ----------
    record, result
        What `run.json` and `result.json` say; the result is None while the run trains.
    """
    lines = [f"**{_what(record)}**: {_outcome(result)}", "", *_rerun(record, result)]
    again = f"Run it again: `nnexp rerun {run_id}`. " if run_id and result else ""
    lines.append(f"{again}Directory: {_code(record['tags']['nnexp.directory'])} on {_host(record)}")
    if result and "cost" in result:
        lines += ["", *_parts(result), "", result["message"]]
    asked = [_code(text) for text in record.get("overrides", []) if not text.startswith("tracking.")]
    if asked:
        lines += ["", f"Overrides: {', '.join(asked)}"]
    return "\n".join(lines)[:LONGEST]


def _what(record: Mapping[str, Any]) -> str:
    params = record["params"]
    if "data.name" not in params:
        return record["name"]
    return (
        f"{params['data.name']}, {params['optimizer.method']}, λ = {params['model.l2']:g}, "
        f"H = {' × '.join(map(str, record['layer_sizes'][1:-1]))}, seed {params['seed']}"
    )


def _outcome(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return "running"
    if "cost" not in result:
        return f"{result['status'].lower()}, {_one_line(result['message'])}"
    accuracies = [f"{part} {result[f'accuracy/{part}']:.2%}" for part in PARTS[::-1] if f"accuracy/{part}" in result]
    ended = "" if result["status"] == "FINISHED" else f"{result['status'].lower()}, "
    return f"{ended}accuracy {', '.join(accuracies)}; cost {result['cost']:.5g}"


def _rerun(record: Mapping[str, Any], result: Mapping[str, Any] | None) -> list[str]:
    """Of which run it is the rerun, what a check said and what has changed."""
    tags = record["tags"] | (result or {}).get("tags", {})
    if "nnexp.rerun_of" not in tags:
        return []
    verdict = f": **{tags['nnexp.check']}**" if "nnexp.check" in tags else ""
    changed = tags.get("nnexp.changed", "nothing that is recorded")
    return [f"Rerun of {_code(tags['nnexp.rerun_of'])}{verdict}; changed: {_one_line(changed)}", ""]


def _parts(result: Mapping[str, Any]) -> list[str]:
    """A small table of train beside test."""
    parts = [part for part in PARTS if f"loss/{part}" in result]
    rows = ["| part | loss (nats per sample) | accuracy |", "|---|---|---|"]
    return rows + [f"| {part} | {result[f'loss/{part}']:.5g} | {result[f'accuracy/{part}']:.2%} |" for part in parts]


def sweep_note(
    plan: Mapping[str, Any],
    counts: Mapping[str, int],
    best: Sequence[Any],
    failures: Sequence[str],
    links: Mapping[str, str],
    run_link: str,
) -> str:
    """How far a sweep is, where to compare its runs, and which are the best.

    Parameters
    ----------
    best
        Objects with `metric`, `value`, `name` and `run_id`, best first.
    links
        Addresses by what they show.
    run_link
        The address of a run up to its id.
    """
    told = [f"{counts.get(state, 0)} {state}" for state in ("failed", "lost", "running") if counts.get(state)]
    progress = ", ".join([f"{counts.get('finished', 0)} of {counts.get('planned', 0)} jobs finished", *told])
    lines = [f"**{plan['name']}**: {progress}", ""]
    lines += ["Compare: " + ", ".join(f"[{text}]({link})" for text, link in links.items()), ""]
    if best:
        lines += [f"| best by {best[0].metric} | run |", "|---|---|"]
        lines += [f"| {entry.value:.6g} | [{_cell(entry.name)}]({run_link}{entry.run_id}) |" for entry in best]
    lines += ["", f"Finish or repeat it with the same command: {_code(plan['command'])}"]
    if failures:
        lines += ["", "Failures:", "", *(f"- {_one_line(text)}" for text in failures)]
    return "\n".join(lines)[:LONGEST]


def _host(record: Mapping[str, Any]) -> str:
    return json.loads(record["owner"])["machine"].split("/")[0]


def _code(text: str) -> str:
    return f"`{_one_line(text).replace('`', ' ')}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("[", "\\[").replace("]", "\\]")


def _one_line(text: str) -> str:
    return " ".join(str(text).split())
