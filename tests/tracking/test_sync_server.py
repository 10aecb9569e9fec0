"""A real tracking server that dies, and one that is badly reached: nothing is lost, and all of it is there once."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from nnexp.nn import Forward, predict
from nnexp.recovery import sync
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory
from nnexp.runs.tags import PARENT
from nnexp.sweeps.publication import SweepPublication
from nnexp.tasks.network.description import load_split
from nnexp.tracking import registry
from nnexp.tracking.publication import sweep_uid
from nnexp.tracking.store import Store
from tests.conftest import Done, Nnexp
from tests.tools.flaky_proxy import NO_FAULTS, Faults, FlakyProxy
from tests.tools.mlflow_server import MlflowServer
from tests.tools.stored import assert_store_has_all_of, models, runs_of
from tests.tools.waiting import HANGING, wait_for

pytestmark = pytest.mark.slow

JOBS = 4
SWEEP = ("-m", "experiment=smoke", "tracking.patience=2", "seed=" + ",".join(map(str, range(JOBS))))
FLAKY = ("experiment=smoke", "tracking.experiment=flaky", "tracking.directory=flaky", "tracking.patience=2")


@dataclass
class Swept:
    """Two sweeps: in the middle of one the server was killed, and runs again; uploads of the other were cut off."""

    command: Nnexp
    server: MlflowServer
    store: Store
    status: int
    out: str
    errors: str
    kept_back: list
    synced: Done
    flaky: Done

    @property
    def directories(self):
        return [RunDirectory(path) for path in self.command.directories()]


@pytest.fixture(scope="module")
def swept(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("swept")
    cache.mkdir(exist_ok=True)
    (folder / "data").symlink_to(cache)
    command = Nnexp(folder, cache)
    with MlflowServer(tmp_path_factory.mktemp("server")) as server:
        process = command.start(*SWEEP, f"tracking.uri={server.uri}")
        wait_for(lambda: any('"complete": true' in p.read_text() for p in folder.glob("**/published.json")), process)
        server.kill()
        said, errors = process.communicate(timeout=HANGING)
        kept_back = backlog.entries(folder / "outputs")
        server.start()
        with FlakyProxy(server.port, faults=Faults(reset=0.05, error=0.05, cut=0.25)) as proxy:
            flaky = command.start("-m", *FLAKY, f"tracking.uri={proxy.uri}", "seed=0,1,2")
            synced = command("sync", "--json")
            out, err = flaky.communicate(timeout=HANGING)
            for _ in range(20):  # the parent run is brought up to date like the runs, and may fail like them
                kept = sync(folder / "flaky", default_uri=proxy.uri, tell=print, parent_of=SweepPublication)[1]
                if kept == 0 and not backlog.sweeps(folder / "flaky"):
                    break
            assert proxy.cut > 10
            assert proxy.lost > proxy.cut
        store, flaky = Store(server.uri, "nnexp"), Done(flaky.returncode, out, err)
        yield Swept(command, server, store, process.returncode, said, errors, kept_back, synced, flaky)


def test_a_sweep_outlives_its_server_and_says_what_was_kept_back(swept):
    assert swept.status == 4
    kept = len(swept.kept_back)
    assert 0 < kept < JOBS
    assert f"{kept} runs are not published" in swept.errors
    assert "Traceback" not in swept.errors
    results = swept.command.results().values()
    assert [(result["status"], result["described"]) for result in results] == [("FINISHED", True)] * JOBS


def test_sync_makes_the_store_whole(swept, tmp_path):
    done = swept.synced
    assert (done.status, done.json) == (0, {"published": len(swept.kept_back), "kept_back": 0}), done.err
    assert len(swept.directories) == JOBS
    for directory in swept.directories:
        assert_store_has_all_of(directory, swept.store, tmp_path)
    before = swept.store.search()
    names = [str(directory.path) for directory in swept.directories]
    assert sync(swept.command.folder / "outputs", names, default_uri="", tell=print, parent_of=SweepPublication) == (
        JOBS,
        0,
    )
    assert swept.store.search() == before


def test_all_runs_are_under_one_parent_that_is_finished(swept):
    (parent,) = swept.store.search("tags.`nnexp.kind` = 'sweep'")
    assert parent == swept.store.find_uid(sweep_uid(parent.tags["nnexp.sweep"]))
    assert parent.status == "FINISHED"
    assert (parent.tags["nnexp.jobs.finished"], parent.tags["nnexp.jobs.planned"]) == (str(JOBS), str(JOBS))
    for directory in swept.directories:
        (run_id,) = runs_of(swept.store, directory.uid)
        assert swept.store.get(run_id).tags[PARENT] == parent.run_id
    assert len(swept.store.search()) == JOBS + 1


LOAD = """
import json, sys
sys.modules["nnexp"] = None  # an import of it fails
import mlflow, numpy
model = mlflow.pyfunc.load_model(sys.argv[1])
print(json.dumps(model.predict(numpy.load(sys.argv[2]))["label"].tolist()))
"""


def test_the_model_predicts_what_the_run_did_where_there_is_no_nnexp(swept, tmp_path):
    directory = swept.directories[0]
    record = directory.record
    (model,) = models(swept.store, directory.result.run_id)
    details = record.details | {"data": record.details["data"] | {"cache": str(swept.command.cache)}}
    part = load_split(record, details).test
    np.save(tmp_path / "X.npy", part.X)
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOAD, f"models:/{model['id']}", "X.npy"],
        cwd=tmp_path,
        env=os.environ | {"MLFLOW_TRACKING_URI": swept.store.uri},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with np.load(directory.path / "weights.npz") as stored:
        logits = Forward(part.X, tuple(details["layer_sizes"]), activation=details["activation"])(stored["theta"])
    assert json.loads(done.stdout.splitlines()[-1]) == [int(part.classes[i]) for i in predict(logits)]


def test_uploads_that_are_cut_off_are_repeated_until_all_is_whole_and_training_goes_on(swept, tmp_path):
    assert swept.flaky.status in (0, 4), swept.flaky.err
    assert "3 of 3 jobs finished" in swept.flaky.out
    store = Store(swept.server.uri, "flaky")
    directories = [RunDirectory(path) for path in swept.command.folder.glob("flaky/runs/*")]
    assert theta_digests(directories).items() < theta_digests(swept.directories).items()
    assert len(directories) == 3
    for directory in directories:
        assert_store_has_all_of(directory, store, tmp_path)
        (model,) = models(store, directory.result.run_id)
        folder = swept.server.folder / "artifacts" / store.experiment_id / "models" / model["id"] / "artifacts"
        said = re.search(r"model_size_bytes: (\d+)", (folder / "MLmodel").read_text())
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "MLmodel"]
        assert int(said[1]) == sum(sizes)
    assert sorted(run.status for run in store.search()) == ["FINISHED"] * 4


def theta_digests(directories):
    """By the seed."""
    return {each.record.params["seed"]: each.result.values["theta_digest"] for each in directories}


def test_a_sweep_whose_files_the_way_to_the_server_never_lets_through_ends_and_says_so(swept):
    nnexp, words = swept.command, ("-m", "experiment=smoke", "tracking.experiment=large", "tracking.directory=large")
    with FlakyProxy(swept.server.port, faults=Faults(too_large="weights.npz")) as proxy:
        done = nnexp(*words, "seed=0,1", "tracking.patience=3", "tracking=server", f"tracking.uri={proxy.uri}")
        assert done.status == 4, done.err
        assert "2 runs are not published, but complete in their directories; `nnexp sync` publishes" in done.err
        assert f"the tracking server {proxy.uri} refuses weights.npz (413: too large)" in done.err
        proxy.faults = NO_FAULTS
        done = nnexp("sync", *map(str, nnexp.folder.glob("large/runs/*")), "--json")
        assert (done.status, done.out) == (0, '{"published": 2, "kept_back": 0}\n'), done.err


def test_a_model_is_registered_with_the_server_and_loaded_by_its_alias(swept, tmp_path):
    directory = swept.directories[0]
    run = swept.store.get(directory.result.run_id)
    for about in ("best", "again"):
        found = registry.model_of(swept.store, run)
        registered = registry.register(swept.store, run, found, "digits", "champion", about)
        assert (registered.version, registered.is_new) == ("1", about == "best")
    np.save(tmp_path / "X.npy", np.zeros((2, 64)))
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOAD, registered.uri, "X.npy"],
        cwd=tmp_path,
        env=os.environ | {"MLFLOW_TRACKING_URI": swept.store.uri},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_same_command_makes_the_report_that_the_sweep_could_not_make(swept):
    assert "report:" not in swept.out
    again = swept.command(*SWEEP, f"tracking.uri={swept.server.uri}")
    assert again.status == 0, again.err
    (page,) = swept.command.folder.glob("outputs/sweeps/*/report/report.html")
    assert f"report: {page.relative_to(swept.command.folder)}" in again.out
    assert "report:" not in swept.command(*SWEEP, f"tracking.uri={swept.server.uri}").out
