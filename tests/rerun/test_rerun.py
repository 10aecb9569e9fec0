"""Reruns of real runs: what comes out identical, what does not, and that the cause is named."""

import json
import platform

import pytest

from tests.tools.real_runs import copy_of, edit_json, edited_package, make, rerun, write_mat

pytestmark = pytest.mark.slow

SMOKE = ["experiment=smoke", "optimizer.maxfun=12", "optimizer.maxiter=8"]
METHODS = ["tnc", "lbfgsb", "cg", "bfgs", "newton_cg", "trust_ncg", "trust_krylov", "gd", "sgd", "adam"]
ACTIVATIONS = ["sigmoid", "tanh", "relu"]
# Each method twice; activation, depth, dtype, penalty, start and seed go round beside it.
MANY = [
    [
        *SMOKE,
        f"optimizer={method}",
        f"model.activation={ACTIVATIONS[(i + turn) % 3]}",
        f"model.hidden_size={[7, [6, 5], [5, 4, 3]][(i + 2 * turn) % 3]}",
        f"training.dtype={['float64', 'float32'][turn]}",
        f"model.init_scale={['0.12', 'glorot'][(i + turn) % 2]}",
        f"model.l2={i / 2}",
        f"seed={i}",
        f"data.validation_size={[0, 0.1][i % 2]}",
        f"training.evaluate_every={1 + i % 2}",
    ]
    for i, method in enumerate(METHODS)
    for turn in range(2)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cache):
    """A working folder in which all tests of this module keep their runs."""
    path = tmp_path_factory.mktemp("reruns")
    cache.mkdir(exist_ok=True)
    (path / "data").symlink_to(cache)
    return path


@pytest.fixture(scope="module")
def one(folder):
    """One finished run."""
    return make(folder, [SMOKE])[0]


def test_20_runs_over_methods_activations_depths_and_dtypes_repeat_in_a_new_process(nnexp):
    directories = make(nnexp.folder, MANY)
    done = rerun(nnexp.folder, [[directory, "--check"] for directory in directories])
    assert [(status, told["verdict"], told["changed"]) for status, told, _ in done] == [(0, "identical", [])] * 20
    assert len({told["run_id"] for _, told, _ in done}) == 20


def test_new_run_is_whole_and_linked_to_the_old_one(folder, one):
    [(_, told, _)] = rerun(folder, [[one, "--check"]])
    old = json.loads((one / "run.json").read_text())
    [new] = folder.glob(f"outputs/runs/{told['run_id'].rpartition('-')[0]}")
    record = json.loads((new / "run.json").read_text())
    assert told["original_run_id"] == old["uid"] == record["tags"]["nnexp.rerun_of"]
    assert record["identity"] == old["identity"]
    assert json.loads((new / "reports" / "check.json").read_text())["verdict"] == "identical"


def test_a_rerun_can_be_rerun(folder, one):
    [(_, first, _)] = rerun(folder, [[one]])
    [(status, told, _)] = rerun(folder, [[first["run_id"], "--check"]])
    assert (status, told["verdict"], told["original_run_id"]) == (0, "identical", first["run_id"])


def test_without_check_there_is_no_verdict(folder, one):
    [(status, told, _)] = rerun(folder, [[one, "model.l2=3"]])
    assert (status, told["verdict"], told["changed"]) == (0, None, ["config: model.l2 1.0 -> 3.0"])


def test_override_is_the_difference_and_not_identical(folder, one):
    [(status, told, _)] = rerun(folder, [[one, "--check", "model.l2=1.1", "optimizer.maxiter=7"]])
    assert (status, told["verdict"]) == (3, "different")
    assert told["changed"] == ["config: model.l2 1.0 -> 1.1", "config: optimizer.maxiter 8 -> 7"]
    assert "iteration 0" in told["difference"]


def test_one_changed_line_of_the_objective_is_found_and_named(folder, one, tmp_path):
    package = edited_package(
        tmp_path, "nn/objective.py", "self.l2 / (2 * self.n_samples)", "self.l2 / (2.001 * self.n_samples)"
    )
    [(status, told, _)] = rerun(folder, [[one, "--check"]], package)
    assert (status, told["verdict"], told["changed"]) == (3, "different", ["code: nn/objective.py"])


def test_a_line_that_changes_no_number_is_identical_and_still_named(folder, one, tmp_path):
    package = edited_package(
        tmp_path, "nn/objective.py", "from __future__ import annotations", "from __future__ import annotations  # !"
    )
    [(status, told, _)] = rerun(folder, [[one, "--check"]], package)
    assert (status, told["verdict"], told["changed"]) == (0, "identical", ["code: nn/objective.py"])


def test_threads_do_not_change_the_numbers_and_are_named(folder, one):
    [(status, told, _)] = rerun(folder, [[one, "--check", "training.threads=2"]])
    assert (status, told["verdict"], told["changed"]) == (0, "identical", ["config: training.threads 1 -> 2"])


def test_verdict_on_two_threads_of_a_large_objective_is_that_of_the_bits(folder):
    [directory] = make(folder, [["data=digits", "optimizer=lbfgsb", "optimizer.maxfun=20", "model.hidden_size=96"]])
    [(status, told, _)] = rerun(folder, [[directory, "--check", "training.threads=2"]])
    [new] = folder.glob(f"outputs/runs/{told['run_id'].rpartition('-')[0]}")
    results = [json.loads((path / "result.json").read_text()) for path in (directory, new)]
    digests = [[r[f"{name}_digest"] for name in ("theta", "theta0", "history", "predictions")] for r in results]
    assert (told["verdict"] == "identical") == (digests[0] == digests[1])
    assert status == (0 if told["verdict"] == "identical" else 3)
    assert told["changed"] == ["config: training.threads 1 -> 2"]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="needs OpenBLAS's kernels of x86")
