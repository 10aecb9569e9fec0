"""Data sets of a user's own function: what it may return, what is refused, and when it need not be called."""

import importlib
import itertools
import json
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.datasets
from scipy.io import savemat

from nnexp import datasets, own
from nnexp.datasets import Dataset, known, matfile, tablefile
from nnexp.readers import ConfigError

own_find = importlib.import_module("nnexp.own.find")  # the package has a function of this name
NUMBERS = itertools.count()  # of modules: what was imported stays


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNEXP_FOLDER", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(known, "SETTLED", 0)
    return tmp_path


class Library:
    """A module with a function `load` that counts its calls in a file."""

    def __init__(self, folder, body, parameters=""):
        self.folder, self.module, self.parameters = folder, f"lib{next(NUMBERS)}", parameters
        self.calls = folder / f"{self.module}.calls"
        self.write(body)

    def write(self, body):
        lines = [
            "import numpy as np",
            f"def load({self.parameters}):",
            f"    with open({str(self.calls)[::-1]!r}[::-1], 'a') as file:",  # a text that names no file
            "        file.write('x')",
            *(f"    {line}" for line in body.splitlines()),
        ]
        (self.folder / f"{self.module}.py").write_text("\n".join(lines))

    @property
    def name(self):
        return f"{self.module}.load"

    def n_calls(self):
        return len(self.calls.read_text()) if self.calls.exists() else 0

    def about(self, cache="cache", **options):
        return datasets.about(self.name, options=options, cache=cache and str(self.folder / cache))

    def load(self, cache="cache", **options):
        return datasets.load(self.name, options=options, cache=cache and str(self.folder / cache))


@pytest.fixture
def library(folder):
    return lambda body, parameters="": Library(folder, body, parameters)


def returning(value, monkeypatch, **keys):
    """The data set of a function that returns a value."""
    module = type(sys)(f"values{next(NUMBERS)}")
    module.load = lambda: value
    module.__spec__ = None
    monkeypatch.setitem(sys.modules, module.__name__, module)
    function = own.Own(f"{module.__name__}.load", module.load, module.__name__)
    monkeypatch.setattr(datasets, "find_own", lambda name: function)
    return datasets.load(function.name, **keys)


X, Y = np.arange(12.0).reshape(6, 2), np.array([3, 1, 3, 1, 3, 1])


# ---- what a function may return


