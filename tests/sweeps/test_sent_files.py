"""A file that was sent to the machine of a job: the job reads its copy, and the record names what the user has."""

import json

import pytest
import yaml

from nnexp.compose import compose
from nnexp.runs.identity import sha256
from nnexp.sweeps.job import run_job
from nnexp.sweeps.on_ray import Sent, take_files

ROWS = "\n".join(["a,b,label", *(f"{i % 7},{i % 5},{'odd' if i % 2 else 'even'}" for i in range(80))])
WORDS = ["experiment=smoke", "data=csv", "data.target=label", "tracking=none", "figures.of=none", "optimizer.maxfun=5"]


@pytest.mark.slow
def test_a_run_of_a_sent_table_is_recorded_with_the_users_path_and_repeated_from_there(nnexp, tmp_path, monkeypatch):
    table, node = tmp_path / "user/table.csv", tmp_path / "node"
    node.mkdir()
    monkeypatch.chdir(node)  # which has no table
    sent = Sent(str(table), sha256(ROWS.encode()), [ROWS.encode()])
    config = compose([*WORDS, f"data.path={table}"])
    take_files(config, {"data.path": sent}, lambda content: content)
    [copy] = node.glob("outputs/files/*/table.csv")
    path = node / "outputs/runs/a"
    outcome = run_job(config, [], path)
    assert outcome.status == "FINISHED", outcome.message

    record = json.loads((path / "run.json").read_text())
    assert yaml.safe_load((path / "config/config.yaml").read_text())["data"]["path"] == str(table)
    assert json.loads(record["details"]["dataset"]["source"])["path"] == str(table)
    assert record["details"]["data"]["path"] == str(copy)  # from which its figures are drawn here
    take_files(config, {"data.path": sent}, lambda content: pytest.fail("it is here already"))

    repeated = nnexp("rerun", str(path), "--check", "--json", "tracking=none")
    assert (repeated.status, repeated.json["verdict"]) == (0, "identical"), repeated.err  # from the copy
    copy.unlink()
    missing = nnexp("rerun", str(path), "--check", "tracking=none")
    assert (missing.status, f"got {str(table)!r}: there is no such file" in missing.err) == (2, True), missing.err
    table.parent.mkdir()
    table.write_text(ROWS)
    repeated = nnexp("rerun", str(path), "--check", "--json", "tracking=none")
    assert (repeated.status, repeated.json["verdict"]) == (0, "identical"), repeated.err
    table.write_text(ROWS.replace("even", "odd", 1))
    changed = nnexp("rerun", str(path), "--check", "tracking=none")
    assert changed.status != 0
    assert "identical" not in changed.out
