"""Worker processes of a sweep end with the process that started them, however early and however that is killed.

Its companion publishes their runs too, so that there is one for all of them. A worker of joblib otherwise waits for
minutes for jobs that nobody will send. It is told who its parent is: what it could see of that by itself may already be
the process that has adopted it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton

from nnexp import tasks
from nnexp.companion import Companion, Settings, use_parents
from nnexp.garbage import collect_seldom
from nnexp.runs import lease

POLL_SECONDS, REPEAT_SECONDS = 1.0, 2.0


def watched(launcher: Any, companion: Companion) -> None:
    """Have every worker that joblib starts for this launcher watch this process, before it gets its first job.

    And have its runs published by this companion.
    """
    # Hydra's joblib launcher keeps what it passes to `joblib.Parallel` in this attribute, which is not documented; its
    # config has no place for an initializer. Where there is none (another launcher), workers are not watched.
    settings = getattr(launcher, "joblib", None)
    if isinstance(settings, dict):
        settings.update(initializer=begin_worker, initargs=(companion.start().settings,))


def warm_up(launcher: Any, n_workers: int, task: str) -> threading.Thread | None:
    """Start the workers of joblib, and have them import what the jobs of a task need, while the jobs are made ready.

    In a thread, which is to be joined before the launcher uses the same workers; None for another launcher.
    """
    settings = getattr(launcher, "joblib", None)
    if not isinstance(settings, dict):
        return None
    from joblib import Parallel, delayed

    workers = Parallel(**{**settings, "backend": "loky", "n_jobs": n_workers, "batch_size": 1})
    jobs = [delayed(_import_for)(launcher.task_function, task)] * n_workers

    def warm() -> None:
        with suppress(BaseException):  # of workers that were interrupted or died; it shows where a job is to be done
            workers(jobs)

    thread = threading.Thread(target=warm, name="nnexp-warm-up", daemon=True)
    thread.start()
    return thread


def _import_for(function: Any, task: str) -> None:
    """Import a task; that of the function is done when it arrives."""
    tasks.recorded(task)


def begin_worker(settings: Settings) -> None:
    """Begin a worker process of a sweep."""
    collect_seldom()
    if settings.bell is not None:
        use_parents(settings)
    end_with(settings.owner)
    keep_plugins()


def keep_plugins() -> None:
    """Have this process, which is a worker, look for Hydra's plugins once.

    Hydra's joblib launcher looks for them anew at each job, and executes their modules again, which takes 16 ms.
    """
    take_over, plugins = Singleton.set_state, Plugins.instance()

    def set_state(state: Any) -> None:
        state["instances"].setdefault(Plugins, plugins)
        take_over(state)

    Singleton.set_state = staticmethod(set_state)


def end_with(owner_record: str) -> None:
    """End this process, closing the run in hand, once the process of a record is gone."""

    def watch() -> None:
        while lease.gone_reason(owner_record) is None:
            time.sleep(POLL_SECONDS)
        while True:  # the first may only end the run in hand
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(REPEAT_SECONDS)

    threading.Thread(target=watch, name="nnexp-parent-watch", daemon=True).start()