@pytest.mark.parametrize(
    "value",
    [
        (X, Y),
        [X.tolist(), Y.tolist()],
        (X.astype(np.float32), Y.astype(float)),
        (X, Y[:, None]),
        (scipy.sparse.csr_matrix(X), Y),
        (pd.DataFrame(X, columns=["a", "b"]), pd.Series(Y)),
        (pd.DataFrame(X, columns=["a", "a"]).convert_dtypes(), pd.Series(Y, dtype="Int64")),
        (pd.DataFrame(X), pd.Series(Y).astype("category")),
        sklearn.datasets._base.Bunch(data=X, target=Y),
        Dataset("mine", X, (Y == 3).astype(int), ("1", "3")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_form_gives_the_same_data(value, monkeypatch):
    dataset = returning(value, monkeypatch)
    assert dataset.digest == Dataset("x", X, (Y == 3).astype(int), ("1", "3")).digest
    assert dataset.name == ("mine" if isinstance(value, Dataset) else "load")


def test_functions_of_scikit_learn_are_used_as_they_are():
    wine = datasets.load("sklearn.datasets.load_wine")
    assert (wine.name, wine.X.shape, wine.classes) == ("load_wine", (178, 13), ("class_0", "class_1", "class_2"))
    frames = datasets.load("sklearn.datasets.load_wine", options={"as_frame": True})
    assert frames.digest == wine.digest
    digits = datasets.load("sklearn.datasets.load_digits", options={"n_class": 3.0})
    assert (digits.image_shape, digits.image_order, digits.classes) == ((8, 8), "C", ("0", "1", "2"))
    pair = datasets.load("sklearn.datasets.load_digits", options={"return_X_y": True}, image_shape="auto")
    assert pair.image_shape == (8, 8)


def test_texts_are_classes_and_pictures_keep_their_shape(monkeypatch):
    dataset = returning((np.arange(24).reshape(2, 3, 4), ["no", "yes"]), monkeypatch)
    assert (dataset.classes, dataset.image_shape) == (("no", "yes"), (3, 4))
    assert returning(dataset, monkeypatch, image_order="F").image_order == "F"
    assert returning(dataset, monkeypatch, image_shape=[4, 3]).image_shape == (4, 3)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, r"expected \(X, y\), a scikit-learn Bunch or an nnexp\.Dataset, got nothing"),
        (X, r"expected .*, got ndarray"),
        ((X, Y, Y), r"expected .*, got tuple of 3"),
        (pd.DataFrame(X), r"got DataFrame; return its columns as \(X, y\)"),
        ((X, Y[:5]), "expected one label a sample, got 5 labels and 6 samples"),
        ((X[0], Y), r"X must hold numbers, in the shape .*, got float64 of shape \(2,\)"),
        ((X.astype(str), Y), "X must hold numbers"),
        (([[1, 2], [3]], [0, 1]), "X must be an array: "),
        ((np.where(X == 5, np.nan, X), Y), "got NaN or infinite values in 1 samples, first in row 2"),
        ((pd.DataFrame({"a": ["x"] * 6}), Y), "column 'a' must hold numbers, got (object|str)"),
        ((pd.DataFrame({"a": [np.inf] * 6}), Y), "column 'a' has 6 missing or infinite values, first in row 0"),
        ((X, X), r"y must hold one label a sample, got shape \(6, 2\)"),
        ((X, Y + 0.5), "y: labels must be integers or texts, got 3.5 in row 0"),
        ((X, ["a", None, "b", "a", "b", None]), "y: 2 labels are missing, the first in row 1"),
        ((X, pd.Series([1, 2, None, 1, 2, 1], dtype="Int64")), "y: .* (missing, the first|got nan) in row 2"),
        ((X, np.ones(6)), "expected samples of at least 2 classes, got 6 of 1"),
        (Dataset("d", np.full((2, 1), np.nan), np.arange(2), ("a", "b")), "X must be finite"),
    ],
)
def test_what_is_no_data_set_is_told_in_a_line(value, told, monkeypatch):
    with pytest.raises(ValueError, match=told) as caught:
        returning(value, monkeypatch)
    assert str(caught.value).startswith("`data.name` = 'values")
    assert "\n" not in str(caught.value)


def test_names_options_and_failures_are_told_in_a_line(library):
    lib = library("raise KeyError('col')", "path: str, n: int = 3, shift=0.0")
    for name, options, told in [
        (f"{lib.module}.laod", {}, r"`data.name` must name .* has no 'laod'; did you mean load\?"),
        ("digts", {}, r"`data.name` must be one of ex4, .*, got 'digts'.*; did you mean digits\?"),
        (f"{lib.module}.np", {}, "`data.name` must name a function, got .*, module"),
        (lib.name, {"path": "x", "m": 3}, r"`data.options.m` is not an option of .*; its options are path, n, shift"),
        (lib.name, {"n": 3}, "`data.options.path` is missing"),
        (lib.name, {"path": "x", "n": "three"}, "`data.options.n` must be an integer, got 'three'"),
        (lib.name, [1], "`data.options` must be a mapping"),
    ]:
        with pytest.raises(ConfigError, match=told):
            datasets.check(name, options=options)
    assert lib.n_calls() == 0
    assert datasets.typed_options(lib.name, {"path": "x", "n": 2.0, "shift": 1}) == {"path": "x", "n": 2, "shift": 1.0}
    with pytest.raises(ValueError, match=rf"`data.name` = '{lib.name}' failed: KeyError: 'col' \(.*{lib.module}\.py, "):
        lib.load(path="x")
    with pytest.raises(ValueError, match=r"`data.target` is not a config key of data=custom, which has test_size"):
        datasets.check(lib.name, target="y")


def test_a_function_that_exits_does_not_end_the_command(library):
    lib = library("raise SystemExit(0)")
    with pytest.raises(ValueError, match=rf"`data.name` = '{lib.name}' failed: SystemExit: 0 \("):
        lib.load()


