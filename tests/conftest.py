"""What the tests share: the real command in a folder of its own, and the store it leaves behind."""

import gc
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

from tests.tools import processes, real_runs, warm

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
MLFLOW_STORE = tuple(f"MLFLOW_TRACKING_{name}" for name in ("URI", "USERNAME", "PASSWORD"))
MEMORY = Path("/dev/shm")
ENOUGH = 2**31  # bytes; a session of all tests leaves some 300 MB
# What takes longest begins first, so that no worker is left with it at the end: tests that may run anywhere, and files.
LONGEST = (
    "browser/test_ui.py",
    "test_documented_numbers.py",
    "test_a_sweep_of_a_model_of_scikit_learn_survives_three_kills",
    "test_killed_anywhere_and_finished_by_the_same_command",
    "sweeps/test_cluster.py",
    "tracking/test_team_server.py",
    "test_publisher.py",
    "test_both_on_ray",
    "test_a_sweep_is_planned_run_listed_and_resumed",
    "test_every_door_in_a_run_a_sweep_a_rerun_and_a_report",
    "test_parallel_and_serial_sweeps_give_the_same_bits_and_two_at_once_share_the_work",
    "test_a_sweep_on_ray_is_the_sweep_done_serially",
    "test_a_search_goes_on_where_it_was",
    "tracking/test_sync_server.py",
    "test_crash.py",
    "test_run.py",
    "rerun/test_rerun.py",
    "test_a_half_done_sweep_is_reported_as_it_is_and_finished_by_its_command_and_no_run_is_lost",
    "test_sweep_by_joblib_is_identical_to_its_serial_rerun",
    "test_20_runs_over_methods_activations_depths_and_dtypes_repeat_in_a_new_process",
    "sweeps/test_sweeps.py",
    "test_frozen.py",
    "test_install.py",
    "tracking/test_store.py",
    "tracking/test_claims.py",
    "tracking/test_sync.py",
)


def pytest_configure(config):
    """Keep the tests' folders in memory where there is room: a new store waits for the disk a hundred times.

    A shell that starts the tests in the background has them ignore Ctrl-C, and so every command that they start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    warm.install()
    gc.set_threshold(50_000, 10, 10)  # a tenth of the tests' own time goes into looking for garbage by Python's 700
    if not hasattr(config, "workerinput"):  # the tests' workers are processes of the session like any other
        config.add_cleanup(processes.end_with_this_process().communicate)


def pytest_collection_modifyitems(items):
    """The longest first."""

    def place(item):
        names = (item.originalname, item.path.relative_to(TESTS).as_posix())
        return next((i for i, name in enumerate(LONGEST) if name in names), len(LONGEST))

    items.sort(key=place)


class ByFile(LoadScopeScheduling):
    """A file's tests run on one worker, for which its costly fixtures are made once; those of the longest, on any."""

    def _split_scope(self, nodeid):
        file, _, test = nodeid.partition("::")
        return nodeid if file.endswith("test_sweeps.py") or test in LONGEST else file


def pytest_xdist_auto_num_workers(config):
    """One more than there are cores, for `--numprocesses auto`: many tests wait for other processes."""
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_xdist_make_scheduler(config, log):
    """Whatever `--dist` says."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    for name in (
        "MLFLOW_EXPERIMENT_NAME",
        "MLFLOW_RUN_NAME",
        "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING",
        "NNEXP_CONFIG_DIR",
        "HYDRA_FULL_ERROR",
        "NNEXP_DATABASE_URIS",
        "NNEXP_FOLDER",
        *MLFLOW_STORE,
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Have the processes of each file's tests note what they do, for `python -m tests.tools.timeline`."""
    folder = os.environ.get("NNEXP_TEST_TIMELINE")
    if folder is None:
        return (yield)
    file = item.path.relative_to(TESTS).as_posix()
    notes = Path(folder, file.replace("/", "-"))
    notes.mkdir(exist_ok=True)
    os.environ["NNEXP_TIMELINE"] = str(notes)
    begin = time.process_time()
    try:
        return (yield)
    finally:
        with Path(folder, f"{os.getpid()}.jsonl").open("a") as lines:
            lines.write(json.dumps([notes.name, time.process_time() - begin]) + "\n")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """Apart from the test, so that a test that fails does not end what its fixtures share with others."""
    with processes.ended_on_failure():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    with processes.ended_on_failure():
        return (yield)


@pytest.fixture(scope="session")
def common(tmp_path_factory):
    """A folder for what all tests of a session share, whichever worker runs them."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def cache(common):
    """One folder for rebuilt data sets."""
    return common / "data"


@pytest.fixture(scope="session")
def empty_store(common):
    """Put a new store at a path: a copy of one that MLflow made, for its migrations take a second each time."""
    made = common / "empty.db"
    with FileLock(common / "empty.lock"):
        if not made.exists():
            from nnexp.tracking.mlflow_import import import_mlflow

            import_mlflow().MlflowClient(f"sqlite:///{common}/first.db").search_experiments()
            with closing(sqlite3.connect(common / "first.db")) as first, closing(sqlite3.connect(made)) as copy:
                first.backup(copy)

    def put(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, path)
        return f"sqlite:///{path}"

    return put


@dataclass
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Nnexp:
    """The command in one working folder."""

    folder: Path
    cache: Path

    def words(self, *arguments):
        return [sys.executable, "-m", "nnexp", *arguments]

    def start(self, *arguments, **settings):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.words(*arguments), cwd=self.folder, **pipes | settings)

    def __call__(self, *arguments, env=None):
        return Done(*warm.run(self.words(*arguments), self.folder, env or {}))

    def at_once(self, *lines):
        """Several commands at the same time."""
        with ThreadPoolExecutor(len(lines)) as pool:
            return list(pool.map(lambda line: self(*line), lines))

    def each(self, *lines):
        """Several commands one after the other in one new process, where nothing hangs on a process for each."""
        return [Done(*done) for done in real_runs.commands(self.folder, *lines)]

    def results(self):
        """`result.json` of every run directory, by the directory's name."""
        return {
            path.parent.name: json.loads(path.read_text()) for path in self.folder.glob("outputs/runs/*/result.json")
        }

    def directories(self):
        return sorted(self.folder.glob("outputs/runs/*"))

    def store(self, experiment="nnexp"):
        from nnexp.tracking.store import Store

        return Store(f"sqlite:///{self.folder}/outputs/mlflow.db", experiment)


@pytest.fixture
def nnexp(tmp_path, cache):
    """The command `nnexp` in an empty folder; data sets are kept in a folder of the session."""
    cache.mkdir(exist_ok=True)
    (tmp_path / "data").symlink_to(cache)
    return Nnexp(tmp_path, cache)


@pytest.fixture
def with_store(nnexp, empty_store):
    """The command in a folder that has a store, without an experiment or a run."""
    empty_store(nnexp.folder / "outputs/mlflow.db")
    return nnexp
