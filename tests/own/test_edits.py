"""What happens to a sweep when a file of the user's own is edited."""

import json

import pytest

pytestmark = pytest.mark.slow

# A minimizer that may edit its own file while the sweep goes on.
EDITED = """
from pathlib import Path
from scipy.optimize import OptimizeResult

def descend(fun, x0, jac=None, lr=0.5, edit=False, broken=False, **given):
    x = x0.copy()
    for _ in range(3):
        x = x - lr * jac(x)
    if edit:
        with Path(__file__).open("a") as file:
            file.write("# another line\\n")
    if broken:
        raise RuntimeError("no way down")
    return OptimizeResult(x=x, success=True)
"""
SMALL = ("experiment=smoke", "model.hidden_size=2")


@pytest.fixture
def command(with_store):
    (with_store.folder / "mylib.py").write_text(EDITED)
    return with_store


def children(nnexp):
    return [run for run in nnexp.store().search() if "nnexp.kind" not in run.tags]


def test_an_edit_between_two_starts_makes_those_jobs_anew_that_use_the_file(command):
    line = ("-m", *SMALL, "optimizer.maxfun=5", "optimizer.method=mylib.descend,L-BFGS-B", "seed=0,1")
    first = command(*line)
    assert first.status == 0, first.err
    file = command.folder / "mylib.py"
    file.write_text(file.read_text().replace("range(3)", "range(2)"))
    planned, again, untouched = command.each([*line, "dry_run=true"], line, line)
    assert "2 of 4 jobs would run." in planned.out
    assert again.status == 0, again.err
    assert again.err.count("skipped:") == 2
    finished = [run.tags["nnexp.run_key"] for run in children(command) if run.status == "FINISHED"]
    assert len(finished) == len(set(finished)) == 6
    assert untouched.err.count("skipped:") == 4


def test_an_edit_in_the_middle_of_a_sweep_fails_the_jobs_to_come_by_the_files_name(command):
    options = "optimizer.options={edit: true},{lr: 0.4},{lr: 0.3}"
    sweep = command("-m", *SMALL, "optimizer.method=mylib.descend", options)
    assert sweep.status == 3, sweep.err
    assert "1 of 3 jobs finished, 2 failed" in sweep.out
    assert sweep.out.count("mylib.py changed since the sweep was planned") == 2
    failed = [run for run in children(command) if run.status == "FAILED"]
    assert len(failed) == 2
    assert len({run.tags["nnexp.run_key"] for run in children(command)}) == 3  # the planned keys, and no others
    [finished] = [run for run in children(command) if run.status == "FINISHED"]
    checked = command("rerun", finished.run_id, "--check", "--json")
    assert (checked.status, checked.json["verdict"]) == (3, "identical") or checked.status == 0
    assert "code: mylib.py (comments or layout only)" in checked.json["changed"]


def test_an_error_of_ones_own_is_told_from_ones_own_file_on_and_once(command):
    options = "optimizer.options={broken: true},{lr: 0.1}"
    sweep = command("-m", *SMALL, "tracking=none", "optimizer.method=mylib.descend", options, "seed=0,1")
    assert sweep.status == 3, sweep.err
    assert "2 of 4 jobs finished, 2 failed" in sweep.out
    assert sweep.err.count("Traceback") == 1
    told = sweep.err[sweep.err.index("Traceback") :].splitlines()
    assert told[1].endswith('mylib.py", line 13, in descend')
    assert told[3] == "RuntimeError: no way down"
    errors = [path / "error.txt" for path in command.directories() if (path / "error.txt").exists()]
    assert len(errors) == 2
    assert all("nnexp/optim" not in error.read_text() for error in errors)


def test_a_rerun_tells_which_function_changed_or_where_the_sources_are(command):
    done = command(*SMALL, "optimizer.method=mylib.descend", "optimizer.options.lr=1")
    assert done.status == 0, done.err
    [directory] = command.directories()
    assert json.loads((directory / "run.json").read_text())["params"]["optimizer.options.lr"] == 1.0
    file = command.folder / "mylib.py"
    file.write_text(file.read_text().replace("x - lr * jac(x)", "x - 0.5 * lr * jac(x)"))
    checked = command("rerun", directory.name, "--check", "--json")
    assert (checked.status, checked.json["verdict"]) == (3, "different")
    assert checked.json["changed"] == ["code: mylib.py (descend)"]
    file.unlink()
    gone = command("rerun", directory.name, "--check")
    assert (gone.status, len(gone.err.splitlines())) == (2, 1)
    assert f"its sources are kept in outputs/runs/{directory.name}/environment/sources" in gone.err
