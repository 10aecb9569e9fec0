"""What a store does not give is told, and not taken for what a run has not recorded."""

from dataclasses import replace

import pytest

from nnexp.report.files import RunFiles
from nnexp.report.make import write_report
from nnexp.report.method import ENVIRONMENT
from nnexp.report.selection import Found, _plan
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store
from tests.report.runs import trained_run
from tests.tools.hostile_server import HostileServer, Sends

CONTENT = b'{"nnexp": "1.2.3"}'
WHOLE, CUT = Sends(CONTENT, length=len(CONTENT)), Sends(CONTENT[:9], length=len(CONTENT))
TROUBLE = {
    "cut": (CUT, "the server's answer breaks off"),
    "refused": (replace(WHOLE, status=503), "the server answers with error 503"),
}


@pytest.fixture
def run(tmp_path):
    return replace(trained_run(tmp_path), artifact_uri="mlflow-artifacts:/1/r/artifacts", metrics={"cost/train": 1.0})


def files_of(server):
    return RunFiles(Store(server.uri, "nnexp"))


@pytest.mark.parametrize("what", TROUBLE)
def test_a_report_says_which_files_the_store_did_not_give(what, run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    sends, why = TROUBLE[what]
    with HostileServer(ENVIRONMENT, len(CONTENT), sends) as server:
        made = write_report(Found([run], "", ""), files_of(server), tmp_path / "out", formats=())
    told = f"1 file of runs could not be read, so this report is not complete: {ENVIRONMENT} of the run {run.run_id}"
    assert made.sentences[0].startswith(told)
    assert f"({run.name}): {why}" in made.sentences[0]
    assert capsys.readouterr().err == made.sentences[0] + "\n"
    page = made.path.read_text()
    assert told in page
    assert "nnexp (version could not be read)" in page
    assert "not recorded" not in page.split("All was computed")[1][:60]


def test_a_report_says_nothing_of_files_that_are_there_or_that_nobody_has_recorded(run, tmp_path, capsys):
    for name, version in ((ENVIRONMENT, "1.2.3"), ("other.json", "(version not recorded)")):
        with HostileServer(name, len(CONTENT), WHOLE) as server:
            made = write_report(Found([run], "", ""), files_of(server), tmp_path / "out", formats=())
        assert f"nnexp {version}" in made.path.read_text()
        assert "could not be read" not in made.path.read_text()
        assert capsys.readouterr().err == ""


def test_of_several_files_the_first_is_told(run):
    with HostileServer(ENVIRONMENT, len(CONTENT), CUT) as server:
        files = files_of(server)
        assert [files.read(each, ENVIRONMENT) for each in (run, replace(run, run_id="second"))] == [None, None]
    told = f"2 files of runs could not be read, so this report is not complete; the first: {ENVIRONMENT} of the run "
    assert (files.about_unread() or "").startswith(told)


def test_a_sweep_whose_plan_the_store_does_not_give_has_no_report(run):
    with HostileServer("plan.json", len(CONTENT), CUT) as server:
        with pytest.raises(StoreError, match=r"plan of the sweep could not be read: plan\.json of the run run0000"):
            _plan(Store(server.uri, "nnexp"), run)
        server.name = "other.json"
        assert _plan(Store(server.uri, "nnexp"), run) is None
