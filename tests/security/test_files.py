"""Files of a run are read and written in its own folder, as large as they can be, and go to nobody else."""

import gzip
import io
import json
import os
import shutil
import struct
import zipfile
import zlib
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import urlparse

import numpy as np
import pytest

import nnexp
from nnexp import recovery
from nnexp.api.frame import typed
from nnexp.comparison import logged_figures
from nnexp.report.files import RunFiles
from nnexp.runs import files as run_files
from nnexp.runs import lease
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import RecordError, is_inside, read_arrays
from nnexp.runs.tags import DIRECTORY, HEARTBEAT, KIND, OWNER, SWEEP, UID
from nnexp.tracking.artifacts import StoredFiles
from nnexp.tracking.download import ATTEMPTS, download
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store
from nnexp.tracking.stored_run import StoredRun
from tests.tools.faulty_server import EXPERIMENT, FaultyServer
from tests.tools.hostile_server import HostileServer, Sends
from tests.tools.waiting import HANGING

pytestmark = pytest.mark.slow  # by the run that they have in common

ELSEWHERE = ("../private.npz", "/etc/passwd", "a/../../b.npz", "..", "", ".", "a//b", "a\\..\\b", "C:x", "a\0b", "a\nb")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_that_leads_elsewhere_is_none_of_a_file_of_a_run(name):
    assert not is_inside(name)
    assert is_inside("reports/a file.v2.npz")


@pytest.mark.parametrize("name", ["../private.npz", "/etc/hostname"])
def test_a_result_that_names_files_elsewhere_is_damaged(victim, empty_store, name):
    np.savez(victim.run.parent / "private.npz", key=np.arange(3))
    for values in ({"saved": {name: "digest"}}, {"figures": [name]}):
        before = (victim.run / "result.json").read_text()
        victim.set_json("result.json", **values)
        with pytest.raises(RecordError, match="expected the name of a file of the run"):
            nnexp.load_run("a", "tracking=none")
        status, out, err = victim("rerun", "a", "--check", "tracking=none")
        assert (status, out, "result.json is damaged" in err) == (2, "", True)
        (victim.run / "result.json").write_text(before)


def test_a_store_whose_run_names_files_elsewhere(victim, empty_store, secret):
    _, run_id, artifacts = victim.store(empty_store)
    shutil.copy(secret, artifacts.parent / "private.png")
    result = json.loads((artifacts / "result.json").read_text())
    (artifacts / "result.json").write_text(json.dumps({**result, "figures": ["../private"], "saved": {"../x.npz": ""}}))
    status, _, err = victim("rerun", run_id, "--check")
    assert (status, "expected the name of a file of the run" in err) == (2, True), err
    before = {path for path in victim.folder.rglob("*")}
    assert victim("report", "--experiment", "nnexp")[0] == 0
    made = {path.relative_to(victim.folder).parts[:2] for path in set(victim.folder.rglob("*")) - before}
    assert made <= {("outputs", "reports"), ("outputs", "mlflow.db-journal")}


def test_a_link_among_artifacts_leads_to_no_file_of_the_reader(victim, empty_store, secret):
    store, run_id, artifacts = victim.store(empty_store)
    run = store.get(run_id)
    (artifacts / "figures").mkdir()
    (artifacts / "figures/mine.png").symlink_to(secret)
    (artifacts / "folder").symlink_to(secret.parent)
    stored = StoredFiles(store, run)
    assert "figures/mine.png" not in stored.names("figures")
    assert nnexp.load_run(run_id).figures.keys() <= {"cost_curves", "confusion_matrix", "hidden_layer"}
    (artifacts / "config/config.yaml").unlink()
    (artifacts / "config/config.yaml").symlink_to(secret)
    for name in ("figures/mine.png", "folder/secret.png", "config/config.yaml"):
        with pytest.raises((OSError, ValueError)):
            stored.read(name)
        assert RunFiles(store).read(run, name) is None
    status, _, err = victim("rerun", run_id)
    assert (status, "cannot be fetched" in err) == (2, True), err


