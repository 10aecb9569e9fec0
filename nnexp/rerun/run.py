"""Run a recorded run again, and say what is equal and what is not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nnexp import execute, kernels
from nnexp.companion import companion_of
from nnexp.config import Config, ConfigError
from nnexp.errors import ExitStatus
from nnexp.own import NotFoundError
from nnexp.paths import relative
from nnexp.readers import leaves
from nnexp.rerun.changes import Made, changes, other_code, same_value, text
from nnexp.rerun.compare import DIFFERENT, IDENTICAL, Numbers, RunComparison, compare
from nnexp.rerun.rebuild import Rebuilt, rebuild
from nnexp.rerun.source import CONFIG, DirectorySource, RerunError, RunSource, compared_files
from nnexp.runs import provenance
from nnexp.runs.directory import RUNS, SOURCES, RunDirectory, run_name
from nnexp.runs.history import TABLE, columns_of, history_digest
from nnexp.runs.identity import array_digest, digest_of
from nnexp.runs.questions import Question
from nnexp.runs.records import RunResult
from nnexp.runs.tags import CHANGED, CHECK, RERUN_OF
from nnexp.sweeps.jobs import decisive
from nnexp.tracking.errors import StoreError
from nnexp.tracking.publication import reopen

REPORT = "reports/check.json"
DIGEST = "_digest"  # how the keys of a result end that are digests
LONGEST = 5000  # characters of a tag


class DataChangedError(RerunError):
    """The data set is not the one that the run was trained on."""


@dataclass(frozen=True)
class RerunPlan:
    """A rerun that can be done."""

    original: RunSource
    overrides: Sequence[str]
    rebuilt: Rebuilt
    data_digest: str
    check: bool
    data_changed: bool = False

    @property
    def config(self) -> Config:
        """The config to train."""
        return self.rebuilt.config

    @cached_property
    def changed(self) -> list[str]:
        """What is known, before anything is trained, not to be as it was."""
        old, config = self.original, self.config
        params = old.params or (self.rebuilt.before or config).deciding()
        code, name = config.task.code(config.of_task), config.task.data_name(config.of_task)
        sources = code.sources.texts()
        environment = provenance.environment(config.task.threads(config.of_task), code.digest, code.files)
        return changes(
            Made(params, name, old.data_digest or self.data_digest, old.environment, old.sources),
            Made(config.deciding(), name, self.data_digest, environment, sources),
        )


@dataclass(frozen=True)
class Rerun:
    """What came of one run: an outcome with or without a comparison, or the reason why nothing was trained."""

    name: str
    original_run_id: str | None
    changed: list[str] = field(default_factory=list)
    outcome: execute.Outcome | None = None
    comparison: RunComparison | None = None
    verdict: str | None = None
    refused: str | None = None

    @property
    def run_id(self) -> str | None:
        """The new run."""
        return self.outcome.run_id if self.outcome else None

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of the command."""
        told = {"run_id": self.run_id, "original_run_id": self.original_run_id}
        told |= {"verdict": self.verdict, "changed": self.changed}
        if self.comparison is not None:
            told["compared"] = self.comparison.compared
        if self.comparison is not None and self.comparison.difference is not None:
            told["difference"] = str(self.comparison.difference)
        return told | ({"refused": self.refused} if self.refused else {})


def plan(original: RunSource, overrides: Sequence[str], *, check: bool) -> RerunPlan:
    """Prepare a rerun; nothing is written.

    Raises
    ------
    RerunError, ConfigError
        One line that says why it cannot be done or, with `check`, not be compared.
    """
    _refuse_by_status(original, check)
    try:
        if check:
            numbers_of(original)
        return _plan(original, overrides, check)
    except NotFoundError as error:
        kept = original.files.path / SOURCES
        hint = f"; its sources are kept in {relative(kept)}, which PYTHONPATH may name" if kept.is_dir() else ""
        raise RerunError(f"{original}: {error}{hint}") from error


