"""Runs, sweeps and reruns as the commands make them: the same configs, directories, stores and keys."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from nnexp import hydra_app
from nnexp.api.many import Rerun, Sweep
from nnexp.api.result import Result
from nnexp.api.working import working
from nnexp.compose import tracking_of
from nnexp.credentials import extract_from_words
from nnexp.errors import ExitStatus, FailureError
from nnexp.execute import Outcome
from nnexp.lookup import FoundSweep, Lookup
from nnexp.rerun.run import execute_plan, plan
from nnexp.rerun.source import source_of
from nnexp.rerun.sweep import jobs_of, rerun_sweep
from nnexp.runs.records import RunStatus
from nnexp.summary import not_published
from nnexp.sweeps.in_process import run_sweep
from nnexp.terminal import say


class RunFailedError(FailureError):
    """A run that failed.

    Attributes
    ----------
    result : Result
        What was kept of it: its directory with `error.txt`, its history so far.
    """

    def __init__(self, message: str, result: Result | None = None) -> None:
        super().__init__(message)
        self.result = result


def run(*overrides: str) -> Result:
    """Do one run, as ``nnexp OVERRIDES`` does.

    It is kept in its directory and published, and counts for sweeps: one that has this job skips it. Like the command,
    it trains anew whenever it is called; :func:`sweep` with the same overrides trains only what is not finished.

    Parameters
    ----------
    *overrides
        As on the command line: ``"model.l2=3"``, ``"optimizer=lbfgsb"``.

    Returns
    -------
    Result

    Raises
    ------
    ConfigError
        If the config is wrong; nothing was done.
    RunFailedError
        If training failed; the error has the result, with what was kept.
    KeyboardInterrupt
        If it was interrupted, by Ctrl-C or the notebook's stop button: what it had found is kept, as a KILLED run.

    Examples
    --------
    >>> import nnexp
    >>> result = nnexp.run("experiment=smoke", "seed=1", "tracking=none")
    >>> result.status
    <RunStatus.FINISHED: 'FINISHED'>
    """
    with working(overrides):
        return _result_of(hydra_app.call(extract_from_words(overrides)))


def _result_of(outcome: Outcome) -> Result:
    if outcome.status is RunStatus.KILLED:
        raise KeyboardInterrupt
    result = Result.in_directory(outcome.path, outcome.run_id) if outcome.result is not None else None
    if result is None or outcome.status is RunStatus.FAILED:
        raise RunFailedError(f"the run failed: {outcome.message} ({outcome.path})", result)
    if outcome.problem and not outcome.published:
        say(not_published(outcome.problem))
    elif outcome.problem:
        say(outcome.problem)
    return result


def sweep(*overrides: str) -> Sweep:
    """Run a sweep to its end, as ``nnexp -m OVERRIDES`` does: what is finished already is skipped.

    Parameters
    ----------
    *overrides
        As on the command line: ``"model.l2=0,1,10"``, ``"seed=range(5)"``, ``"+sweep=l2"``, ``"+search=tpe"``,
        ``"hydra/launcher=joblib"``.

    Returns
    -------
    Sweep
        Of failed jobs too; its `counts` say how many there are.

    Raises
    ------
    ConfigError
        If the config of a job is wrong; then none was started.
    KeyboardInterrupt
        If it was interrupted; its runs are closed, and the same call goes on where it was.

    Examples
    --------
    >>> import nnexp
    >>> done = nnexp.sweep("experiment=smoke", "model.l2=0,1", "tracking=none")
    >>> done.counts["finished"]
    2
    """
    with working(overrides):
        words = extract_from_words(overrides)
        command = "nnexp " + " ".join(shlex.quote(word) for word in ("-m", *words))
        session, status = run_sweep(words, hydra_app.task, command)
        if status == ExitStatus.INTERRUPTED:
            raise KeyboardInterrupt
        return Sweep.of(session)


def rerun(word: str, *overrides: str, check: bool = False) -> Rerun:
    """Repeat a run or a sweep from its record, as ``nnexp rerun WORD`` does.

    Parameters
    ----------
    word
        The id of a run or of a sweep, or a prefix of it, or a run directory.
    *overrides
        What is to be different.
    check
        Compare the new run with the old one: theta, history, predictions.

    Returns
    -------
    Rerun
        With the new runs and, with `check`, the verdict ``identical``, ``equal within rounding`` or ``different``.

    Raises
    ------
    ValueError
        If there is no such run, or it cannot be made again; the message is one line, and nothing was trained.
    RunFailedError
        If the new run failed (with `check` that is a verdict).
    KeyboardInterrupt
        If it was interrupted; the new run is kept.

    Examples
    --------
    >>> import nnexp
    >>> result = nnexp.run("experiment=smoke", "tracking=none")
    >>> nnexp.rerun(str(result.path), check=True).verdict
    'identical'
    """
    with working(overrides), tempfile.TemporaryDirectory() as scratch:
        words = extract_from_words(overrides)
        tracking = tracking_of(words)
        lookup = Lookup.of(tracking)
        found = lookup.find(word)
        if isinstance(found, FoundSweep):
            jobs = jobs_of(lookup, found, Path(scratch))
            swept = rerun_sweep(jobs, words, tracking, check=check, tell=say)
            done, verdict, changed = swept.reruns, swept.verdict, swept.changed
        else:
            one = execute_plan(plan(source_of(found, lookup.store, Path(scratch)), words, check=check))
            done, verdict, changed = [one], one.verdict, one.changed
            if one.outcome is not None and one.outcome.status is RunStatus.FAILED and not check:
                _result_of(one.outcome)
        outcomes = [each.outcome for each in done if each.outcome is not None]
        if any(outcome.status is RunStatus.KILLED for outcome in outcomes):
            raise KeyboardInterrupt
        runs = [Result.in_directory(outcome.path, outcome.run_id) for outcome in outcomes if outcome.result]
        return Rerun(verdict, tuple(changed), tuple(runs), tuple(each.refused for each in done if each.refused))
