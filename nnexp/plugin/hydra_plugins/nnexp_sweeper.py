"""The sweeper as a Hydra plugin: the name under which Hydra finds it; the work is in nnexp.sweeps."""

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins  # noqa: F401
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf


class NnexpSweeper(BasicSweeper):
    """Sweeps that can always be finished."""


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="nnexp",
    node=dict(_target_="hydra_plugins.nnexp_sweeper.NnexpSweeper", max_batch_size=None, params=None),
    provider="nnexp",
)
