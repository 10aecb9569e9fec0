"""The same sweep on a local Ray."""

import pytest

from .test_sweeps import SMALL, children, digests, parents, without_store

pytestmark = pytest.mark.slow


def test_a_sweep_does_not_wait_for_a_ray_that_is_not_there(nnexp):
    words = ["-m", *SMALL, "seed=0,1", "tracking=none", "hydra/launcher=ray"]
    done = nnexp(*words, "hydra.launcher.ray.init.address=127.0.0.1:9")
    told = "`ray start --head` listens, got 127.0.0.1:9: connection refused"
    assert (done.status, done.err.strip()) == (2, f"`hydra.launcher.ray.init.address` must be where {told}")
    assert not nnexp.directories()


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
