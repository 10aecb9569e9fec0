"""`nnexp sync` publishes what was kept back, whole and once, and copies runs into another store."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from nnexp import datasets, tasks
from nnexp.recovery import recover, sync
from nnexp.runs import backlog, lease
from nnexp.runs.records import RunStatus
from nnexp.runs.tags import COPIED_FROM, OWNER, PARENT, STATUS_MESSAGE
from nnexp.sweeps.directory import begin, finish, write_plan
from nnexp.sweeps.parent import Parent
from nnexp.sweeps.publication import SweepPublication
from nnexp.tracking.publication import Publication, sweep_uid
from nnexp.tracking.store import Store
from tests.tools import made_up
from tests.tools.stored import assert_store_has_all_of, models, runs_of, snapshot
from tests.tools.waiting import HANGING


@pytest.fixture(scope="module")
def stores(tmp_path_factory, empty_store):
    """A laptop's store and a team's."""
    folder = tmp_path_factory.mktemp("stores")
    return tuple(Store(empty_store(folder / f"{name}.db"), "e") for name in ("laptop", "team"))


def run_sync(root, *names, store, to=None, closed=None):
    told = []
    counts = sync(
        root,
        names,
        default_uri=store.uri,
        tell=told.append,
        to=to.uri if to else None,
        parent_of=SweepPublication,
        tell_closed=[].append if closed is None else closed.append,
    )
    return counts, told


def make_sweep(root, sweep, store, keys, *, owner=None):
    write_plan(root, made_up.plan(sweep, [f"key of {key}" for key in keys], uri=store.uri, owner=owner))


@pytest.mark.slow
def test_all_that_is_kept_back_is_published_once(stores, tmp_path):
    laptop, _ = stores
    directories = [made_up.whole(tmp_path, f"all-{i}", store=laptop) for i in range(3)]
    assert run_sync(tmp_path, store=laptop) == ((3, 0), [])
    assert run_sync(tmp_path, store=laptop) == ((0, 0), [])
    before = [snapshot(laptop, d.uid, tmp_path / d.uid) for d in directories]
    assert run_sync(tmp_path, *(str(d.path) for d in directories), store=laptop) == ((3, 0), [])
    assert [snapshot(laptop, d.uid, tmp_path / f"{d.uid} again") for d in directories] == before


def test_a_run_is_named_by_its_directory_its_name_or_its_id(stores, tmp_path):
    laptop, _ = stores
    a, b, c, d = (made_up.whole(tmp_path, f"named-{i}", store=laptop) for i in range(4))
    assert run_sync(tmp_path, str(a.path), b.path.name, c.uid, store=laptop) == ((3, 0), [])
    assert [entry.uid for entry in backlog.entries(tmp_path)] == [d.uid]
    assert run_sync(tmp_path, c.result.run_id, store=laptop) == ((1, 0), [])
    for beginning in (c.result.run_id[:20], "named-3-u"):
        assert run_sync(tmp_path, beginning, store=laptop) == ((1, 0), [])
    with pytest.raises(ValueError, match="named is ambiguous: 4 ids begin with it"):
        run_sync(tmp_path, "named", store=laptop)
    with pytest.raises(ValueError, match="nobody: there is no such run or sweep under"):
        run_sync(tmp_path, "nobody", store=laptop)


def test_what_was_made_without_tracking_is_never_published(stores, tmp_path):
    laptop, team = stores
    private, own = made_up.whole(tmp_path, "private", sweep="p1"), made_up.whole(tmp_path, "own", store=laptop)
    make_sweep(tmp_path, "p1", SimpleNamespace(uri=None), ["private"])
    line = "made with tracking=none, so never published: private"
    assert run_sync(tmp_path, str(private.path), own.uid, store=laptop, to=team) == ((1, 0), [line])
    for to in (None, team):
        with pytest.raises(ValueError, match=line):
            run_sync(tmp_path, str(private.path), store=laptop, to=to)
    backlog.enter(tmp_path, private)
    assert run_sync(tmp_path, store=laptop) == ((1, 0), [line])
    assert run_sync(tmp_path, store=laptop) == ((0, 0), [])
    for store in stores:
        assert not runs_of(store, private.uid)
        assert store.find_uid(sweep_uid("p1")) is None


@pytest.mark.slow
def test_sync_after_a_run_without_tracking_has_nothing_to_do_and_makes_no_store(nnexp):
    assert nnexp("experiment=smoke", "tracking=none").status == 0
    done = nnexp("sync", "--json")
    assert (done.status, done.json, done.err) == (0, {"published": 0, "kept_back": 0}, "")
    [directory] = nnexp.directories()
    named = nnexp("sync", directory.name)
    assert (named.status, named.err) == (2, f"made with tracking=none, so never published: {directory.name}\n")
    assert not list(nnexp.folder.glob("outputs/*.db"))


def test_a_run_that_trains_is_left_alone_and_one_whose_process_is_gone_is_closed(stores, tmp_path):
    laptop, _ = stores
    training = made_up.begin(tmp_path, "training", store=laptop)
    lost = made_up.begin(tmp_path, "lost", store=laptop)
    made_up.train(lost, range(3)).close()
    gone = json.dumps(json.loads(lost.record.owner) | {"start": "1"})
    lost.write_json("run.json", lost.record.to_json() | {"owner": gone})
    counts, told = run_sync(tmp_path, store=laptop)
    assert counts == (1, 1)
    assert told == ["training: still training, and published by its own process"]
    assert training.result is None
    assert lost.result.status == "KILLED"
    assert_store_has_all_of(lost, laptop, tmp_path / "compared")


@pytest.mark.slow
def test_a_run_of_another_machine_is_lost_when_its_entry_is_not_touched_any_more(stores, tmp_path, monkeypatch):
    laptop, _ = stores
    far = made_up.begin(tmp_path, "far", store=laptop)
    owner = json.dumps(json.loads(far.record.owner) | {"machine": "elsewhere"})
    far.write_json("run.json", far.record.to_json() | {"owner": owner})
    monkeypatch.setattr(lease.observer, "_clock", lambda: 0.0)
    (entry,) = backlog.folder(tmp_path).iterdir()
    made_up.touch(entry, time.time() + 300)  # by a clock that is minutes ahead; it says nothing of now
    with ThreadPoolExecutor(1) as pool:
        syncing = pool.submit(run_sync, tmp_path, store=laptop)
        while not syncing.done():
            backlog.beat(far)
            time.sleep(0.1)
    assert syncing.result()[0] == (0, 1)
    assert "waiting for heartbeats" in syncing.result()[1][0]
    made_up.touch(entry, time.time() + 300)
    looks = count()
    monkeypatch.setattr(lease.observer, "_clock", lambda: 10.0 * next(looks))  # a heartbeat is due at each look
    assert run_sync(tmp_path, store=laptop)[0] == (1, 0)
    assert "no heartbeat" in far.result.message


def test_what_cannot_be_drawn_any_more_is_told_and_published_without(stores, tmp_path):
    laptop, _ = stores
    directory = made_up.begin(tmp_path, "undrawn", store=laptop)
    made_up.train(directory, range(3)).close()
    made_up.end(directory, 2, described=False)  # and its data set is not there
    counts, told = run_sync(tmp_path, store=laptop)
    assert counts == (1, 0)
    assert len(told) == 1
    assert "undrawn: published without reports and figures" in told[0]
    assert_store_has_all_of(directory, laptop, tmp_path / "compared")
    assert run_sync(tmp_path, store=laptop) == ((0, 0), [])


def test_a_damaged_run_is_told_and_holds_up_no_other(stores, tmp_path):
    laptop, _ = stores
    bad, good = (made_up.whole(tmp_path, name, store=laptop) for name in ("bad", "good"))
    (bad.path / "run.json").write_text("{")
    counts, told = run_sync(tmp_path, store=laptop)
    assert counts == (1, 1)
    assert "run.json is damaged" in told[0]
    assert runs_of(laptop, good.uid)


def test_weights_of_another_form_are_told_and_the_run_is_published_without_a_model(stores, tmp_path, capsys):
    laptop, _ = stores
    run = made_up.whole(tmp_path, "other weights", store=laptop)
    run.write_arrays("weights.npz", {"n_layers": 1, "w": np.eye(2)})
    assert run_sync(tmp_path, store=laptop) == ((1, 0), [])
    assert "weights.npz is no trained model: KeyError: 'classes'; published without one" in capsys.readouterr().err
    (run_id,) = runs_of(laptop, run.uid)
    assert laptop.get(run_id).status == "FINISHED"
    assert models(laptop, run_id) == []


AWAY = Store("http://127.0.0.1:9", "e")
REASON = "the tracking server http://127.0.0.1:9 cannot be reached: connection refused"


def test_a_reason_that_keeps_back_several_runs_is_told_once(tmp_path):
    names = [f"run-{i}" for i in range(7)]
    for name in names:
        made_up.whole(tmp_path, name, store=AWAY)
    assert run_sync(tmp_path, "run-0", store=AWAY) == ((0, 1), [f"run-0: {REASON}"])
    assert run_sync(tmp_path, *names[:2], store=AWAY) == ((0, 2), [f"run-0, run-1: {REASON}"])
    made_up.begin(tmp_path, "training", store=AWAY)
    counts, told = run_sync(tmp_path, store=AWAY)
    assert counts == (0, 8)
    assert sorted(told) == [
        f"run-0, run-1, run-2, run-3, run-4 and 2 more: {REASON}",
        "training: still training, and published by its own process",
    ]


def test_a_sweep_that_only_lacked_its_end_is_said_to_be_closed_once(stores, tmp_path):
    laptop, _ = stores
    make_sweep(tmp_path, "s0", laptop, ["zero"])
    made_up.whole(tmp_path, "zero", store=laptop, sweep="s0")
    assert sync(tmp_path, default_uri=laptop.uri, tell=print) == (1, 0)  # the run, and not its sweep
    closed = []
    assert run_sync(tmp_path, "s0", store=laptop, closed=closed)[0] == (1, 0)
    assert closed == ["sweep s0 closed: 1 of 1 jobs finished, 0 failed"]
    run_sync(tmp_path, "s0", store=laptop, closed=closed)
    assert len(closed) == 1


def test_runs_of_a_sweep_find_their_parent_which_is_made_from_the_plan(stores, tmp_path):
    laptop, _ = stores
    make_sweep(tmp_path, "s1", laptop, ["one", "two"])
    children = [made_up.whole(tmp_path, name, store=laptop, sweep="s1") for name in ("one", "two")]
    assert run_sync(tmp_path, "s1", store=laptop) == ((2, 0), [])
    parent = laptop.find_uid(sweep_uid("s1"))
    assert (parent.status, parent.start) == ("FINISHED", made_up.STARTED - 5)
    assert parent.end == children[0].result.ended
    counts = {key: parent.tags[f"nnexp.jobs.{key}"] for key in ("planned", "finished", "failed", "lost", "running")}
    assert counts == {"planned": "2", "finished": "2", "failed": "0", "lost": "0", "running": "0"}
    assert parent.tags[STATUS_MESSAGE] == "2 of 2 jobs finished, 0 failed"
    for child in children:
        (run_id,) = runs_of(laptop, child.uid)
        assert laptop.get(run_id).tags[PARENT] == parent.run_id
    assert run_sync(tmp_path, "s1", store=laptop) == ((2, 0), [])
    assert laptop.find_uid(sweep_uid("s1")) == parent
    make_sweep(tmp_path, "s2-other", laptop, [])
    assert run_sync(tmp_path, "s2-", store=laptop) == ((0, 0), [])
    assert run_sync(tmp_path, str(tmp_path / "sweeps/s1"), store=laptop) == ((2, 0), [])


@pytest.mark.parametrize(("status", "expected"), [("FAILED", "FAILED"), (None, "KILLED")])
def test_the_parent_tells_how_the_sweep_ended(stores, tmp_path, status, expected):
    laptop, _ = stores
    sweep = f"s2{status}"
    make_sweep(tmp_path, sweep, laptop, [f"good {status}", f"bad {status}"])
    made_up.whole(tmp_path, f"good {status}", store=laptop, sweep=sweep)
    if status:
        bad = made_up.begin(tmp_path, f"bad {status}", store=laptop, sweep=sweep)
        made_up.train(bad, range(2)).close()
        made_up.end(bad, 1, status=status)
    assert run_sync(tmp_path, store=laptop)[0] == (1 + bool(status), 0)
    assert laptop.find_uid(sweep_uid(sweep)).status == expected


def test_a_run_published_before_its_parent_was_there_finds_it_later(stores, tmp_path):
    laptop, _ = stores
    child = made_up.begin(tmp_path, "early", store=laptop, sweep="s3")
    publication = Publication(child, laptop)
    publication.advance()
    assert PARENT not in laptop.get(publication.run_id).tags
    made_up.train(child, range(3)).close()
    made_up.end(child, 2)
    make_sweep(tmp_path, "s3", laptop, ["early"])
    assert run_sync(tmp_path, store=laptop) == ((1, 0), [])
    assert laptop.get(publication.run_id).tags[PARENT] == laptop.find_uid(sweep_uid("s3")).run_id


def test_a_sweep_that_goes_on_is_not_closed(stores, tmp_path):
    laptop, _ = stores
    make_sweep(tmp_path, "s4", laptop, ["first", "next"], owner=made_up.lease.owner())
    made_up.whole(tmp_path, "first", store=laptop, sweep="s4")
    assert run_sync(tmp_path, store=laptop) == ((1, 0), [])
    assert laptop.find_uid(sweep_uid("s4")).status == "RUNNING"


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_parent_that_its_sweep_could_not_close_ends_as_the_sweep_did(stores, tmp_path, has_ended):
    laptop, _ = stores
    sweep, gone = f"s5{has_ended}", json.dumps(json.loads(lease.owner()) | {"start": "1"})
    plan = made_up.plan(sweep, ["key of only"], uri=laptop.uri, owner=gone)
    directory = begin(plan, tasks.find(tasks.NETWORK), str(tmp_path), 10.0)
    parent = Parent(laptop, plan, directory.record)
    parent.begin()
    laptop.tag(parent.run_id, {OWNER: gone})
    if has_ended:
        finish(directory, parent.run_id, RunStatus.FINISHED, "1 of 1 jobs finished", made_up.STARTED, is_whole=False)
    recover(laptop, tmp_path)
    stored = laptop.get(parent.run_id)
    assert stored.status == ("FINISHED" if has_ended else "KILLED")
    if has_ended:
        assert (stored.end, stored.tags[STATUS_MESSAGE]) == (made_up.STARTED, "1 of 1 jobs finished")


def test_copies_keep_times_and_name_their_origin_and_leave_it_alone(stores, tmp_path):
    laptop, team = stores
    make_sweep(tmp_path, "s5", laptop, ["away", "at home"])
    home = made_up.whole(tmp_path, "at home", store=laptop, sweep="s5")
    away = made_up.whole(tmp_path, "away", store=laptop, sweep="s5")  # kept back: the laptop's store never had it
    assert run_sync(tmp_path, str(home.path), store=laptop)[0] == (1, 0)
    before = snapshot(laptop, home.uid, tmp_path / "before"), (home.path / "result.json").read_text()
    for _ in range(2):
        assert run_sync(tmp_path, store=laptop, to=team) == ((2, 0), [])
    assert (snapshot(laptop, home.uid, tmp_path / "after"), (home.path / "result.json").read_text()) == before
    assert [entry.uid for entry in backlog.entries(tmp_path)] == [away.uid]
    for directory in (home, away):
        assert_store_has_all_of(directory, team, tmp_path / "compared", is_copy=True)
    copy = team.find_uid(home.uid)
    assert copy.tags[COPIED_FROM] == home.result.run_id != copy.run_id
    assert COPIED_FROM not in team.find_uid(away.uid).tags
    parent = team.find_uid(sweep_uid("s5"))
    assert (parent.status, parent.tags["nnexp.jobs.finished"]) == ("FINISHED", "2")
    assert copy.tags[PARENT] == parent.run_id


def test_chosen_runs_are_copied_alone(stores, tmp_path):
    laptop, team = stores
    chosen, other = (made_up.whole(tmp_path, name, store=laptop) for name in ("chosen", "other"))
    assert run_sync(tmp_path, store=laptop)[0] == (2, 0)
    assert run_sync(tmp_path, chosen.result.run_id, store=laptop, to=team) == ((1, 0), [])
    assert runs_of(team, chosen.uid)
    assert not runs_of(team, other.uid)


@pytest.mark.slow
def test_a_server_that_is_away_is_told_once_and_asked_once(nnexp):
    away = Store("http://127.0.0.1:9", "e")
    for i in range(3):
        made_up.whole(nnexp.folder / "outputs", f"kept-{i}", store=away)
    done = nnexp("sync", "--json")
    assert (done.status, done.json) == (4, {"published": 0, "kept_back": 3})
    lines = done.err.strip().splitlines()
    assert lines == [f"kept-0, kept-1, kept-2: {REASON}"]


DISK = """
import resource, sys
from nnexp.cli import main
sys.dont_write_bytecode = True  # half a module that was compiled would stay
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_run_whose_directory_cannot_be_written_fails_with_one_line(nnexp):
    """A file that may not grow stands for a full disk: one run meets it in its history, the other in its first file."""
    datasets.load("digits", cache=str(nnexp.cache))
    task = ("experiment=smoke", "optimizer=gd", "optimizer.maxiter=2000", "optimizer.maxfun=2000", "tracking=none")
    for limit in ("20000", "1000"):
        words = [sys.executable, "-c", DISK, limit, *task]
        done = subprocess.run(words, cwd=nnexp.folder, capture_output=True, text=True, timeout=HANGING)
        assert done.returncode == 1
        assert "File too large" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert [result["status"] for result in nnexp.results().values()] == ["FAILED"]
