"""`training.kernel=portable`: the same bits whatever kernel and loops a process would have computed with."""

import json
import os
import platform
import subprocess
import sys

import pytest

from nnexp import kernels
from nnexp.kernels import ADVICE, Library, arithmetic_problem, processor_problem
from tests.tools.waiting import HANGING

is_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs OpenBLAS's kernels of x86")
# As no other processor would be: Nehalem and no AVX2 are what every x86-64 has.
ENVIRONMENTS = (
    {"OPENBLAS_CORETYPE": "", "NPY_DISABLE_CPU_FEATURES": ""},
    {"OPENBLAS_CORETYPE": "SkylakeX", "NPY_DISABLE_CPU_FEATURES": ""},
    {"OPENBLAS_CORETYPE": "Zen", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"},
    {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
)
UNITS = """
import numpy as np

def swish(z):
    return z / (1 + np.exp(-z))

def slope(z):
    s = 1 / (1 + np.exp(-z))
    return s + z * s * (1 - s)

def bend(z):
    s = 1 / (1 + np.exp(-z))
    return s * (1 - s) * (2 + z * (1 - 2 * s))

swish.derivative, swish.second_derivative = slope, bend
"""
TRAIN_ALL = """
import json, sys
from nnexp import kernels

kernel = sys.argv[1]
kernels.of_command(sys.argv[1:], [kernel, f"training.kernel={kernel}"])  # as the command does before all else

import nnexp, units
from nnexp.optim import METHODS
from nnexp.runs.history import history_digest
from nnexp.runs.identity import array_digest

split, digests = nnexp.load_dataset("digits").split(test_size=0.2), {}
for method in METHODS:
    for dtype in ("float64", "float32"):
        for activation in ("sigmoid", units.swish, *(("tanh", "relu") if method == "CG" else ())):
            fit = nnexp.fit(
                split, method=method, dtype=dtype, activation=activation, kernel=kernel, hidden_size=[12, 9], maxfun=8
            )
            digests[f"{method} {dtype} {fit.activation}"] = [array_digest(fit.theta), history_digest(fit.history)]
print(json.dumps(digests))
"""
RUN = ("experiment=smoke", "optimizer.maxfun=8", "tracking=none", "figures.of=none")
PRESET = """
# @package _global_
defaults:
  - smoke
training:
  kernel: portable
"""


def python(nnexp, code, *arguments, **environment):
    """What a new process prints, in an environment."""
    env = os.environ | environment | {"PYTHONPATH": str(nnexp.folder)}
    words = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(words, cwd=nnexp.folder, env=env, capture_output=True, text=True, timeout=HANGING)
    assert done.returncode == 0, done.stderr
    return done.stdout


@is_x86
@pytest.mark.slow
def test_every_method_and_precision_has_the_same_bits_in_every_environment(nnexp):
    (nnexp.folder / "units.py").write_text(UNITS)
    first, *others = (json.loads(python(nnexp, TRAIN_ALL, "portable", **environment)) for environment in ENVIRONMENTS)
    assert len(first) == 44
    assert others == [first] * 3
    native = json.loads(python(nnexp, TRAIN_ALL, "native", **ENVIRONMENTS[3]))
    assert native.keys() == first.keys()
    assert all(native[name] != first[name] for name in first)  # so the digests would tell


@is_x86
@pytest.mark.slow
def test_serial_parallel_from_a_preset_and_repeated_elsewhere_the_bits_are_the_same(nnexp):
    """What the environment says otherwise is overruled in each process; the key is a param and part of the identity."""
    presets = nnexp.folder / "presets/experiment"
    presets.mkdir(parents=True)
    (presets / "mine.yaml").write_text(PRESET)
    sweep = ("-m", *RUN, "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "training.kernel=portable")
    assert nnexp(*sweep, env=ENVIRONMENTS[3]).status == 0
    words = ("--config-dir", "presets", "experiment=mine", *RUN[1:], "seed=1")
    single = nnexp(*words, env=ENVIRONMENTS[1])
    assert single.status == 0, single.err
    records = [json.loads((path / "run.json").read_text()) for path in nnexp.directories()]
    assert [record["tags"]["nnexp.blas_kernel"] for record in records] == ["Haswell"] * 3
    assert [record["params"]["training.kernel"] for record in records] == ["portable"] * 3
    keys = {
        path.name: json.loads((path / "run.json").read_text())["identity"]["run_key"] for path in nnexp.directories()
    }
    digests = {}
    for name, result in nnexp.results().items():
        digests.setdefault(keys[name], []).append(result["theta_digest"])
    assert sorted(map(len, digests.values())) == [1, 2]
    assert all(len(set(each)) == 1 for each in digests.values())

    directory = str(nnexp.directories()[0])
    again = nnexp("rerun", directory, "--check", "--json", "tracking=none", env={"OPENBLAS_CORETYPE": "Nehalem"})
    assert (again.status, again.json["verdict"], again.json["changed"]) == (0, "identical", []), again.err
    judged = nnexp("evaluate", "--weights", directory, "--json", env=ENVIRONMENTS[3])
    assert judged.json["train"]["cost"] == nnexp.results()[nnexp.directories()[0].name]["cost"]
    native = nnexp(*RUN, "seed=0")
    assert native.status == 0
    assert json.loads((nnexp.directories()[-1] / "run.json").read_text())["identity"]["run_key"] not in keys.values()


@is_x86
@pytest.mark.slow
def test_the_references_of_a_report_have_the_kernel_of_its_runs(with_store):
    grid = ("optimizer=tnc,lbfgsb", "seed=0,1", "training.kernel=portable")
    assert with_store("-m", "experiment=smoke", *grid, "figures.of=none").status == 0
    report = with_store("report", "--reference", "--evaluations", "12", env=ENVIRONMENTS[3])
    assert report.status == 0, report.err
    references = [json.loads(path.read_text()) for path in with_store.folder.glob("outputs/references/*.json")]
    assert [reference["params"]["training.kernel"] for reference in references] == ["portable"] * 2
    assert [reference["arithmetic"]["nnexp.blas_kernel"] for reference in references] == ["Haswell"] * 2


SWEPT = (
    "`training.kernel` must be the same for all jobs of a sweep, got native, portable: a process has one kernel; make "
    "a sweep of each, and compare them by nnexp report\n"
)


@pytest.mark.parametrize(
    "words", ["training.kernel=native,portable", "+search=tpe training.kernel=choice(native,portable)"]
)
def test_the_key_cannot_be_swept(nnexp, words):
    refused = nnexp("-m", *RUN, "data.validation_size=0.2", *words.split())
    assert (refused.status, refused.err) == (2, SWEPT)
    assert not nnexp.directories()


FIT = "nnexp.fit(nnexp.load_dataset('digits'), kernel='portable', maxfun=3)"
IN_PYTHON = """
import nnexp
from nnexp import execute
from nnexp.compose import compose, read_config, to_yaml
from nnexp.recording import Request

digits = nnexp.load_dataset("digits")

def job():  # as a worker does it, which a sweep of the right environment may have found started
    config = compose(["experiment=smoke", "tracking=none", "training.kernel=portable"])
    execute.execute(Request(read_config(config), to_yaml(config), [], "outputs/runs/job"))

calls = (
    job,
    lambda: nnexp.run("experiment=smoke", "tracking=none", "training.kernel=portable"),
    lambda: nnexp.sweep("experiment=smoke", "tracking=none", "seed=1,2", "training.kernel=portable"),
    lambda: nnexp.fit(digits, kernel="portable"),
)
for call in calls:
    try:
        call()
    except nnexp.ConfigError as error:
        print(error)
"""


@is_x86
@pytest.mark.slow
def test_from_python_it_is_refused_where_the_process_computes_otherwise(nnexp):
    """What is loaded cannot be changed any more, and is never used silently; in the right environment it trains."""
    told = (
        "`training.kernel`=portable cannot be had in this process, where the BLAS kernel is Nehalem and NumPy's loops "
        f"do not use AVX2: {ADVICE}"
    )
    assert python(nnexp, IN_PYTHON, **ENVIRONMENTS[3]).splitlines() == [told] * 4
    assert not nnexp.directories()
    assert python(nnexp, "import nnexp; print(" + FIT + ".n_fev)", **kernels.VARIABLES) == "3\n"


PARALLEL = """
import os
import nnexp

words = ("experiment=smoke", "seed=1,2", "training.kernel=portable", "figures.of=none", "tracking=none")
launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
names = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES")
before = [os.environ.get(name) for name in names]
for _ in range(2):
    print(nnexp.sweep(*words, *launcher).counts["finished"])
assert [os.environ.get(name) for name in names] == before
for more in ((*launcher, "resume=strict"), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=1"), ()):
    try:
        nnexp.sweep(*words, *more)
    except nnexp.ConfigError as error:
        print(str(error)[:64])
"""


@is_x86
@pytest.mark.slow
def test_from_python_a_sweep_whose_launcher_starts_processes_has_them_compute_so(nnexp):
    """The process itself computes otherwise; its workers are verified, and what they made is not told apart."""
    env = os.environ | ENVIRONMENTS[3] | {"PYTHONPATH": str(nnexp.folder)}
    words = [sys.executable, "-c", PARALLEL]
    done = subprocess.run(words, cwd=nnexp.folder, env=env, capture_output=True, text=True, timeout=HANGING)
    assert done.returncode == 0, done.stderr
    refused = "`training.kernel`=portable cannot be had in this process, where "[:64]
    assert done.stdout.splitlines() == ["2", "2", *[refused] * 3], done.stderr
    records = [json.loads((path / "run.json").read_text()) for path in nnexp.directories()]
    assert [record["tags"]["nnexp.blas_kernel"] for record in records] == ["Haswell"] * 2
    assert "another BLAS kernel" not in done.stderr


@is_x86
def test_a_command_whose_kernel_cannot_be_chosen_begins_anew_once_and_is_refused(nnexp):
    """As with an OpenBLAS that has one kernel only: here every Python sets another before anything else."""
    code = "import os\nos.environ['OPENBLAS_CORETYPE'] = 'Nehalem'\nimport numpy"
    (nnexp.folder / "sitecustomize.py").write_text(code)
    refused = nnexp(*RUN, "training.kernel=portable", env={"PYTHONPATH": str(nnexp.folder), "NNEXP_COLD": "1"})
    assert (refused.status, refused.out) == (2, "")
    assert refused.err == (
        "`training.kernel`=portable needs an OpenBLAS with kernels for several processors, like that of the wheels; "
        "here the BLAS kernel is Nehalem\n"
    )
    assert not nnexp.directories()


HASWELL = [Library("NumPy", "openblas", "Haswell"), Library("SciPy", "openblas", "Haswell")]


@pytest.mark.parametrize(
    ("machine", "flags", "told"),
    [
        ("x86_64", ["sse2", "avx2", "fma"], None),
        ("AMD64", None, None),
        ("aarch64", None, "needs an x86-64 processor with AVX2, this one is aarch64"),
        ("x86_64", ["sse2", "fma"], "needs an x86-64 processor with AVX2 and FMA, this one lacks avx2"),
        ("x86_64", [], "needs an x86-64 processor with AVX2 and FMA, this one lacks avx2, fma"),
    ],
)
def test_processors(machine, flags, told):
    assert processor_problem(machine, flags) == told


@pytest.mark.parametrize(
    ("libraries", "loops", "told"),
    [
        (HASWELL, ["X86_V3"], None),
        (HASWELL[:1], ["FMA3", "AVX2"], None),  # one library for both
        ([], ["X86_V3"], "needs OpenBLAS, here NumPy's BLAS is not known"),
        ([HASWELL[0], Library("SciPy", "mkl", None)], ["X86_V3"], "needs OpenBLAS, here the BLAS of SciPy is mkl"),
        (
            [HASWELL[0], Library("SciPy", "openblas", "Zen")],
            ["X86_V3"],
            f"cannot be had in this process, where the BLAS kernel is Zen: {ADVICE}",
        ),
        (
            HASWELL,
            ["AVX2", "AVX512F"],
            f"cannot be had in this process, where NumPy's loops use AVX512F: {ADVICE}",
        ),
    ],
)
def test_what_computes(libraries, loops, told):
    assert arithmetic_problem(libraries, loops) == told
