"""Jobs of a sweep by submitit: what becomes of each, also where one of them was killed.

Hydra's launcher submits the jobs and waits for them; of a job that returned nothing it raises an error which names
neither the job nor what the others returned.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

from nnexp.errors import one_line
from nnexp.execute import Outcome
from nnexp.paths import relative
from nnexp.terminal import say

RULE = "\n----------------------\n"  # of submitit's messages


def is_submitit(target: str) -> bool:
    """Whether a launcher's class is one of Hydra's for submitit."""
    return target.endswith(("submitit_launcher.LocalLauncher", "submitit_launcher.SlurmLauncher"))


def is_local(target: str) -> bool:
    """Whether jobs are processes of this machine."""
    return target.endswith("submitit_launcher.LocalLauncher")


def launch(launcher: Any, jobs: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
    """Have submitit do jobs, each given by its overrides; what became of each, FAILED where its process is gone."""
    # What submitit warns of on standard output is no result.
    with _waiting_for_each([_name(overrides) for overrides in jobs]), redirect_stdout(sys.stderr):
        return launcher.launch(jobs, initial_job_idx=first)


def _name(overrides: Sequence[str]) -> str:
    given = [each for each in overrides if each.startswith("tracking.run_name=")]
    return str(OverridesParser.create().parse_override(given[-1]).value()) if given else " ".join(overrides)


@contextmanager
def _waiting_for_each(names: Sequence[str]) -> Iterator[None]:
    """Have Hydra's launcher wait for every job, whatever became of those before it."""
    import submitit

    executor = submitit.AutoExecutor

    class Executor(executor):
        def map_array(self, fn: Any, *iterable: Any) -> Any:
            return [_Job(job, name) for job, name in zip(super().map_array(fn, *iterable), names, strict=True)]

    submitit.AutoExecutor = Executor
    try:
        yield
    finally:
        submitit.AutoExecutor = executor


class _Job:
    """A job of submitit that always returns something."""

    def __init__(self, job: Any, name: str) -> None:
        self._job, self._name = job, name

    def results(self) -> list[JobReturn]:
        from submitit.core.utils import FailedJobError, UncompletedJobError

        try:
            return self._job.results()
        except FailedJobError as error:  # with the traceback in its message, and after a rule the paths of its logs
            reason = (str(error).rpartition(RULE)[0] or str(error)).strip().splitlines()[-1]
            return [JobReturn(status=JobStatus.COMPLETED, _return_value=Outcome("", reason=reason, published=False))]
        except UncompletedJobError as error:
            log = self._job.paths.stderr
            told = f"its process is gone; its log is {relative(log)}" if log.exists() else one_line(error)
            say(f"lost: {self._name}: {told}")
            return [JobReturn(status=JobStatus.FAILED, _return_value=error)]
