"""The name under which Hydra finds the sweeper; the work is in nnexp.sweeps, imported when a sweep runs."""

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class NnexpSweeper(Sweeper):
    """Sweeps that can be killed anywhere and finished by giving the same command again."""

    def __init__(self, params: Any = None, search: Any = None) -> None:
        self._settings = {"params": params, "search": search}
        self._sweeper: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra hands over what a sweep needs."""
        from nnexp import sweep_report
        from nnexp.sweeps.sweeper import BaseSweeper

        told = sweep_report.make, sweep_report.foresee, sweep_report.prepare
        self._sweeper = BaseSweeper(self._settings["params"], self._settings["search"], *told)
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
