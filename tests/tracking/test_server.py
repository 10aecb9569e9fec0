"""What the answer of a tracking server means, and why there was none."""

import json
import ssl

import pytest
import requests
import urllib3

from nnexp.tracking.server import Answer, Trouble, _unanswered, judged

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
