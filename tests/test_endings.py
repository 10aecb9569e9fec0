"""How commands end that cannot do what they should: one line that names the cause, and the right exit status."""

import contextlib
import os
import re
import resource
import signal
import sqlite3

import pytest

from nnexp.cli import main
from nnexp.errors import ExitStatus, one_line
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store
from tests.tools.faulty_server import EXPERIMENT, FaultyServer, self_signed
from tests.tools.waiting import HANGING, wait_for

OF_A_STORE = (["report"], ["sweeps"], ["ui", "--port=0"], ["evaluate", "--weights", "abcdef"])


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """The command in this process: its exit status and the lines on standard error; nothing on standard output."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        status = main(words)
        told = capsys.readouterr()
        assert told.out == ""
        return status, told.err.splitlines()

    return call


@pytest.mark.parametrize("words", OF_A_STORE, ids=lambda words: words[0])
@pytest.mark.parametrize("damage", ["garbage", "cut off"])
def test_a_damaged_database_is_told_in_one_line(call, words, damage, tmp_path, empty_store):
    empty_store(tmp_path / "outputs/mlflow.db")
    path = tmp_path / "outputs/mlflow.db"
    path.write_bytes(b"no database " * 1000 if damage == "garbage" else path.read_bytes()[:40000])
    status, [line] = call(*words)
    assert status == ExitStatus.FAILED
    assert line.startswith("the tracking store ")
    assert line.endswith("file is not a database" if damage == "garbage" else "database disk image is malformed")


@pytest.mark.slow
@pytest.mark.parametrize("words", OF_A_STORE, ids=lambda words: words[0])
def test_a_store_that_is_away_is_told_in_one_line(call, words):
    status, [line] = call(*words, "tracking.uri=http://127.0.0.1:9")
    assert (status, line) == (1, "the tracking server http://127.0.0.1:9 cannot be reached: connection refused")


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (404, "not here", "is not an MLflow server: it answers with error 404"),
        (200, "{}", "is not an MLflow server: it answers with something other than MLflow's JSON"),
        (200, "<html>a page</html>", "is not an MLflow server: it answers with something other than MLflow's JSON"),
        (401, "who are you?", "requires a user and a password (401): set MLFLOW_TRACKING_USERNAME and "
                              "MLFLOW_TRACKING_PASSWORD"),
        (403, "no", "refuses this user (403): experiment 'nnexp' needs the permission READ"),
        (429, "later", "answers with error 429: too many requests"),
        (500, "oh", "answers with error 500"),
        (400, '{"error_code": "BAD_REQUEST", "message": "no such name"}', "answers with error 400: no such name"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_server_is_told(status, body, cause, tmp_path):
    with FaultyServer(status, body) as server, pytest.raises(StoreError) as caught:
        Store(server.uri, "nnexp").ping()
    assert str(caught.value) == f"the tracking server {server.uri} {cause}"


def test_what_is_wrong_with_tls_is_told(tmp_path):
    with FaultyServer(certificate=self_signed(tmp_path)) as server:
        with pytest.raises(StoreError, match=r"its TLS certificate is not accepted: self-signed certificate$"):
            Store(server.uri, "nnexp").ping()
    with FaultyServer() as server:
        with pytest.raises(StoreError, match="cannot be reached: TLS failed: "):
            Store(server.uri.replace("http:", "https:"), "nnexp").ping()
    with pytest.raises(StoreError, match="cannot be reached: its host name is not known"):
        Store("http://no-such-host.invalid:5000", "nnexp").ping()


def test_tracebacks_are_kept_for_those_who_ask(call, tmp_path, monkeypatch):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/mlflow.db").write_text("no database " * 1000)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(RuntimeError, match="file is not a database"):
        call("sweeps")


@pytest.mark.slow
def test_ctrl_c_ends_every_command_with_one_line_and_130(nnexp):
    with FaultyServer(body=EXPERIMENT, hangs=True) as server:
        where = f"tracking.uri={server.uri}"
        started = [nnexp.start(*words, where) for words in OF_A_STORE]
        started.append(nnexp.start("gradcheck", "data=digits", "model.hidden_size=1000"))
        wait_for(lambda: sum("get-by-name" not in path for path in server.seen) >= len(OF_A_STORE), *started)
        wait_for(lambda: "_multiarray_umath" in mapped(started[-1].pid), *started)
        for process in started:
            process.send_signal(signal.SIGINT)
        for process in started:
            out, err = process.communicate(timeout=HANGING)
            assert (out, err) == ("", "Interrupted.\n"), process.args
            # Python ends by the signal itself where that came in the middle of an `exec`; shells call both 130.
            assert process.returncode in (130, -signal.SIGINT)


def mapped(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps") as file:
        return file.read()
    return ""


def test_an_error_is_one_line_without_the_sql_and_never_cut_within_a_word():
    with contextlib.closing(sqlite3.connect(":memory:")) as database, pytest.raises(sqlite3.Error) as caught:
        database.execute("SELECT 1 FROM nowhere")
    from sqlalchemy.exc import OperationalError

    wrapped = OperationalError("INSERT INTO tags VALUES (?)", {"value": "x" * 5000}, caught.value)
    assert one_line(wrapped) == "no such table: nowhere"
    long = ValueError("a sentence of words\n" * 40)
    assert len(one_line(long)) <= 300
    assert one_line(long).removesuffix(" ...") in " ".join(str(long).split())
    assert one_line(long).removesuffix(" ...").split()[-1] in ("a", "sentence", "of", "words")
    assert one_line(ValueError()) == "ValueError"
    assert one_line(ValueError("x" * 1000)) == "x" * 300 + "..."


GATED = """
import time
from pathlib import Path

