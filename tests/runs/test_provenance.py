"""What a run's environment says is true while it trains, complete, and cheap."""

import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
import scipy
import scipy.linalg  # so that SciPy's BLAS is there
from threadpoolctl import threadpool_info

from nnexp import datasets
from nnexp.blas import blas_threads, is_scipys
from nnexp.runs import provenance
from nnexp.tasks.network.training import fit


def fresh(*cached):
    for function in cached:
        function.cache_clear()


def test_packages_have_the_versions_that_are_imported():
    found = provenance.packages()
    assert (found["numpy"], found["scipy"]) == (np.__version__, scipy.__version__)


def test_quick_reading_of_packages_agrees_with_the_parsed_metadata():
    parsed = {}
    for distribution in metadata.distributions():
        parsed.setdefault(distribution.metadata["Name"].lower(), distribution.version)
    assert provenance.packages() == parsed


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_of_a_fit(threads, cache):
    seen = []

    def look(row):
        seen.append({library["owner"]: library["threads"] for library in provenance.blas()})

    split = datasets.load("digits", cache=str(cache)).split(0.2, 0, 0)
    fit(split, hidden_sizes=[3], maxiter=2, maxfun=4, threads=threads, on_row=look)
    recorded = provenance.environment(threads, "", {})
    assert {library["owner"]: library["threads"] for library in recorded["blas"]} == seen[0]
    assert recorded["threads"] == threads


def test_threads_are_given_back_afterwards():
    before = [library["num_threads"] for library in threadpool_info()]
    provenance.environment(1, "", {})
    assert [library["num_threads"] for library in threadpool_info()] == before


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/x/site-packages/numpy.libs/libscipy_openblas64_-32a4b2a6.so", False),
        ("/x/site-packages/scipy.libs/libscipy_openblas-6cdc3b4a.so", True),
        ("/x/site-packages/scipy/.dylibs/libscipy_openblas.dylib", True),
        ("/x/site-packages/numpy/.dylibs/libscipy_openblas64_.dylib", False),
        ("/home/scipy/lib/libopenblas.so.0", False),
    ],
)
def test_scipys_library_is_told_by_its_folder(path, expected):
    assert is_scipys(path) is expected


def test_two_threads_reach_numpys_pool():
    with blas_threads(2):
        assert max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas") == 2


def test_kernel_and_instruction_sets_follow_what_the_libraries_use():
    code = "from nnexp.runs import provenance as p; import json; print(json.dumps([p.blas()[0]['kernel'], p.simd()]))"
    outputs = [
        subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=True).stdout
        for settings in (
            provenance.os.environ | {"OPENBLAS_CORETYPE": "Haswell"},
            provenance.os.environ | {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"},
        )
    ]
    assert outputs[0] != outputs[1]


def test_only_the_first_run_of_a_process_starts_programs_and_reads_packages(monkeypatch):
    first = provenance.environment(1, "", {})
    monkeypatch.setattr(provenance, "subprocess", None)
    monkeypatch.setattr(provenance, "metadata", None)
    assert provenance.environment(1, "", {}) == first


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of a package of one file, taken for ours."""
    (tmp_path / "nnexp").mkdir()
    (tmp_path / "nnexp" / "a.py").write_text("x = 1\n")
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "add", "nnexp")
    git(tmp_path, "commit", "-m", "start")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path.resolve() / "nnexp")
    fresh(provenance.git_state)
    yield tmp_path
    fresh(provenance.git_state)


def test_clean_checkout_has_a_commit_and_no_diff(checkout):
    state = provenance.git_state()
    assert len(state["commit"]) == 40
    assert (state["branch"], state["dirty"], state["diff"]) == ("main", False, "")


def test_diff_makes_the_working_tree_from_the_commit(checkout):
    (checkout / "nnexp" / "a.py").write_text("x = 2\n")
    (checkout / "nnexp" / "new.py").write_text("y = 3\n")
    (checkout / "notes.txt").write_text("not a source\n")
    state = provenance.git_state()
    git(checkout, "stash", "--include-untracked")
    subprocess.run(["git", "-C", str(checkout), "apply"], input=state["diff"], text=True, check=True)
    assert state["dirty"]
    assert (checkout / "nnexp" / "a.py").read_text() == "x = 2\n"
    assert (checkout / "nnexp" / "new.py").read_text() == "y = 3\n"
    assert not (checkout / "notes.txt").exists()


def test_without_a_checkout_there_is_no_git_state(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "nnexp")
    fresh(provenance.git_state)
    assert provenance.git_state() == {}
    fresh(provenance.git_state)
