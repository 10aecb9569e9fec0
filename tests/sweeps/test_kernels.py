"""Runs of an equal key made with different BLAS kernels: a sweep says so, and a report does not call them equal."""

import platform

import pytest

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs a processor with two kernels of OpenBLAS")
OLD, NEW = {"OPENBLAS_CORETYPE": "Nehalem"}, {"OPENBLAS_CORETYPE": "Haswell"}
GRID = ["-m", "experiment=smoke", "optimizer.maxfun=30", "seed=0,1"]
HINT = "With training.kernel=portable all x86-64 processors with AVX2 make the same bits."
MIXED = f"The runs come from BLAS kernels that round differently: Nehalem (2 runs) and Haswell (1 run). {HINT}"
OTHER = "made with another BLAS kernel: Nehalem, here Haswell"


@pytest.mark.slow
def test_a_sweep_skips_what_another_kernel_made_and_says_so_and_strict_does_it_again(with_store):
    assert with_store(*GRID, env=OLD).status == 0
    for run in with_store.store().search("attributes.status = 'FINISHED'"):
        if "nnexp.run_key" in run.tags:
            assert run.tags["nnexp.blas_kernel"] == "Nehalem"
    skipped = with_store(*GRID[:-1], "seed=0,1,2", env=NEW)
    assert f"2 finished runs were {OTHER}" in skipped.err
    assert MIXED in skipped.out.splitlines()
    parents = with_store.store().search("tags.nnexp.kind = 'sweep'")
    (parent,) = (run for run in parents if "3 of 3 jobs" in run.tags["mlflow.note.content"])
    assert MIXED in parent.tags["mlflow.note.content"]
    mixed = with_store("report", parent.run_id)
    assert "Nehalem (2 runs) and Haswell (1 run).\n" + HINT in mixed.out, mixed.out
    assert len(with_store.results()) == 3
    again = with_store(*GRID, "resume=strict", env=NEW)
    assert (again.status, "Nehalem" in again.err + again.out) == (0, False), again.err
    assert len(with_store.results()) == 5
    dry = with_store(*GRID, "resume=strict", "dry_run=true", env=NEW)
    assert "0 of 2 jobs would run." in dry.out
    report = with_store("report", "--experiment", "nnexp")
    assert report.status == 0, report.err
    assert "last bit" not in report.out
    assert (
        "2 runs have the key of a newer one, but other numbers: made with Nehalem, the newer with Haswell" in report.out
    )


@pytest.mark.slow
def test_without_a_store_the_run_directories_tell_the_kernel(nnexp):
    grid = [*GRID[:-1], "seed=0", "tracking=none"]
    assert nnexp(*grid, env=OLD).status == 0
    assert "1 of 1 jobs would run." in nnexp(*grid, "dry_run=true", "resume=strict", env=NEW).out
    assert "0 of 1 jobs would run." in nnexp(*grid, "dry_run=true", "resume=strict", env=OLD).out
