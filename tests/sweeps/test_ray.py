"""The same sweep on a local Ray, and what is said to Ray and of its errors."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf

from nnexp.readers import ConfigError
from nnexp.sweeps import on_ray

from .test_sweeps import SMALL, children, digests, parents, without_store

pytestmark = pytest.mark.slow


def test_a_sweep_does_not_wait_for_a_ray_that_is_not_there(nnexp):
    words = ["-m", *SMALL, "seed=0,1", "tracking=none", "hydra/launcher=ray"]
    done = nnexp(*words, "hydra.launcher.ray.init.address=127.0.0.1:9")
    told = "`ray start --head` listens, got 127.0.0.1:9: connection refused"
    assert (done.status, done.err.strip()) == (2, f"`hydra.launcher.ray.init.address` must be where {told}")
    assert not nnexp.directories()


@pytest.mark.parametrize("address", ["auto", "local", "ray://no-such-host.invalid:10001", "no-such-host.invalid"])
def test_an_address_in_another_form_of_rays_is_left_to_ray(address):
    on_ray.connect(OmegaConf.create({"ray": {"init": {"address": address}}}))


def test_a_port_that_there_cannot_be_is_told():
    with pytest.raises(ConfigError, match=r"listens, got 127.0.0.1:9{30}: \w+"):
        on_ray.connect(OmegaConf.create({"ray": {"init": {"address": f"127.0.0.1:{'9' * 30}"}}}))


def test_nodes_get_the_variables_that_decide_and_no_job_is_started_again_by_ray(monkeypatch):
    for name in on_ray.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "what-alice-alone-knows")
    given = {"num_cpus": 2, "runtime_env": {"pip": [], "env_vars": {"MLFLOW_HTTP_REQUEST_TIMEOUT": "8", "MINE": "1"}}}
    assert on_ray._settings(OmegaConf.create(given)) == {
        "max_retries": 0,
        "num_cpus": 2,
        "runtime_env": {
            "pip": [],
            "env_vars": {
                "OPENBLAS_CORETYPE": "Haswell",
                "MLFLOW_HTTP_REQUEST_TIMEOUT": "8",
                "RAY_kill_child_processes_on_worker_exit": "false",
                "MINE": "1",
            },
        },
    }
    assert on_ray._settings(OmegaConf.create({}))["num_cpus"] == 1


def test_what_became_of_a_job_that_returned_nothing_is_told_by_its_name(monkeypatch, capsys):
    import ray
    from ray import exceptions

    def told(error):
        def fails(job):
            raise error

        monkeypatch.setattr(ray, "get", fails)
        done = on_ray._result("job", "seed=1")
        return done.status, getattr(done._return_value, "reason", None), capsys.readouterr().err

    raised = exceptions.RayTaskError("f", "traceback", ValueError("no such file"), ip="10.0.0.2")
    assert told(raised) == (JobStatus.COMPLETED, "ValueError: no such file (on 10.0.0.2)", "")
    no_environment = exceptions.RuntimeEnvSetupError("no such package")
    status, reason, said = told(no_environment)
    assert (status, "no such package" in reason, said) == (JobStatus.COMPLETED, True, "")
    for error, why in (
        (exceptions.NodeDiedError("x"), "the machine that did it is gone"),
        (exceptions.WorkerCrashedError(), "the process that did it is gone"),
        (exceptions.OutOfMemoryError("x"), "the process that did it was ended, since its machine ran out of memory"),
        (exceptions.TaskCancelledError(error_message="it was stopped"), "it was stopped"),
    ):
        assert told(error) == (JobStatus.FAILED, None, f"lost: seed=1: {why}\n")


@pytest.fixture
def gone(monkeypatch):
    """A Ray was on this machine, and was killed."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # a socket's path may have 107 bytes
    (folder / "ray").mkdir()
    (folder / "ray/ray_current_cluster").write_text("127.0.0.1:9")
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.usefixtures("gone")
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
