"""The table at the end of a run, and how to open what it left.

Its results are shown as soon as they are known, and where the store has them when it does.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from nnexp.compose import command_folder, in_grammar
from nnexp.config import Config, TrackingConfig
from nnexp.execute import Outcome
from nnexp.paths import absolute, absolute_uri, default_experiment, default_uri, relative
from nnexp.runs.records import RunResult
from nnexp.terminal import say, table, tell
from nnexp.tracking.server import publishes


def show_result(result: RunResult, path: str | Path, config: Config) -> None:
    """The part of the table that is known when a run has ended."""
    tell(table(_rows_of(result, path, config)))


def _rows_of(result: RunResult, path: str | Path, config: Config) -> list[tuple[str, str]]:
    rows = [("status", f"{result.status}: {result.message}"), *config.task.presentation.facts(result)]
    return [*rows, ("directory", relative(path, command_folder()))]


def show(outcome: Outcome, config: Config, shown: RunResult | None = None) -> None:
    """The table at the end of a run: results on standard output, the rest on standard error.

    `shown` is the result that stands there already.
    """
    result = outcome.result
    rows = [("status", f"{outcome.status}: {outcome.message}"), ("directory", relative(outcome.path))]
    if result is not None:
        rows = _rows_of(result, outcome.path, config)
    width = max(len(name) for name, _ in rows)
    if shown is not None:
        is_as_shown = result is not None and (result.status, result.message) == (shown.status, shown.message)
        rows = [] if is_as_shown else rows[:1]
    rows.append(("run", str(outcome.run_id)))
    if outcome.address:
        rows.append(("open", how_to_open(outcome.address, config.tracking)))
    tell(table(rows, width))
    if not outcome.published:
        say(not_published(outcome.problem))
    elif outcome.problem:
        say(outcome.problem)


def not_published(problem: str | None) -> str:
    """That a run is not in its store, why, and what publishes it."""
    return f"Not published: {problem}. The run is complete in its directory; {publishes(problem, 'it')}."


def how_to_open(address: str, tracking: TrackingConfig) -> str:
    """An address of the UI, and before it the command that serves it where nothing does."""
    if tracking.uri.startswith(("http://", "https://")):
        return address
    return f"{ui_command(tracking)}, then {address}"


def ui_command(tracking: TrackingConfig) -> str:
    """The command that serves the store of this config."""
    words, directory = ["nnexp", "ui"], tracking.directory
    if directory != absolute("outputs"):
        words.append(f"tracking.directory={in_grammar(relative(directory))}")
    if tracking.uri != absolute_uri(default_uri(directory)):
        words.append(f"tracking.uri={in_grammar(tracking.uri)}")
    if tracking.experiment != default_experiment():
        words.append(f"tracking.experiment={in_grammar(tracking.experiment)}")
    return shlex.join(words)
