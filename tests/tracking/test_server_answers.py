"""What a tracking server answers that it should not: files that it does not keep, and nothing in time."""

import pytest

from nnexp.tracking import store as store_module
from nnexp.tracking.errors import NotKeptError, RefusedError, StoreError
from nnexp.tracking.store import Store
from tests.tools.hostile_server import HostileServer
from tests.tools.waiting import HANGING


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(HANGING)))
    with HostileServer() as server:
        yield server


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize(
    ("status", "said", "attempts"),
    [
        (413, "refuses figures/weights.npz (413: too large)", 1),
        (507, "could not keep figures/weights.npz (507: no space left)", 1),
        (500, "could not keep figures/weights.npz (500: internal server error)", 2),
        (404, "refuses figures/weights.npz (404: not found)", 1),
        (599, "could not keep figures/weights.npz (599: an error)", 1),
    ],
)
def test_a_file_that_a_server_does_not_keep_is_named_with_the_status(server, file, status, said, attempts):
    server.put_status = status
    store = Store(server.uri, "nnexp", HANGING)
    repository = store.artifacts("mlflow-artifacts:/1/r/artifacts")
    with pytest.raises(NotKeptError) as caught:
        repository.log_artifact(str(file), "figures")
    assert str(caught.value) == f"the tracking server {server.uri} {said}"
    assert not isinstance(caught.value, StoreError)  # it is tried again, as the other errors of a server that is there
    assert server.n_asked == attempts


def test_the_files_that_a_client_sends_for_a_run_are_named_too(server, file):
    server.put_status = 413
    client = Store(server.uri, "nnexp", HANGING).client
    with pytest.raises(NotKeptError, match=r"refuses plan\.json \(413"):
        client.log_text("r", "{}", "plan.json")
    with pytest.raises(NotKeptError, match=r"refuses weights\.npz \(413"):
        client.log_artifact("r", str(file))


def test_who_may_not_send_a_file_is_told_so(server, file):
    server.put_status = 403
    repository = Store(server.uri, "nnexp", HANGING).artifacts("mlflow-artifacts:/1/r/artifacts")
    with pytest.raises(RefusedError, match="needs the permission EDIT"):
        repository.log_artifact(str(file))


def test_whether_there_is_an_experiment_is_what_the_server_says_now_and_not_what_it_once_said(server, monkeypatch):
    monkeypatch.setattr(store_module, "FRESH_SECONDS", 100 * HANGING)
    store = Store(server.uri, "nnexp", HANGING)
    assert store.has_experiment()
    store.patience, server.n_silent, server.has_experiment = 0.1, 1, False
    assert not store.has_experiment()  # by a question that is asked in earnest, for the small one got no answer
    store.patience, server.has_experiment = HANGING, True
    assert store.has_experiment()
    store.patience, server.n_silent = 0.1, 1
    assert store.has_experiment()