def test_a_link_in_a_run_directory_is_neither_published_nor_shown(victim, empty_store, secret):
    (victim.run / "figures").mkdir(exist_ok=True)
    (victim.run / "figures/mine.png").symlink_to(secret)
    (victim.run / "environment/sources").mkdir()
    (victim.run / "environment/sources/mine.py").symlink_to(secret)
    (victim.run / "linked").symlink_to(secret.parent)
    result = nnexp.load_run("a", "tracking=none")
    assert "figures/mine" not in result.figures
    assert result._source.sources == {}
    _, _, artifacts = victim.store(empty_store)
    published = [path for path in artifacts.parent.parent.rglob("*") if path.is_file()]
    assert len(published) > 5
    assert not [path for path in published if path.read_bytes() == secret.read_bytes()]


@pytest.mark.parametrize("name", ["result.json", "config/config.yaml", "weights.npz", "history.csv"])
def test_a_link_in_place_of_a_file_of_a_run_is_not_read(victim, secret, name):
    (victim.run / name).unlink()
    (victim.run / name).symlink_to(secret)
    status, out, err = victim("rerun", "a", "--check", "tracking=none")
    assert (status, out) == (2, "")
    assert "victim" not in err


def test_nothing_is_written_through_a_linked_folder_of_a_run(victim, empty_store, secret):
    store = empty_store(victim.folder / "outputs/mlflow.db")
    tracking = {"uri": store, "experiment": "nnexp", "sweep": None, "resume": True}
    victim.set_json("run.json", tracking=tracking)
    victim.set_json("result.json", described=False)
    (victim.run / ".publishing.lock").unlink(missing_ok=True)
    shutil.rmtree(victim.run / "reports")
    (victim.run / "reports").symlink_to(secret.parent)
    (victim.run / "classification_report.txt").unlink(missing_ok=True)
    (victim.run / "classification_report.txt").symlink_to(secret)
    status, _, err = victim("sync", "a")
    assert os.listdir(secret.parent) == [secret.name]
    assert secret.read_bytes().startswith(b"\x89PNG")
    assert (status, "outside of the run directory" in err) == (0, True), err


def test_a_linked_lock_empties_no_file(victim, empty_store, secret):
    store = empty_store(victim.folder / "outputs/mlflow.db")
    victim.set_json("run.json", tracking={"uri": store, "experiment": "nnexp", "sweep": None, "resume": True})
    (victim.run / ".publishing.lock").symlink_to(secret)
    victim("sync", "a")
    assert secret.read_bytes().startswith(b"\x89PNG")


def test_a_server_that_a_run_names_is_not_told_the_credentials_of_another(victim, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "alice")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct-horse")
    with FaultyServer(500) as attacker:
        tracking = {"uri": attacker.uri, "experiment": "nnexp", "sweep": None, "resume": True}
        victim.set_json("run.json", tracking=tracking)
        status, out, err = victim("sync", "a")
        assert (status, out, attacker.seen) == (4, "0 published, 1 not published\n", [])
        assert f"`--to {attacker.uri}`" in err


def test_no_database_is_made_where_a_run_says(victim):
    elsewhere = victim.folder / "elsewhere"
    uri = f"sqlite:///{elsewhere}/x.db"
    victim.set_json("run.json", tracking={"uri": uri, "experiment": "nnexp", "sweep": None, "resume": True})
    assert victim("sync", "a")[0] == 4
    assert not elsewhere.exists()


def test_no_backlog_or_cache_is_made_where_a_run_says(victim, empty_store):
    store = empty_store(victim.folder / "outputs/mlflow.db")
    tracking = {"uri": store, "experiment": "nnexp", "sweep": None, "resume": True}
    record = json.loads((victim.run / "run.json").read_text())
    record["details"]["data"]["cache"] = str(victim.folder / "elsewhere/cache")
    backlog = str(victim.folder / "elsewhere/unpublished")
    victim.set_json("run.json", tracking=tracking, backlog=backlog, details=record["details"])
    victim.set_json("result.json", described=False)
    assert victim("sync", "--figures", "a")[0] == 0
    assert not (victim.folder / "elsewhere").exists()


