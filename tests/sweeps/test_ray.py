"""The same sweep on a local Ray."""

import pytest

from .test_sweeps import SMALL, children, digests, parents, without_store

pytestmark = pytest.mark.slow


def test_a_sweep_on_ray_is_the_sweep_done_serially(with_store):
    nnexp = with_store
    grid = ["-m", *SMALL, "seed=0,1", "optimizer=gd", "optimizer.options.learning_rate=0.1,1e300"]
    ray = nnexp(*grid, "hydra/launcher=ray", "+hydra.launcher.ray.init.include_dashboard=false")
    assert ray.status == 3, ray.err
    assert "2 of 4 jobs finished, 2 failed" in ray.out
    store = nnexp.store()
    [parent] = parents(store)
    assert {run.tags["mlflow.parentRunId"] for run in children(store)} == {parent.run_id}
    serial = nnexp(*grid, "tracking=none", "tracking.directory=serial")
    assert serial.status == 3
    assert without_store(nnexp.folder / "serial") == digests(store)
    again = nnexp(*grid, "hydra/launcher=ray", "dry_run=true")
    assert "2 of 4 jobs would run." in again.out
