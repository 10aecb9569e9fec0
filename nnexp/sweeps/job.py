"""One job of a sweep, in whatever process the launcher runs it: an outcome always, an exception never (but Ctrl-C)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from nnexp import tasks
from nnexp.companion import destination_of, parent_of
from nnexp.compose import command_folder, plain, read_config, to_yaml
from nnexp.config import ConfigError, TrackingConfig, check_tracking
from nnexp.copies import original_of
from nnexp.errors import one_line
from nnexp.execute import Outcome, execute, finish
from nnexp.own import use_folder
from nnexp.recording import Request, ended, new_uid
from nnexp.runs import backlog, lease, provenance
from nnexp.runs.directory import RunDirectory
from nnexp.runs.identity import planned_key
from nnexp.runs.records import RunRecord, RunStatus
from nnexp.runs.tags import (
    DIRECTORY,
    RUN_KEY,
    SWEEP,
    USER,
)
from nnexp.sweeps import deferred
from nnexp.sweeps.jobs import decisive, failed_key
from nnexp.sweeps.sharing import share_in
from nnexp.terminal import say
from nnexp.timeline import span


@span("recording")
def run_job(cfg: DictConfig, overrides: list[str], path: Path) -> Outcome:
    """Do the job and tell how it ended; a failure is told when it happens and left as a FAILED run."""
    name, sweep = cfg.tracking.run_name, cfg.tracking.sweep
    use_folder(command_folder())
    shown = " ".join(decisive(overrides))

    def finish_later(directory: RunDirectory, tracking: TrackingConfig) -> Outcome:
        def end() -> Outcome:
            outcome = finish(directory, tracking)
            _tell(outcome, sweep, name, shown)
            return outcome

        result = directory.result
        if result is None or not result.is_finished or not deferred.is_possible():
            return end()
        deferred.put_off(directory, end)
        return Outcome(str(directory.path), result, published=False, problem="not published yet")

    try:
        config = read_config(cfg)
        request = Request(config, to_yaml(_as_given(cfg, config.task.named_by_content)), overrides, path)
        outcome = execute(request, finish_later, share_in(request.config) if deferred.is_worker() else None)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        say(f"failed: {name}: {one_line(error)} ({shown})")
        return _record_failure(cfg, overrides, path, error)
    if outcome.status == RunStatus.SKIPPED and not outcome.path:
        say(f"skipped: {name}: {outcome.message}")
    if outcome.status == RunStatus.KILLED:
        raise KeyboardInterrupt
    return outcome


def _as_given(cfg: DictConfig, keys: Sequence[str]) -> DictConfig:
    """The config with the files that `keys` name where the user has them, not where this machine has copies."""
    originals = {
        key: original
        for key in keys
        if isinstance(value := OmegaConf.select(cfg, key), str) and (original := original_of(value)) != value
    }
    if originals:
        cfg = cfg.copy()
        for key, original in originals.items():
            OmegaConf.update(cfg, key, original)
    return cfg


def _tell(outcome: Outcome, sweep: str | None, name: str, shown: str) -> None:
    """How a run ended, on one line."""
    if outcome.status == RunStatus.FAILED:
        say(f"failed: {name}: {outcome.message} ({shown})")
    elif outcome.status == RunStatus.SKIPPED:
        say(f"not counted: {name}: {outcome.message}, which has the same key")
    elif outcome.status == RunStatus.FINISHED and outcome.result is not None:
        brief = tasks.recorded(RunDirectory(outcome.path).record.task).presentation.brief(outcome.result)
        say(f"finished: {name}: {brief} (run {outcome.run_id})")
        if not outcome.published:
            _tell_reason(sweep, name, outcome.problem)
        elif outcome.problem:
            say(f"{name}: {outcome.problem}")


_reasons: set[tuple[str | None, str | None]] = set()  # that this process has told of a sweep


def _tell_reason(sweep: str | None, name: str, reason: str | None) -> None:
    """Why a run is not published; of several with one reason at the first, for the sweep's end says how many."""
    if (sweep, reason) not in _reasons:
        _reasons.add((sweep, reason))
        say(f"not published: {name}: {reason}")


def _record_failure(cfg: DictConfig, overrides: list[str], path: Path, error: Exception) -> Outcome:
    """A FAILED run for a job that could not begin, so that the store shows it too."""
    message = one_line(error)
    key = _key(cfg, overrides)
    try:
        tracking = check_tracking(plain(cfg), command_folder())

        def record_in(place: Path) -> RunRecord:
            tags = {RUN_KEY: key, SWEEP: tracking.sweep or "", USER: provenance.user()}
            return RunRecord(
                uid=new_uid(place),
                name=tracking.run_name or place.name,
                started=time.time(),
                owner=lease.owner(),
                heartbeat=tracking.heartbeat,
                tracking=destination_of(tracking),
                identity={"run_key": key},
                backlog=str(backlog.folder(tracking.directory)),
                overrides=tuple(overrides),
                tags={**tags, DIRECTORY: str(place.resolve())},
                parent=parent_of(tracking),
            ).sealed()

        directory = RunDirectory.create_beside(path, record_in)
        directory.write_text("config/config.yaml", to_yaml(cfg, resolve=False))
        directory.write_result(ended(directory, RunStatus.FAILED, message))
        backlog.enter(tracking.directory, directory)
        return finish(directory, tracking)
    except Exception as second:
        text = f"{message}; not recorded: {one_line(second)}"
        return Outcome(str(path), reason=text, published=False)


def _key(cfg: DictConfig, overrides: list[str]) -> str:
    """The key that the plan gave the job."""
    if planned := cfg.tracking.planned:
        return planned_key(planned)
    try:
        return read_config(cfg).identity().run_key
    except ConfigError:
        return failed_key(overrides)