def _plan(original: RunSource, overrides: Sequence[str], check: bool) -> RerunPlan:
    recorded, data_path = original.config, original.data_path
    try:
        rebuilt = rebuild(recorded, overrides, name=original.name, data_path=data_path, is_own=original.is_own)
        if rebuilt.config.dry_run:
            raise ConfigError("`dry_run` must be false in a rerun, got true")
        kernels.require(kernels.kernel_of(rebuilt.config.deciding()))
        _is_untouched(original, rebuilt.config if rebuilt.before is None and not overrides else rebuilt.before)
        digest = rebuilt.config.identity().data_digest
    except NotFoundError:
        raise
    except (ConfigError, RerunError) as error:
        raise type(error)(f"{original}: {error}") from error
    for key, value in leaves(recorded):
        is_file = value is not None and key in rebuilt.config.task.named_by_content
        if is_file and original.data_digest is None and not rebuilt.other_data:
            raise RerunError(
                f"{original}: its record names the file `{key}` = {value} and no digest of what was in it; "
                f"if you want to train on it, name it yourself, {key}={value}"
            )
    same = rebuilt.other_data or original.data_digest in (None, digest)
    return RerunPlan(original, overrides, rebuilt, digest, check, data_changed=not same)


def _refuse_by_status(run: RunSource, check: bool) -> None:
    if run.status == "RUNNING":
        raise RerunError(f"{run} is still running; it can be run again when it has ended")
    if check and run.status == "FAILED":
        raise RerunError(
            f"{run} failed ({run.message}), so it has no numbers to check; without --check it is run again"
        )
    if check and run.status == "KILLED" and len(_whole_rows(run)) < 2:
        raise RerunError(f"{run} was interrupted before it had numbers to check; without --check it is run again")


def _whole_rows(run: RunSource) -> list[dict[str, float]]:
    """The rows that an uninterrupted run has too: of one ended by Ctrl-C the last was completed at its best point."""
    return run.history[:-1] if run.status == "KILLED" and run.arrays else run.history


def numbers_of(run: RunSource) -> Numbers:
    """What of a run is compared; of an interrupted one only its history.

    Raises
    ------
    RerunError
        Where its files are not those of which it recorded the digests.
    """
    rows, result = _whole_rows(run), run.result
    if result is None or run.status != "FINISHED":
        return Numbers(rows, params=run.params, is_cut_off=True)
    _refuse_missing(run, result, rows)
    _refuse_changed(run, result, rows)
    arrays = _compared_arrays(run)
    covered = {"history", *(name for file in run.arrays.values() for name in file)}
    digests = {name: value for name, value in digests_in(result).items() if name not in covered}
    return Numbers(rows, arrays, result.final_metrics, digests, run.params)


def digests_in(result: RunResult) -> dict[str, str]:
    """The digests that a result has, by what they are of."""
    return {key.removesuffix(DIGEST): str(each) for key, each in result.values.items() if key.endswith(DIGEST)}


def _compared_arrays(run: RunSource) -> dict[str, np.ndarray]:
    """The arrays that are compared; those of several files are named with their file."""
    found = {}
    for file, arrays in run.arrays.items():
        for name in run.task.compared.get(file) or arrays:
            if name in arrays:
                found[name if len(run.arrays) == 1 else f"{name} of {file}"] = arrays[name]
    return found


def _refuse_missing(run: RunSource, result: RunResult, rows: Sequence[Any]) -> None:
    missing = [file for file in compared_files(run.task, result) if file not in run.arrays]
    if not rows and digests_in(result).get("history"):
        missing.append(TABLE)
    if missing:
        raise RerunError(f"{run}: {missing[0]} is neither on this machine nor in the store; nothing to check")


def _refuse_changed(run: RunSource, result: RunResult, rows: Sequence[dict[str, float]]) -> None:
    """Refuse files that are not those of which the run recorded the digests."""
    digests, saved = digests_in(result), result.values.get("saved", {})
    for file, arrays in run.arrays.items():
        found = {name: array_digest(array) for name, array in arrays.items()}
        if saved.get(file) not in (None, digest_of(found)):
            raise _changed(run, file, "one")
        for name, digest in found.items():
            if digests.get(name) not in (None, digest):
                raise RerunError(
                    f"{run}: {file} was changed after the run: its digest is not the recorded {name}_digest"
                )
    if digests.get("history") not in (None, history_digest(columns_of(rows))):
        raise _changed(run, TABLE, "history_digest")


def _changed(run: RunSource, file: str, what: str) -> RerunError:
    return RerunError(f"{run}: {file} was changed after the run: its digest is not the recorded {what}")


