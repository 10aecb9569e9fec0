"""What the documents say can be typed, opened and seen."""

import doctest
import importlib
import importlib.util
import json
import re
import shlex
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from nnexp import cli
from nnexp.compose import compose, plain, read_config
from nnexp.config import ConfigError
from nnexp.datasets import KEYS
from nnexp.nn import Objective
from nnexp.optim import METHODS
from nnexp.presets import own_presets

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "data/README.md"]
IMAGES = sorted((ROOT / "docs/images").glob("*"))
LARGEST_IMAGE = 300_000  # bytes
MYLIB = """
def heavy_ball(fun, x0, jac=None, lr=0.3, **given): ...
def load_wine(): return [[0.0, 1.0]] * 9, [0, 1, 2] * 3
def train(run, lr=0.1): ...
swish = (lambda z: z * z, lambda z: 2 * z)
"""
FLAGS = {"-m", "--multirun", "--cfg", "job", "--help", "--hydra-help", "--version"}

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def without_blocks(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def commands(text):
    """Each command line of nnexp in a document, without `nnexp`, and the line printed after it."""
    blocks = re.findall(r"^\$ (?:\w+=\S+ )?nnexp\b *(.*)\n(?=(?:```)?(.*))", text, re.MULTILINE)
    prose = re.findall(r"`nnexp ([^`]+)`( is rejected)?", " ".join(without_blocks(text).split()))
    # Prose may speak of a command by its name alone.
    return blocks + [(line, told) for line, told in prose if line not in cli.COMMANDS]


def try_command(line):
    """Parse a command line as nnexp does, run nothing; SystemExit or ConfigError where it is not taken."""
    with own_presets([word for word in shlex.split(line) if word not in FLAGS]) as words:
        if words and words[0] in cli.COMMANDS:
            module = importlib.import_module(cli.COMMANDS[words[0]][0])
            with mock.patch.object(module, "run") as run:
                cli.main(words)
            words = getattr(run.call_args.args[0], "overrides", [])
        read_config(compose([first_job(word) for word in words]))


def first_job(override):
    """What a sweep's first job gets of an override; 1 for a range of a search."""
    key, _, value = override.partition("=")
    if re.match(r"(tag|interval|choice|range)\(", value):
        return f"{key}=1"
    return override if value[:1] in ("[", "{") else f"{key}={value.split(',')[0]}"


@pytest.mark.slow
@every_document
def test_every_command_is_taken_or_refused_as_the_document_says(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("ex4data1.mat", "my data.mat", "iris.csv"):
        (tmp_path / name).touch()
    (tmp_path / "mylib.py").write_text(MYLIB)  # of which the documents speak without showing it
    for path, example in re.findall(
        r"`(\w+\.py)`[\w\s]*:\n\n```python\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL
    ):
        (tmp_path / path).write_text(example)
    for path, preset in re.findall(
        r"`(\S+\.yaml)`:\n\n```yaml\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(preset)
    for line, told in commands(document.read_text()):
        if told.startswith("`"):
            with pytest.raises(ConfigError) as caught:
                try_command(line)
            assert str(caught.value).splitlines()[0] == told
        elif told == " is rejected":
            with pytest.raises(ConfigError):
                try_command(line)
        else:
            try_command(line)


def test_commands_are_found_in_blocks_and_in_prose():
    block = "```\n$ nnexp -m a=1,2\nnnexp prints\n$ nnexp\n$ B=b nnexp c=3\n```\n"
    found = commands(f"Type `nnexp ui --port\n1`, see `nnexp sync`:\n\n{block}")
    assert found == [("-m a=1,2", "nnexp prints"), ("", "$ B=b nnexp c=3"), ("c=3", ""), ("ui --port 1", "")]


@pytest.mark.parametrize("line", ["modle.l2=1", "evaluate", "+sweep=nope", "gradcheck --jsn", "rerun RUN_ID x=1"])
def test_a_command_that_nnexp_does_not_take_is_seen(line):
    with pytest.raises((ConfigError, SystemExit)):
        try_command(line)


@every_document
def test_every_target_of_make_exists(document):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:`|^\$ )make (\w+)", document.read_text(), re.MULTILINE)) <= set(targets)


def slug(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@every_document
def test_every_relative_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(document.read_text())):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        if anchor:
            assert anchor in map(slug, re.findall(r"^#+ (.+)", path.read_text(), re.MULTILINE)), target


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_every_image_is_shown_and_small(image):
    shown = [
        (document.parent / target).resolve()
        for document in DOCUMENTS
        for target in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", document.read_text())
    ]
    assert image in shown
    assert image.stat().st_size < LARGEST_IMAGE


@pytest.mark.parametrize(
    "document",
    [pytest.param(path, marks=[pytest.mark.slow] * (path.name == "api.md")) for path in DOCUMENTS],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_python_lines_print_what_the_document_shows(document, nnexp, monkeypatch):
    monkeypatch.chdir(nnexp.folder)  # where data sets are kept from test to test
    assert doctest.testfile(str(document), module_relative=False, encoding="utf-8").failed == 0


def table_rows(title, document=ROOT / "docs/config.md"):
    """The cells of each row of the tables under a heading."""
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", document.read_text(), re.MULTILINE | re.DOTALL)[1]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[1:]]


def shown(value):
    """A value of the config as YAML has it."""
    return value if isinstance(value, str) else json.dumps(value)


def leaves(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def test_every_key_is_documented_with_its_default():
    told = {row[0]: row[1] for row in table_rows("Keys")}
    keys = dict(leaves(plain(compose([]))))
    assert set(told) == set(keys)
    assert {key for key, value in keys.items() if told[key] != shown(value)} == {"tracking.uri"}  # told in words


def test_what_makes_two_runs_the_same_is_documented():
    deciding = read_config(compose([])).deciding()
    for key, _, _, same in table_rows("Keys"):
        assert (same == "no") == (key in deciding or key.startswith(("optimizer.options", "data.options", "task."))), (
            key
        )


def test_keys_of_single_data_sets_are_documented():
    told = {(row[0], name) for row in table_rows("Keys of single data sets") for name in row[1].split("`, `")}
    common = {"cache", "options"}
    assert told == {(f"data.{key}", name) for name, keys in KEYS.items() for key in {*keys} - common}


def test_every_choice_of_a_group_is_documented():
    for group, choices, *_ in table_rows("Groups and presets"):
        told = re.findall(r"[a-z]\w*", re.sub(r"\([^)]*\)", "", choices))
        assert sorted(told) == cli.choices(group.lstrip("+")), group


def test_every_option_of_a_method_is_documented():
    told, method = set(), ""
    for _, name, option, default, allowed, meaning in table_rows("Options of the methods"):
        method = name or method
        told.add((method, option, default, allowed, meaning))
    assert told == {
        (method, name, f"{o.default:g}" if type(o.default) in (int, float) else shown(o.default), o.allowed, o.meaning)
        for method, entry in METHODS.items()
        for name, o in entry.options.items()
    }


@pytest.fixture(scope="module")
def faults():
    spec = importlib.util.spec_from_file_location("faults", ROOT / "docs/faults.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def problem(faults):
    rng = np.random.default_rng(0)
    X, Y = rng.random((7, faults.N_INPUTS)), np.eye(faults.N_LABELS)[:7]
    return rng.uniform(-0.1, 0.1, 10285), X, Y


def test_each_fault_has_its_command(faults):
    told = re.findall(r"^\$ python docs/faults\.py (\w+)$", (ROOT / "docs/exercise.md").read_text(), re.MULTILINE)
    assert told == list(faults.FAULTS)


def test_an_unknown_fault_x(faults, capsys):
    assert faults.main(["nope"]) == 2
    assert "lambda, biases, maxiter, accuracy" in capsys.readouterr().err


def test_the_faulty_code_is_right_but_for_its_faults(faults, problem):
    theta, X, Y = problem
    cost, gradient = Objective(X, Y, faults.LAYER_SIZES)(theta)
    np.testing.assert_allclose(faults.cost(theta, X, Y), cost, rtol=1e-12)
    np.testing.assert_allclose(faults.gradient(theta, X, Y), gradient, atol=1e-14)
    penalties = {lmbda: Objective(X, Y, faults.LAYER_SIZES, l2=lmbda).penalty(theta) for lmbda in (1.0, 3.0)}
    np.testing.assert_allclose(faults.penalty_that_ignores_lambda(theta, len(X), 1.0), penalties[1.0])
    assert faults.penalty_that_ignores_lambda(theta, len(X), 3.0) < penalties[3.0] / 2


def test_the_faulty_gradient_is_right_and_takes_the_biases_from_theta(faults, problem):
    theta, X, Y = problem
    expected = Objective(X, Y, faults.LAYER_SIZES, l2=3.0)(theta)[1]
    np.testing.assert_allclose(faults.gradient_that_zeroes_biases(theta, X, Y, 3.0), expected, atol=1e-14)
    assert not any(matrix[:, 0].any() for matrix in faults.matrices(theta))


def test_every_document_names_the_kernel_of_its_trainings():
    """A training's figures are of one BLAS kernel; elsewhere the same command ends at others."""
    for name in ("README.md", "docs/exercise.md"):
        assert "were made with `training.kernel=portable`" in " ".join((ROOT / name).read_text().split()), name


def test_an_accuracy_has_one_form_in_documents():
    forms = {document.name: re.findall(r"\b\d+\.\d\d%", document.read_text()) for document in DOCUMENTS}
    assert not {name: found for name, found in forms.items() if found}


def test_the_courses_files_do_not_dirty_git():
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"/ex4weights.mat", "/ex4data1.mat"} <= set(ignored)