# ---- when it need not be called


READS = "rows = np.loadtxt(path, ndmin=2)\nreturn rows, np.arange(len(rows)) % 2"
PATH = "path='a.txt'"


def test_what_is_known_is_not_loaded_again_but_by_who_trains(library, folder):
    (folder / "a.txt").write_text("1\n2\n3\n")
    lib = library(READS, PATH)
    first = lib.about()
    assert (first.n_features, first.counts) == (1, (2, 1))
    assert [lib.about() for _ in range(3)] == [first] * 3
    assert lib.n_calls() == 1
    dataset = lib.load()
    assert lib.n_calls() == 2
    assert lib.load() is dataset  # the jobs of a worker
    assert (dataset.digest, len(dataset.y)) == (first.digest, 3)
    for split in (dataset, first.stand_in()):
        assert len(split.split(0.4).train) == 2
    lib.about(cache=None)
    assert lib.n_calls() == 3


def test_a_digest_is_forgotten_with_whatever_it_was_found_by(library, folder):
    (folder / "a.txt").write_text("1\n2\n3\n")
    (folder / "b.txt").write_text("1\n2\n3\n")
    lib = library(READS, PATH)
    first = lib.about()
    (folder / "a.txt").write_text("1\n2\n4\n5\n")
    second = lib.about()
    assert second.digest != first.digest
    assert lib.about(path="b.txt").digest == first.digest
    assert lib.n_calls() == 3
    lib.write("rows = np.loadtxt(path, ndmin=2) + 1\nreturn rows, np.arange(len(rows)) % 2")
    third = lib.about()
    assert third.digest != second.digest
    assert lib.about() == third
    assert lib.n_calls() == 4
    [damaged, *_] = (folder / "cache/digests").iterdir()
    for path in (folder / "cache/digests").iterdir():
        path.write_text(path.read_text()[:40])
    assert lib.about() == third
    assert json.loads(damaged.read_text()[:1] + "}") == {}
    assert lib.n_calls() == 5


UNSEEN = "import pyarrow\ndata = pyarrow.OSFile({}).readall()\nreturn [[len(data)], [0]], [0, 1]"


@pytest.mark.parametrize("where", ["option", "option of a folder", "source"])
def test_named_files_count_though_a_c_library_opens_them(library, folder, where):
    (folder / "in").mkdir()
    (folder / "in/a.bin").write_text("four")
    if where == "source":
        lib, options = library(UNSEEN.format("'in/a.bin'")), {}
    else:
        path = "path" if where == "option" else "path + '/' + 'a.' + 'bin'"
        lib = library(UNSEEN.format(path), "path")
        options = {"path": "in/a.bin" if where == "option" else "in"}
    assert [lib.about(**options) for _ in range(2)] == [lib.about(**options)] * 2
    assert lib.n_calls() == 1
    (folder / "in/a.bin").write_text("longer")
    lib.about(**options)
    assert lib.n_calls() == 2


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ("import os\nn = len(os.listdir('.'.join(['in'])))", lambda f: (f / "in/new").touch()),
        ("import glob\nn = len(glob.glob('i' + 'n/*'))", lambda f: (f / "in/new").touch()),
        ("from pathlib import Path\nn = len((Path('i' + 'n') / 'a').read_bytes())",
         lambda f: (f / "in/a").write_text("ab")),
        ("try:\n    with open('la' + 'ter') as file:\n        n = len(file.read())\nexcept OSError:\n    n = 9",
         lambda f: (f / "later").write_text("abc")),
        ("import sqlite3, contextlib\nwith contextlib.closing(sqlite3.connect('d' + 'b')) as db:\n"
         "    n = db.execute('select count(*) from t').fetchone()[0]",
         lambda f: more_rows(f / "db")),
    ],
    ids=["list", "glob", "pathlib", "a file that is not there", "sqlite"],
)  # fmt: skip
def test_files_that_it_is_seen_to_read_count(library, folder, body, change):
    (folder / "in").mkdir()
    (folder / "in/a").touch()
    more_rows(folder / "db")
    lib = library(f"{body}\nreturn [[n], [0]], [0, 1]")
    first = lib.about()
    assert lib.about() == first
    assert lib.n_calls() == 1
    change(folder)
    assert lib.about() != first
    assert lib.n_calls() == 2