def test_a_store_cannot_say_that_a_process_here_is_gone(victim, empty_store):
    store, run_id, _ = victim.store(empty_store)
    mine = victim.folder / "outputs/runs/mine"
    record = {"uid": "mine", "name": "mine", "started": 1.0, "owner": lease.owner(), "heartbeat": 10.0, "params": {},
              "tracking": {"uri": store.uri, "experiment": "nnexp"}, "tags": {}, "schema": 2}  # fmt: skip
    mine.mkdir()
    (mine / "run.json").write_text(json.dumps(record))
    gone = json.dumps({**json.loads(lease.owner()), "pid": 2**22 - 1, "start": "1"})
    store.create("of the attacker", 1.0, {UID: "mine", DIRECTORY: str(mine), OWNER: gone, HEARTBEAT: "1"})
    recovery.recover(store, victim.folder / "outputs")
    assert not RunDirectory(mine).has_ended
    assert run_id


class Hostile:
    """A tracking server's artifacts, which it names as it likes."""

    def __init__(self, path):
        self.path = path

    def artifacts(self, uri):
        return self

    def list_artifacts(self, path=None):
        if path:
            raise OSError("error 500: there is no such folder")
        return [type("FileInfo", (), {"path": self.path, "file_size": 1, "is_dir": False})]


RUN = StoredRun("r", "r", "FINISHED", 0.0, 1.0, {}, {}, {}, "mlflow-artifacts:/1/r/artifacts", "1")


@pytest.mark.parametrize("form", ["../outside/x/evil.npz", "{}/outside/evil.npz", "a/../../outside/evil.npz"])
def test_a_server_that_names_artifacts_elsewhere(tmp_path, form):
    name = form.format(tmp_path)
    stored = StoredFiles(Hostile(name), RUN)
    assert stored.names() == {}
    (tmp_path / "inner").mkdir()
    with pytest.raises(ValueError, match="no name of a file"):
        stored.fetch(name, tmp_path / "inner")
    assert [*tmp_path.rglob("*")] == [tmp_path / "inner"]


def test_a_file_is_asked_for_in_the_folder_in_which_a_server_lists_it(tmp_path):
    """And in no other: its answer to one folder says nothing of another."""
    stored = StoredFiles(Hostile("config/config.yaml"), RUN)
    assert stored.names() == {}
    for name in ("config/config.yaml", "result.json"):
        with pytest.raises(FileNotFoundError):
            stored.fetch(name, tmp_path)


def test_a_folder_of_artifacts_is_left_by_no_name(tmp_path):
    artifacts = tmp_path / "artifacts"
    (artifacts / "reports").mkdir(parents=True)
    (artifacts / "reports/a.txt").touch()
    (tmp_path / "private.txt").write_text("the reader's own")
    stored = StoredFiles(SimpleNamespace(), replace(RUN, artifact_uri=artifacts.as_uri()))
    assert (stored.folders(), [*stored.names("reports")]) == (["reports"], ["reports/a.txt"])
    assert (stored.names(".."), stored.folders("../.."), stored.names("/")) == ({}, [], {})
    for name in ("../private.txt", "../outside/x/private.txt"):
        with pytest.raises(ValueError, match="is no name of a file of a run"):
            stored.fetch(name, tmp_path / "into")
    assert not (tmp_path / "outside").exists()
    (artifacts / "link.txt").symlink_to(tmp_path / "private.txt")
    (tmp_path / "into").mkdir(exist_ok=True)
    with pytest.raises(OSError, match="link"):
        stored.fetch("link.txt", tmp_path / "into")


