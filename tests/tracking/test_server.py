"""What the answer of a tracking server means, and why there was none; what is heard of the calls of a client."""

import json
import ssl

import pytest
import requests
import urllib3

from nnexp.tracking.errors import RefusedError
from nnexp.tracking.server import Answer, Trouble, _unanswered, judged
from nnexp.tracking.server_client import ServerClient

REFUSED = ConnectionRefusedError(111, "Connection refused")


@pytest.mark.parametrize(
    ("status", "said", "experiment"),
    [
        (200, {"experiment": {"experiment_id": "1"}}, {"experiment_id": "1"}),
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}, None),
    ],
)
def test_an_experiment_may_be_there_or_not(status, said, experiment):
    assert judged(status, json.dumps(said), "e") == Answer(None, experiment)


@pytest.mark.parametrize("body", ['{"experiment": "e"}', '["experiment"]', "[" * 100_000])
def test_json_of_another_form_is_none_of_mlflows(body):
    trouble = judged(200, body, "e").trouble
    assert trouble is not None
    assert trouble.text == "is not an MLflow server: it answers with something other than MLflow's JSON"


def caused(error, cause):
    error.__cause__ = cause
    return error


def broken_tls():
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


def in_a_circle(error):
    error.args = (error,)
    return error


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (caused(RuntimeError(), broken_tls()), Trouble("cannot be reached: TLS failed: wrong version number", True)),
        (requests.exceptions.SSLError("odd"), Trouble("cannot be reached: TLS failed: odd", True)),
        (
            requests.exceptions.ProxyError(urllib3.exceptions.MaxRetryError(None, "/", REFUSED)),
            Trouble("cannot be reached through the proxy: connection refused", False),
        ),
        (
            caused(urllib3.exceptions.NewConnectionError(None, "no"), REFUSED),
            Trouble("cannot be reached: connection refused", False),
        ),
        (requests.exceptions.ReadTimeout(), Trouble("did not answer within 3 s", True, is_late=True)),
        (
            in_a_circle(requests.exceptions.ConnectionError()),
            Trouble("cannot be reached: the connection was closed without an answer", False),
        ),
        (ValueError("odd"), Trouble("cannot be used: odd", True)),
    ],
    ids=["TLS", "TLS of requests", "proxy", "refused", "late", "closed", "odd"],
)
def test_why_there_was_no_answer(error, trouble):
    assert _unanswered(error, 3.0) == trouble


def answered(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("no", response=response)


@pytest.mark.slow  # imports MLflow
def test_each_answer_to_a_client_is_heard_and_a_refusal_says_what_it_takes():
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, UNAUTHENTICATED

    class Client:
        """MLflow's, as far as it matters here."""

        uri = "http://server"

        def does(self, error=None):
            if error is not None:
                raise error
            return "done"

        get_run = log_artifact = _inner = does

    def refused(status, permission):
        return RefusedError(permission, status)

    heard = []
    client = ServerClient(Client(), lambda: heard.append(True), refused, lambda *how: None)
    assert (client.uri, client._inner(), heard) == ("http://server", "done", [])
    assert (client.does(), heard) == ("done", [True])
    for call, error, status, permission in (
        (client.get_run, MlflowException("no", UNAUTHENTICATED), 401, "READ"),
        (client.does, MlflowException("no", PERMISSION_DENIED), 403, "EDIT"),
        (client.log_artifact, answered(403), 403, "EDIT"),
    ):
        with pytest.raises(RefusedError) as caught:
            call(error)
        assert (caught.value.status, str(caught.value)) == (status, permission)
    for error in (MlflowException("no"), answered(404), requests.HTTPError("no"), KeyError("no")):
        with pytest.raises(type(error)) as caught:
            client.does(error)
        assert caught.value is error
    assert heard == [True]
