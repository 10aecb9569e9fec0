"""The table at the end of a run, and how to open what it left."""

from __future__ import annotations

import shlex

from nnexp.compose import in_grammar
from nnexp.config import Config, TrackingConfig
from nnexp.execute import Outcome
from nnexp.paths import absolute, absolute_uri, default_experiment, default_uri, relative
from nnexp.terminal import say, table


def show(outcome: Outcome, config: Config) -> None:
    """The table at the end of a run: results on standard output, the rest on standard error."""
    rows = [("status", f"{outcome.status}: {outcome.message}")]
    if outcome.result is not None:
        rows += config.task.presentation.facts(outcome.result)
    rows.append(("run", str(outcome.run_id)))
    rows.append(("directory", relative(outcome.path)))
    if outcome.address:
        rows.append(("open", how_to_open(outcome.address, config.tracking)))
    print(table(rows), flush=True)
    if not outcome.published:
        say(f"Not published: {outcome.problem}. The run is complete in its directory; `nnexp sync` publishes it.")
    elif outcome.problem:
        say(outcome.problem)


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
