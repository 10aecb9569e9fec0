import json

import pytest

from nnexp.cli import main
from nnexp.compose import compose, read_config
from nnexp.config import ConfigError
from nnexp.runs.tags import HEARTBEAT, HEARTBEAT_EVERY, KIND, OWNER, RUN_KEY, SWEEP, UID
from nnexp.tracking.store import Store

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures

ELSEWHERE = ("../../../x", "/tmp/x", "a/b", ".hidden", "..", "x" * 400, "line\nbreak", "")
QUOTES = ("it's", 'say "x"', """both ' and " """, "x' OR '1'='1", "100%", "a`b")


def hostile_runs(store):
    """Parent runs and runs with tags that nnexp does not make."""
    parent = {KIND: "sweep", "nnexp.jobs.planned": "many", "nnexp.jobs.elsewhere": "-1"}
    for sweep in (*ELSEWHERE, *QUOTES):
        store.create("a sweep", 1.0, {SWEEP: sweep, UID: f"sweep-{sweep}", **parent})
    store.create("a sweep without an id", 1.0, parent)
    for i, owner in enumerate(("no record", "[]", '{"machine": 7}', '{"machine": "m", "pid": "x", "start": []}')):
        tags = {OWNER: owner, HEARTBEAT: ("x", "nan", "-inf", "")[i], HEARTBEAT_EVERY: ("soon", "0", "-1", "inf")[i]}
        store.create("a run", 1.0, {**tags, UID: f"u{i}", RUN_KEY: "k", SWEEP: QUOTES[i], "nnexp.directory": "a\0b"})
    store.client.create_run(store.experiment_id, start_time=2**62)


def test_what_a_store_says_is_checked_where_it_is_read(tmp_path, empty_store, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    store = Store(empty_store(tmp_path / "outputs/mlflow.db"), "nnexp")
    hostile_runs(store)
    for sweep in QUOTES:
        assert store.find_uid(f"sweep-{sweep}").tags[SWEEP] == sweep

    assert main(["sweeps", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["sweep"]: row["lost"] + row["running"] for row in rows} == dict(
        zip(QUOTES, (1, 1, 1, 1, 0, 0), strict=True)
    )

    before = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    for words in ([], ["--experiment", "nnexp"], *([sweep] for sweep in (*ELSEWHERE, *QUOTES) if "=" not in sweep)):
        assert main(["report", *words]) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err
    assert {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents} == before
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("report.html")}
    assert made <= {f"outputs/reports/{name}/report.html" for name in (*QUOTES, "nnexp")}


def test_a_finished_job_is_not_done_again_for_a_hostile_run_of_its_key(nnexp):
    words = ("-m", "experiment=smoke", "seed=0,1")
    assert nnexp(*words).status == 0
    store = nnexp.store()
    [job, _] = [run for run in store.search() if RUN_KEY in run.tags]
    keys = {RUN_KEY: job.tags[RUN_KEY], SWEEP: job.tags[SWEEP]}
    store.create("of nobody", job.start, {**keys, OWNER: "no record", HEARTBEAT: "x", UID: "of nobody"})
    for path in ("runs/damaged/run.json", "unpublished/damaged.12345678"):
        path = nnexp.folder / "outputs" / path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    again = nnexp(*words)
    assert again.status == 0, again.err
    assert again.err.count("runs/damaged/run.json is damaged") == 1
    assert len(nnexp.directories()) == 3
    assert "2 of 2 jobs finished, 0 failed" in again.out


@pytest.mark.parametrize("sweep", ["../../x", "a/b", "..", 3])
def test_a_sweep_of_the_command_line_is_a_name_too(sweep):
    with pytest.raises(ConfigError, match=r"`tracking\.sweep` must be"):
        read_config(compose([f"tracking.sweep={sweep}"]))