def train(run, after):
    run.log({"loss": 1.0}, step=0)
    Path("trains-until-" + after).touch()
    while not Path(after).exists():
        time.sleep(0.05)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "n_ended", "kept"), [("begun,never", 1, "2 runs"), ("never", 0, "1 run")])
def test_ctrl_c_of_a_sweep_says_how_many_of_its_runs_the_store_does_not_have(nnexp, jobs, n_ended, kept):
    """The store is away, so a run that has ended is unpublished, and so is the one that Ctrl-C ends."""
    (nnexp.folder / "gated.py").write_text(GATED)
    (nnexp.folder / "begun").touch()
    words = ("-m", "task=custom", "task.name=gated.train", f"task.options.after={jobs}", "tracking=server")
    process = nnexp.start(*words, "tracking.uri=http://127.0.0.1:9")
    wait_for((nnexp.folder / "trains-until-never").exists, process)
    wait_for(lambda: len(nnexp.results()) == n_ended, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANGING)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-2:] == [
        "Interrupted; closing the runs. The same command completes the sweep.",
        f"Not published yet: {kept}; `nnexp sync` publishes what is missing.",
    ]
    statuses = [result["status"] for result in nnexp.results().values()]
    assert sorted(statuses) == [*["FINISHED"] * n_ended, "KILLED"]


def test_what_only_looks_or_is_refused_leaves_nothing(call, tmp_path, cache):
    cache.mkdir(exist_ok=True)
    small = ("experiment=smoke", f"data.cache={cache}")
    for words in (*OF_A_STORE, ["rerun", "abcdef"]):
        assert call(*words)[0] == 2
    assert main(["-m", "seed=0,1", "dry_run=true", *small]) == 0
    (tmp_path / "no.mat").write_text("this is no .mat file")
    assert main(["data=mat", "data.path=no.mat"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["no.mat"]


def test_ctrl_c_before_the_first_iteration_leaves_no_empty_directory(nnexp):
    process = nnexp.start("data=digits", "tracking=none", "optimizer.maxfun=1000000", "optimizer.maxiter=1000000")
    wait_for(nnexp.directories, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANGING)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err
    assert all((directory / "result.json").exists() for directory in nnexp.directories())


@pytest.mark.slow
def test_a_full_disk_is_told_in_one_line_with_the_file(with_store):
    def no_file_longer_than(size):
        # A module that Python compiles under the limit would be left half written, for every process after it.
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # noqa: E731
        return {"preexec_fn": limit, "env": environment}

    started = {
        "record": with_store.start("experiment=smoke", "tracking=none", **no_file_longer_than(1000)),
        "store": with_store.start("experiment=smoke", **no_file_longer_than(100_000)),
    }
    said = {name: process.communicate(timeout=HANGING) for name, process in started.items()}
    assert (started["record"].returncode, said["record"][0]) == (1, "")
    *cache, line = said["record"][1].splitlines()
    assert all("digits.npz could not be cached" in told for told in cache)
    assert re.fullmatch(r"failed: \S+/outputs/runs/\S+/run\.json: File too large", line)
    assert started["store"].returncode == 4
    *cache, line = said["store"][1].splitlines()
    assert all("digits.npz could not be cached" in told for told in cache)
    assert re.fullmatch(r"Not published: [^\[]*(disk I/O error|disk is full)\. The run is complete .*", line)
