"""The name under which Hydra finds the sweeper; the work is in nnexp.sweeps, imported when a sweep runs."""

from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


def make_report(store: Any, sweep: str, folder: Path, margin: float | None) -> Any:
    """The report at the end of a sweep; reports are made of sweeps, so these are told how to make one."""
    from nnexp.report import Selection
    from nnexp.report import make_report as make

    return make(store, Selection("sweep", sweep), folder, margin=margin)


def foresee(task: Any, planned: Any, store: Any) -> list[str]:
    """What a plan can show; as above."""
    from nnexp.report.foresight import foresee as sentences

    return sentences(task, planned, store)


class NnexpSweeper(Sweeper):
    """Sweeps that can be killed anywhere and finished by giving the same command again."""

    def __init__(self, params: Any = None, search: Any = None) -> None:
        self._settings = {"params": params, "search": search, "make_report": make_report, "foresee": foresee}
        self._sweeper: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra hands over what a sweep needs."""
        from nnexp.sweeps.sweeper import BaseSweeper

        self._sweeper = BaseSweeper(**self._settings)
        self._sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the sweep."""
        from nnexp.hydra_app import note_sweep

        status = self._sweeper.sweep(arguments)
        note_sweep(status)
        return status

    @property
    def base(self) -> Any:
        """The sweeper that does the work, once Hydra has handed over what it needs."""
        return self._sweeper


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="nnexp",
    node={"_target_": "hydra_plugins.nnexp_sweeper.NnexpSweeper", "params": {}, "search": None},
    provider="nnexp",
)
