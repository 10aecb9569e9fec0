"""A run trains while its store is asked whose job it is: what becomes of it at each answer, and where none comes."""

import threading
from contextlib import closing

import pytest
from filelock import FileLock

from nnexp.claims import JobTakenError, claimed
from nnexp.cli import main
from nnexp.companion import ParentsCompanion, Settings
from nnexp.config import TrackingConfig
from nnexp.publisher.work import Publisher
from nnexp.recovery import close_lost
from nnexp.runs import backlog, disk_arbiter, lease, questions
from nnexp.runs.directory import RECORD, RunDirectory
from nnexp.runs.questions import Question
from nnexp.runs.records import Destination
from nnexp.tasks.disk_run import DiskRun
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store
from tests.tools import made_up
from tests.tools.waiting import HANGING, wait_for

SWEEP = "0123456789abcdef"


@pytest.fixture
def store(tmp_path, empty_store):
    return Store(empty_store(tmp_path / "mlflow.db"), "e")


@pytest.fixture
def settings(tmp_path, store):
    return Settings(lease.owner(), str(tmp_path), store.uri, "e", 10.0)


@pytest.fixture
def tracking(tmp_path, store):
    return TrackingConfig("mlflow", store.uri, "e", str(tmp_path), 1.0, 10.0, "a run", SWEEP)