def test_another_kernel_of_the_blas_is_equal_within_rounding_and_named(folder):
    [directory] = make(folder, [["data=digits", "optimizer=cg", "optimizer.maxfun=20", "model.hidden_size=25"]])
    [(status, told, _)] = rerun(folder, [[directory, "--check"]], OPENBLAS_CORETYPE="Prescott")
    assert (status, told["verdict"]) == (3, "equal within rounding")
    assert [item.partition(":")[0] for item in told["changed"]] == ["BLAS of numpy", "BLAS of scipy"]
    assert "-> openblas" in told["changed"][0]
    assert "largest difference" in told["difference"]


def test_other_versions_of_packages_and_machine_are_named(folder, one):
    """The recorded environment is edited, which stands for an upgrade since: the same numbers, but the names told."""
    old = copy_of(one, "upgraded")
    path = old / "environment" / "environment.json"
    recorded = json.loads(path.read_text())
    packages = recorded["packages"] | {"scipy": "1.0.0", "mlflow": "3.0"}
    blas = [library | {"kernel": "Katmai"} for library in recorded["blas"]]
    edit_json(path, packages=packages, blas=blas, cpu="Pentium III", python="3.10.0", system="Multics")
    [(status, told, _)] = rerun(folder, [[old, "--check"]])
    assert (status, told["verdict"]) == (0, "identical")
    kinds = [item.split(":")[0] for item in told["changed"]]
    assert kinds == ["package", "other packages", "BLAS of numpy", "BLAS of scipy", "CPU", "Python", "OS"]
    assert told["changed"][0] == f"package: scipy 1.0.0 -> {recorded['packages']['scipy']}"


@pytest.fixture
def of_file(folder):
    """A run on a MATLAB file, and the file."""
    path = write_mat(folder / "small.mat")
    job = ["data=mat", "data.path=small.mat", "model.hidden_size=4", "optimizer.maxfun=10"]
    return make(folder, [job])[0], path


def test_one_changed_pixel_of_the_file_is_an_answer_and_nothing_is_trained(folder, of_file):
    directory, path = of_file
    write_mat(path, shift=1e-9)
    before = len(list(folder.glob("outputs/runs/*")))
    [(status, told, err), (refused, nothing, line)] = rerun(folder, [[directory, "--check"], [directory]])
    assert (status, told["verdict"], told["run_id"]) == (3, "different", None)
    assert [item.split(",")[0] for item in told["changed"]] == ["data: mat has another content"]
    assert "have changed" in err
    assert (refused, nothing) == (2, None)
    assert "have changed" in line
    assert len(list(folder.glob("outputs/runs/*"))) == before


def test_one_changed_pixel_of_another_file_is_trained_on_and_named(folder, of_file):
    directory, _ = of_file
    other = write_mat(folder / "other.mat", shift=0.5)
    [(status, told, _)] = rerun(folder, [[directory, "--check", f"data.path={other}"]])
    assert (status, told["verdict"]) == (3, "different")
    assert told["run_id"]
    assert [item.split(",")[0] for item in told["changed"]] == ["data: mat has another content"]


def test_data_file_of_a_relative_path_is_found_from_another_folder(folder, of_file, tmp_path):
    [(status, told, _)] = rerun(tmp_path, [[of_file[0], "--check"]])
    assert (status, told["verdict"], told["changed"]) == (0, "identical", [])


def test_data_file_that_is_gone_is_refused(folder, of_file):
    directory, path = of_file
    path.unlink()
    [(status, told, err)] = rerun(folder, [[directory, "--check"]])
    assert (status, told) == (2, None)
    assert "data.path" in err
    assert "small.mat" in err


def test_sweep_by_joblib_is_identical_to_its_serial_rerun(with_store):
    from nnexp.commands.sweeps import table
    from nnexp.runs.tags import PARENT

    nnexp = with_store
    swept = nnexp("experiment=smoke", "model.l2=0.1,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "-m")
    assert swept.status == 0, swept.err
    store = nnexp.store()
    [sweep] = table(store)
    done = nnexp("rerun", sweep["sweep"][:8], "--check", "--json")
    assert done.status == 0, done.err
    assert (done.json["verdict"], done.json["changed"]) == ("identical", [])
    assert [run["verdict"] for run in done.json["runs"]] == ["identical", "identical"]
    new = [store.get(run["run_id"]) for run in done.json["runs"]]
    assert [run.tags["nnexp.rerun_of"] for run in new] == [run["original_run_id"] for run in done.json["runs"]]
    assert {run.tags["nnexp.check"] for run in new} == {"identical"}
    for run in new:
        assert f"Rerun of `{run.tags['nnexp.rerun_of']}`: **identical**" in run.tags["mlflow.note.content"]
    assert {run.tags[PARENT] for run in new} == {done.json["run_id"]}
    parent = store.get(done.json["run_id"])
    assert (parent.status, parent.tags["nnexp.rerun_of"]) == ("FINISHED", done.json["original_run_id"])
    assert "identical" in parent.tags["mlflow.note.content"]
    assert table(store) == [sweep]  # a rerun is no sweep of its own and adds nothing to the old one