def _is_untouched(run: RunSource, config: Config | None) -> None:
    """Refuse a recorded config that is not the one whose values the run was logged with."""
    for key, value in config.deciding().items() if config else ():
        if key in run.params and not same_value(run.params[key], value):
            raise RerunError(
                f"{CONFIG} was changed after the run: it says `{key}` = {text(value)}, "
                f"the run was made with {text(run.params[key])}"
            )


def data_line(planned: RerunPlan) -> str:
    """What to say where the data set has changed."""
    config, then = planned.config, planned.original.data_digest
    source = config.task.data_name(config.of_task, as_file=True)
    return (
        f"{planned.original}: the data of {source} have changed: digest {planned.data_digest[:12]}, it was trained on "
        f"{str(then)[:12]}; nothing was trained (an override of the data set trains on them)"
    )


def execute_plan(planned: RerunPlan) -> Rerun:
    """Train as planned, and compare where that was asked for.

    With `check`, changed data are an answer: different, and nothing is trained.

    Raises
    ------
    DataChangedError
        Where the data set has changed and nothing was to be checked.
    """
    original = planned.original
    if planned.data_changed:
        if not planned.check:
            raise DataChangedError(data_line(planned))
        return Rerun(original.name, original.run_id, planned.changed, verdict=DIFFERENT, refused=data_line(planned))
    config = planned.config
    request = execute.Request(
        config=config,
        composed=planned.rebuilt.composed,
        overrides=[*decisive(original.overrides), *planned.overrides],
        path=Path(config.tracking.directory) / RUNS / run_name(),
        tags={RERUN_OF: original.run_id, **tag_of_changes(planned.changed)},
    )
    outcome = execute.execute(request)
    if not planned.check or outcome.status == "KILLED":
        return Rerun(original.name, original.run_id, planned.changed, outcome)
    return _checked(planned, outcome)


def _checked(planned: RerunPlan, outcome: execute.Outcome) -> Rerun:
    """The outcome with its verdict, which is kept with the new run."""
    original, new = planned.original, DirectorySource(RunDirectory(outcome.path))
    made = [
        Made(
            run.params,
            planned.config.task.data_name(planned.config.of_task),
            run.data_digest,
            run.environment,
            run.sources,
        )
        for run in (original, new)
    ]
    changed = changes(*made)
    if outcome.status == "FINISHED":
        comparison = compare(numbers_of(original), numbers_of(new), planned.config.task)
        if comparison.verdict != IDENTICAL and not changed:
            changed = other_code(original.environment, new.environment)
        done = Rerun(original.name, original.run_id, changed, outcome, comparison, comparison.verdict)
    else:
        changed = [*changed, f"the new run failed: {outcome.message}"]
        done = Rerun(original.name, original.run_id, changed, outcome, verdict=DIFFERENT)
    _keep(planned, done, new.files)
    return done


def _keep(planned: RerunPlan, done: Rerun, directory: RunDirectory) -> None:
    """Write the verdict into the run directory, and have it published with the run, now or later."""
    directory.write_json(REPORT, done.as_dict())
    tags = {CHECK: str(done.verdict), **tag_of_changes(done.changed)}
    directory.amend_result(tags=tags)
    tracking = planned.config.tracking
    if tracking.backend != "mlflow":
        return
    reopen(directory)
    companion = companion_of(tracking)
    with suppress(StoreError):  # it is in the directory and in the backlog; `nnexp sync` publishes it
        companion.ask(directory, Question.PUBLISH)
        companion.answer(directory, Question.PUBLISH, tracking.patience)


def tag_of_changes(changed: Sequence[str]) -> dict[str, str]:
    """What is not as it was, as a tag."""
    return {CHANGED: "; ".join(changed)[:LONGEST]} if changed else {}


def exit_status(reruns: Sequence[Rerun], check: bool) -> int:
    """What the process says: 3 where a check does not find all identical, or a run of several was not made."""
    outcomes = [rerun.outcome for rerun in reruns]
    if any(outcome is not None and outcome.status == "KILLED" for outcome in outcomes):
        return ExitStatus.INTERRUPTED
    if check and any(rerun.verdict != IDENTICAL for rerun in reruns):
        return ExitStatus.DIFFERENT
    if len(reruns) == 1:
        return outcomes[0].exit_status if outcomes[0] else ExitStatus.BAD_USAGE
    if any(outcome is None or outcome.status != "FINISHED" for outcome in outcomes):
        return ExitStatus.DIFFERENT
    return max(outcome.exit_status for outcome in outcomes if outcome)
