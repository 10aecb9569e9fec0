"""The parent run of a sweep, and what becomes of its children when it is deleted."""

import pytest

from nnexp.runs.tags import KIND, PARENT, SWEEP

pytestmark = pytest.mark.slow


def test_all_runs_of_a_sweep_belong_to_the_new_parent_where_the_old_one_was_deleted(with_store):
    grid = ["-m", "experiment=smoke", "optimizer.maxfun=8", "seed=0,1"]
    assert with_store(*grid).status == 0
    store = with_store.store()
    [old] = store.sweeps()
    kept, deleted = (run for run in store.tagged(SWEEP, old.tags[SWEEP]) if KIND not in run.tags)
    for run in (old, deleted):
        store.client.delete_run(run.run_id)
    done = with_store(*grid)
    assert done.status == 0, done.err
    [new] = store.sweeps()
    children = [run for run in store.tagged(SWEEP, new.tags[SWEEP]) if KIND not in run.tags]
    assert new.run_id != old.run_id
    assert kept.run_id in {run.run_id for run in children}
    assert [run.tags[PARENT] for run in children] == [new.run_id] * 2