@pytest.fixture
def publisher(settings):
    """Answers claims, as the thread of a companion does."""
    publisher = Publisher(settings)
    thread = threading.Thread(target=publisher.serve, args=(Question.CLAIM, publisher._claim))
    yield publisher, thread
    publisher.is_over.set()
    publisher.ring()
    if thread.ident:
        thread.join()


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nobody else is known to be at work on the same jobs."""
    monkeypatch.setattr("nnexp.claims._was_refused", False)


def begun(tmp_path, store, name="here"):
    directory = made_up.begin(tmp_path, name, store=store, sweep=SWEEP)
    backlog.leave(tmp_path, directory)
    return directory


def test_a_run_whose_job_another_has_is_given_up_while_it_trains(tmp_path, store, settings, tracking, publisher):
    directory = begun(tmp_path, store)
    key = directory.record.run_key
    other = made_up.begin(tmp_path / "elsewhere", "here", store=store, sweep=SWEEP)
    other.write_json("run.json", other.read_json("run.json") | {"uid": "another"})
    assert Publication(RunDirectory(other.path), store).claim(close_lost).is_mine

    def train():
        with (
            claimed(tracking, directory, ParentsCompanion(settings)) as job,
            closing(DiskRun(directory, check=job.check)) as run,
        ):
            run.log({"cost": 2.0}, 0)
            assert directory.history()
            publisher[1].start()
            wait_for(lambda: not questions.is_asked(directory, Question.CLAIM))
            run.log({"cost": 1.0}, 1)

    with pytest.raises(JobTakenError, match="is doing this job"):
        train()
    assert not directory.path.exists()
    assert not backlog.has(tmp_path, directory)
    assert not disk_arbiter.is_locked(tmp_path, key)


def test_a_process_that_has_trained_in_vain_asks_first(tmp_path, store, settings, tracking, publisher, monkeypatch):
    monkeypatch.setattr("nnexp.claims._was_refused", True)
    directory = begun(tmp_path, store)
    publisher[1].start()
    with claimed(tracking, directory, ParentsCompanion(settings)):
        assert not questions.is_open(directory, Question.CLAIM)
        assert publisher[0].runs()


def test_a_claim_that_the_disk_cannot_hold_takes_no_result_with_it(tmp_path, store, settings, tracking, publisher,
                                                                   monkeypatch):  # fmt: skip
    directory = begun(tmp_path, store)
    with claimed(tracking, directory, ParentsCompanion(settings)) as job:
        made_up.train(directory, range(2)).close()
        publisher[1].start()
        monkeypatch.setattr(disk_arbiter, "register", fail)
        job.settle()
    assert publisher[0].runs()


def fail(*arguments):
    raise OSError("no space left on device")


def test_a_run_that_is_interrupted_before_it_asks_leaves_nothing(nnexp, monkeypatch):
    monkeypatch.setattr(disk_arbiter, "claim", interrupt)
    monkeypatch.chdir(nnexp.folder)
    assert main(["-m", "experiment=smoke", "seed=0", "tracking=none"]) == 130
    assert not [path for path in nnexp.directories() if path.exists()]


def interrupt(*arguments, **settings):
    raise KeyboardInterrupt


def test_a_run_that_has_its_job_is_published_as_soon_as_the_store_says_so(
    tmp_path, store, settings, tracking, publisher
):
    directory = begun(tmp_path, store)
    with claimed(tracking, directory, ParentsCompanion(settings)) as job:
        made_up.train(directory, range(2)).close()
        assert publisher[0].runs() == []
        publisher[1].start()
        wait_for(publisher[0].runs)
        job.check()
        assert disk_arbiter.knows(tmp_path, directory.record.run_key)
        job.settle()
    assert store.find_uid(directory.uid).status == "RUNNING"


def test_where_the_store_does_not_answer_the_disk_decides(tmp_path, store, settings, tracking, publisher):
    directory = begun(tmp_path, store)
    publisher[0].store.problem = "away"
    with claimed(tracking, directory, ParentsCompanion(settings)) as job:
        publisher[1].start()
        job.settle()
    assert disk_arbiter.knows(tmp_path, directory.record.run_key)
    assert not questions.is_open(directory, Question.CLAIM)


@pytest.mark.parametrize("store_is_asked", [False, True])
def test_a_finished_run_of_another_experiment_does_not_have_the_job(tmp_path, store, store_is_asked):
    record = begun(tmp_path, store).record
    for experiment, is_mine in {"another": True, "e": False}.items():
        other = made_up.whole(tmp_path, experiment, store=Destination(store.uri, experiment))
        other.write_json(RECORD, other.read_json(RECORD) | {"identity": {"run_key": record.run_key}})
        with disk_arbiter.lock(tmp_path, record.run_key):
            disk_arbiter.register(tmp_path, record, other)
            assert disk_arbiter.claim(tmp_path, record, store_is_asked=store_is_asked).is_mine is is_mine


@pytest.mark.parametrize("left", ["nothing", "a history", "a result"])
def test_of_a_trainer_that_is_killed_before_the_answer_what_it_computed_is_kept(tmp_path, store, settings, left):
    directory = made_up.begin(tmp_path, "here", store=store, sweep=SWEEP)
    questions.ask(directory, Question.CLAIM)
    if left != "nothing":
        made_up.train(directory, range(3)).close()
    if left == "a result":
        made_up.end(directory, 2)
    Publisher(settings)._leave()
    if left == "nothing":
        assert not directory.path.exists()
        return
    status = {"a history": "KILLED", "a result": "FINISHED"}[left]
    assert (directory.result.status, store.find_uid(directory.uid).status) == (status, status)
    assert not backlog.has(tmp_path, directory)


@pytest.mark.slow
def test_a_new_sweep_trains_before_its_store_is_there(nnexp):
    (nnexp.folder / "outputs").mkdir()
    with FileLock(nnexp.folder / "outputs/mlflow.db.lock"):  # as another process that makes the store
        sweep = nnexp.start("-m", "experiment=smoke", "seed=0,1")
        wait_for(lambda: any(RunDirectory(path).has_ended for path in nnexp.directories()), sweep)
        assert not (nnexp.folder / "outputs/mlflow.db").exists()
    out, err = sweep.communicate(timeout=HANGING)
    assert sweep.returncode == 0, (out, err)
    assert "2 jobs, 2 to run" in err
    assert {run.status for run in nnexp.store().search()} == {"FINISHED"}
    assert len(nnexp.store().search()) == 3