BOMB = gzip.compress(bytes(2**20))
TOO_MUCH = {
    "of a size that no file has": (10**12, Sends(b"x")),
    "more than it lists": (1, Sends(b"x" * 1001)),
    "of an unsaid size": (None, Sends(b"x" * 1001)),
    "without an end": (1, Sends(is_endless=True)),
    "more than it lists, and says so": (1, Sends(is_endless=True, length=2**40)),
    "a page without an end": (1, Sends(is_endless=True, status=404)),
    "packed": (1, Sends(BOMB, encoding="gzip")),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_of_a_server_that_sends_too_much_only_a_little_is_read(what, tmp_path):
    size, sends = TOO_MUCH[what]
    with HostileServer("result.json", size, sends) as hostile:
        stored = StoredFiles(Store(hostile.uri, "nnexp"), RUN)
        refused = OSError if sends.status != 200 else ValueError
        with pytest.raises(refused, match=r"expected at most 1,000 bytes|packed by gzip|error 404"):
            stored.fetch("result.json", tmp_path, 1000)
        assert hostile.n_asked == (size != 10**12)
        if hostile.n_asked:
            assert hostile.over.wait(HANGING)
        assert hostile.n_sent <= 2**25  # what the system takes over before the client goes away
        assert list(tmp_path.rglob("*")) == []


def test_of_a_server_that_sends_what_it_says_a_file_is_read(tmp_path):
    with HostileServer("result.json", 1000, Sends(b"x" * 1000, length=1000)) as server:
        stored = StoredFiles(Store(server.uri, "nnexp"), RUN)
        assert stored.read("result.json", 1000) == b"x" * 1000
        stored.fetch("result.json", tmp_path, 1000)
        assert (tmp_path / "result.json").stat().st_size == 1000
        with pytest.raises(ValueError, match="expected at most 999 bytes"):
            stored.read("result.json", 999)


def test_a_file_that_breaks_off_is_not_taken_for_a_whole_one():
    with HostileServer("result.json", 1000, Sends(b"x" * 10, length=1000)) as server:
        stored = StoredFiles(Store(server.uri, "nnexp"), RUN)
        with pytest.raises(OSError, match=r"^result\.json: the server's answer breaks off: .*990 more expected"):
            stored.read("result.json", 1000)
        assert server.n_asked == ATTEMPTS


def test_a_server_that_is_gone_gives_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with HostileServer() as server:
        address = f"{server.uri}/api/2.0/mlflow-artifacts/artifacts"
    with pytest.raises(OSError, match=r"^result\.json: API request to ") as raised:
        download(address, "result.json", tmp_path, 1000)
    assert "\n" not in str(raised.value)


def test_a_small_archive_of_large_arrays_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(run_files, "MOST_ARRAYS", 2**20)
    file = io.BytesIO()
    np.save(file, np.zeros(2**20))
    with zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("theta.npy", file.getvalue())
    with pytest.raises(RecordError, match="would become"):
        read_arrays(tmp_path / "w.npz")
    np.savez(tmp_path / "w.npz", theta=np.zeros(2**20))  # as a run writes it
    assert len(read_arrays(tmp_path / "w.npz")["theta"]) == 2**20


def test_a_damaged_file_of_a_stored_run_is_told_with_the_run_and_its_name(victim, empty_store, monkeypatch):
    store, run_id, artifacts = victim.store(empty_store)
    name = f"run {run_id} ({store.get(run_id).name})"
    monkeypatch.setattr(run_files, "MOST_ARRAYS", 0)
    np.savez_compressed(artifacts / "weights.npz", theta=np.zeros(2**20))
    status, _, err = victim("rerun", run_id, "--check")
    assert (status, len(err.splitlines())) == (2, 1), err
    assert err.startswith(f"{name}: weights.npz is damaged: its ")
    (artifacts / "result.json").write_text("[]")
    for words in ((), ("--check",)):
        status, _, err = victim("rerun", run_id, *words)
        told = f"{name}: result.json is damaged: expected a JSON object, got list\n"
        assert (status, err) == (2, told)


def picture(width, height):
    """A PNG of black pixels, which compress well."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(12_000, 12_000), (1, 4000), (4000, 1), (10, 0)])
def test_a_picture_that_becomes_too_large_is_not_shown(size):
    assert len(picture(*size)) < 100_000
    with pytest.raises(ValueError, match="is not shown"):
        logged_figures._image(picture(*size))
    assert logged_figures._image(picture(30, 20)).shape[:2] == (20, 30)


@pytest.mark.parametrize("content", [b"GIF89a" + bytes(30), picture(30, 20)[:20], b""])
def test_what_is_no_png_is_not_shown(content):
    with pytest.raises(ValueError, match="it is no PNG"):
        logged_figures._image(content)


NEST = "[" * 100_000


def test_nested_json_and_nested_tags_end_no_report(victim, empty_store):
    store, run_id, artifacts = victim.store(empty_store)
    store.tag(run_id, {OWNER: NEST[:5000], HEARTBEAT: "1"})
    store.create("of the attacker", 1.0, {OWNER: NEST[:5000], UID: "x"})
    for name in ("result.json", "reports/classification_report_test.json", "environment/environment.json"):
        (artifacts / name).write_text(NEST)
    assert victim("report", "--experiment", "nnexp")[0] == 0
    assert victim("sweeps")[0] == 0
    status, _, err = victim("rerun", run_id, "--check")
    assert (status, len(err.splitlines())) == (2, 1), err
    store.tag(run_id, {SWEEP: "0123456789abcdef"})
    parent = store.create("of the attacker", 1.0, {UID: "sweep", KIND: "sweep", SWEEP: "0123456789abcdef"})
    store.client.log_text(parent, NEST, "plan.json")
    for words in (["report"], ["rerun", "--check"]):
        run_files._told.clear()
        _, _, err = victim(words[0], "0123456789abcdef", *words[1:])
        assert f"plan.json of the run {parent} (of the attacker) is damaged: maximum recursion depth exceeded" in err


@pytest.mark.parametrize("text", ["-" * 5000 + "1", "1" + "+1" * 5000, "(" * 5000, "{{}}", "{[]: 1}", "\0", "f()"])
def test_a_param_that_is_no_value_stays_text_in_a_table_of_runs(text):
    assert typed(text) == text


@pytest.mark.parametrize("name", ["run.json", "result.json", "published.json"])
def test_nested_json_in_a_run_directory_is_damaged(victim, name):
    (victim.run / name).write_text(NEST)
    status, _, err = victim("rerun", "a", "--check", "tracking=none")
    if name == "published.json":  # which only saves work
        return
    assert (status, f"{name} is damaged" in err) == (2, True), err


def test_a_pipe_in_place_of_a_file_does_not_hang(victim):
    for name in ("result.json", "reports/history.csv", "weights.npz"):
        (victim.run / name).unlink()
        os.mkfifo(victim.run / name)
        writer = os.open(victim.run / name, os.O_RDWR)  # who takes the guard out is not to hang either
        os.write(writer, b"\n")
        assert victim("rerun", "a", "--check", "tracking=none")[0] == 2
        os.close(writer)
        os.unlink(victim.run / name)
        shutil.copy(__file__, victim.run / name)


@pytest.mark.parametrize("form", ["http://{}/1/artifacts", "mlflow-artifacts://{}/1"])
def test_credentials_go_to_no_server_that_only_an_experiment_or_a_run_names(monkeypatch, form):
    for name, value in {"USERNAME": "alice", "PASSWORD": "what-alice-alone-knows"}.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    with FaultyServer(200, "{}") as thief:
        place = form.format(urlparse(thief.uri).netloc)
        experiment = json.loads(EXPERIMENT)["experiment"] | {"artifact_location": place}
        with FaultyServer(200, json.dumps({"experiment": experiment})) as server:
            with pytest.raises(StoreError, match=r"artifacts at 127\.0\.0\.1:\d+ are not used"):
                Store(server.uri, "nnexp", HANGING).experiment_id  # noqa: B018 - it is asked for
        with FaultyServer(200, EXPERIMENT) as server:
            store = Store(server.uri, "nnexp", HANGING)
            files = StoredFiles(store, replace(RUN, artifact_uri=f"{place}/r"))
            for use in (files.names, lambda: store.artifacts(place)):
                with pytest.raises(StoreError, match="would get your credentials"):
                    use()
            store.artifacts("mlflow-artifacts:/1/r/artifacts")
            monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
            store.artifacts(place)  # there is nothing that it could get
        assert thief.seen == []