def more_rows(path):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table if not exists t (x)")
        database.executemany("insert into t values (?)", [(i,) for i in range(2000)])


@pytest.mark.parametrize(
    "body",
    [
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9), 0.1)\nexcept OSError:\n    pass",
        "import subprocess, sys\nsubprocess.run(['true'])",
        "for mode in ('w', 'r', 'w'):\n    with open('b.txt', mode) as file:\n        mode == 'r' or file.write(mode)",
    ],
    ids=["another machine", "another process", "a file that it changes"],
)
def test_what_is_not_known_by_files_is_loaded_each_time(library, body):
    lib = library(f"body = ''\n{body}\nreturn [[1], [0]], [0, 1]")
    assert lib.about() == lib.about()
    assert lib.n_calls() == 2


def test_a_file_that_was_changed_a_moment_ago_is_not_trusted(library, folder, monkeypatch):
    monkeypatch.setattr(known, "SETTLED", 3600 * 10**9)
    (folder / "a.txt").write_text("1\n2\n3\n")
    lib = library(READS, PATH)
    assert lib.about() == lib.about()
    assert lib.n_calls() == 2


def test_a_function_that_gave_different_data_is_called_each_time(library):
    lib = library("return np.random.default_rng().normal(size=(4, 1)), [0, 1, 0, 1]")
    first = lib.about()
    assert lib.about() == first
    assert lib.n_calls() == 1
    assert lib.load().digest != first.digest
    assert len({lib.about().digest for _ in range(3)}) == 3
    assert len({lib.load().digest for _ in range(3)}) == 3


def test_relative_paths_are_in_the_folder_of_the_command(library, folder, monkeypatch):
    (folder / "a.txt").write_text("1\n2\n3\n")
    lib = library(READS, PATH)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert len(lib.load()) == 3


def test_a_package_registers_a_name(library, folder, monkeypatch):
    lib = library("return [[1.0], [2.0]], [0, 1]")
    (folder / "mine-1.0.dist-info").mkdir()
    (folder / "mine-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (folder / "mine-1.0.dist-info/entry_points.txt").write_text(f"[nnexp.datasets]\nshort = {lib.module}:load\n")
    for cached in (own.registered, own_find.registered_names):
        monkeypatch.setattr(own_find, cached.__name__, cached.__wrapped__)
    assert len(datasets.load("short")) == 2
    with pytest.raises(ConfigError, match=r"must be one of ex4, .*, openml, short, got 'shirt'"):
        datasets.check("shirt")


def test_a_file_is_not_read_to_plan_while_it_is_as_it_was(folder, monkeypatch):
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4], "kind": list("xyxy")})
    frame.to_csv(folder / "own.csv", index=False)
    frame.to_parquet(folder / "own.parquet")
    savemat(folder / "own.mat", {"X": [[1.0], [2.0]], "y": [1, 2]})
    cache, read = str(folder / "cache"), []
    for module in (tablefile, matfile):
        monkeypatch.setattr(module, "read", lambda *a, read_=module.read: read.append(a) or read_(*a))
    for keys in (
        {"name": "csv", "path": "own.csv", "target": "kind"},
        {"name": "csv", "path": "own.parquet", "target": "kind"},
        {"name": "mat", "path": "own.mat"},
    ):
        first = datasets.about(**keys, cache=cache)
        assert datasets.about(**keys, cache=cache) == first == known.About.of(datasets.load(**keys, cache=cache))
        assert datasets.load(**keys, cache=cache) is datasets.load(**keys, cache=cache)
        assert len(read) == 2
        datasets.about(**keys)
        assert len(read) == 3
        read.clear()
    (folder / "own.csv").write_text("a,kind\n9,x\n8,y\n7,x\n")
    assert datasets.about("csv", path="own.csv", target="kind", cache=cache).counts == (2, 1)
    with pytest.raises(ValueError, match=r"`data.target` must be a column"):
        datasets.about("csv", path="own.csv", target="no", cache=cache)
