"""One job of a sweep, in whatever process the launcher runs it: an outcome always, an exception never (but Ctrl-C)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from nnexp.config import ConfigError, check_tracking
from nnexp.credentials import without_password
from nnexp.errors import one_line
from nnexp.execute import Outcome, execute, finish
from nnexp.hydra_app import command_folder, plain, read_config, to_yaml
from nnexp.runs import backlog, lease, provenance
from nnexp.runs.directory import RESULT, RunDirectory
from nnexp.runs.tags import DIRECTORY
from nnexp.sweeps import deferred
from nnexp.sweeps.plan import Keys, decisive, failed_key
from nnexp.sweeps.sharing import share
from nnexp.tasks.network.record import Task
from nnexp.terminal import percent, say
from nnexp.tracking.keeper import Keeper, keeper_for


def run_job(cfg: DictConfig, overrides: list[str], path: Path) -> Outcome:
    """Do the job and tell how it ended; a failure is told when it happens and left as a FAILED run."""
    name = cfg.tracking.run_name
    shown = " ".join(decisive(overrides))

    def finish_behind(directory: RunDirectory, keeper: Keeper, patience: float) -> Outcome:
        def end() -> Outcome:
            outcome = finish(directory, keeper, patience)
            _tell(outcome, name, shown)
            return outcome

        result = directory.result or {}
        if result["status"] != "FINISHED" or not deferred.is_possible():
            return end()
        deferred.put_off(directory, end)
        return Outcome("FINISHED", str(directory.path), None, result, published=False, problem="not published yet")

    try:
        task = Task(read_config(cfg), to_yaml(cfg), overrides, path)
        outcome = execute(task, finish_behind, share if deferred.is_worker() else None)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        say(f"failed: {name}: {one_line(error)} ({shown})")
        return _record_failure(cfg, overrides, path, error)
    if outcome.status == "SKIPPED" and not outcome.path:
        say(f"skipped: {name}: {outcome.result['message']}")
    if outcome.status == "KILLED":
        raise KeyboardInterrupt
    return outcome


def _tell(outcome: Outcome, name: str, shown: str) -> None:
    """How a run ended, on one line."""
    if outcome.status == "FAILED":
        say(f"failed: {name}: {outcome.result['message']} ({shown})")
    elif outcome.status == "SKIPPED":
        say(f"trained in vain: {name}: {outcome.result['message']}, which has the same key")
    elif outcome.status == "FINISHED":
        result = outcome.result
        accuracy = percent(result["accuracy"])
        say(f"finished: {name}: cost {result['cost']:.6g}, accuracy {accuracy} (run {outcome.run_id})")
        if not outcome.published:
            say(f"not published: {name}: {outcome.problem}")


def _record_failure(cfg: DictConfig, overrides: list[str], path: Path, error: Exception) -> Outcome:
    """A FAILED run for a job that could not begin, so that the store shows it too."""
    message = one_line(error)
    key = _key(cfg, overrides)
    try:
        tracking = check_tracking(plain(cfg), command_folder())
        record: dict[str, Any] = {
            "name": tracking.run_name,
            "started": time.time(),
            "owner": lease.owner(),
            "heartbeat": tracking.heartbeat,
            "identity": {"run_key": key},
            "tracking": {"uri": tracking.uri, "experiment": tracking.experiment, "sweep": tracking.sweep},
            "ledger": str(backlog.folder(tracking.directory)),
            "params": {},
            "overrides": overrides,
            "tags": {"nnexp.run_key": key, "nnexp.sweep": tracking.sweep, "mlflow.user": provenance.user()},
        }

        def record_in(place: Path) -> dict[str, Any]:
            tags = record["tags"] | {DIRECTORY: str(place.resolve())}
            return {"uid": f"{place.name}-{os.urandom(4).hex()}"} | record | {"tags": tags}

        directory = RunDirectory.create_beside(path, record_in)
        directory.write_text("config/config.yaml", without_password(OmegaConf.to_yaml(cfg)))
        tags = {"nnexp.status_message": message}
        result = {"status": "FAILED", "message": message, "ended": time.time(), "n_iter": 0, "n_fev": 0, "tags": tags}
        directory.write_json(RESULT, {"run_id": directory.uid} | result)
        backlog.enter(backlog.folder(tracking.directory), directory)
        uri = tracking.uri if tracking.backend == "mlflow" else None
        return finish(directory, keeper_for(uri, tracking.experiment, tracking.heartbeat), tracking.patience)
    except Exception as second:
        return Outcome("FAILED", str(path), None, {"message": f"{message}; not recorded: {one_line(second)}"}, False)


def _key(cfg: DictConfig, overrides: list[str]) -> str:
    """The key that the plan gave the job."""
    try:
        return Keys()(read_config(cfg))
    except ConfigError:
        return failed_key(overrides)
