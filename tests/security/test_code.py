"""What a record names is not called: no function, no pickle, no tag of YAML, no interpolation of OmegaConf."""

import io
import json
import pickle
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import yaml

import nnexp
from nnexp.compose import compose, plain
from nnexp.config import ConfigError
from nnexp.rerun.rebuild import rebuild
from nnexp.runs.files import read_yaml

pytestmark = pytest.mark.slow  # by the run that they have in common

TOOLS = "import subprocess\nfrom subprocess import getoutput\nrun = subprocess\nrenamed = subprocess.getoutput\n"
FUNCTIONS = (
    ("subprocess.getoutput", "cmd"),
    ("os.system", "command"),
    ("tools.subprocess.getoutput", "cmd"),  # by the victim's own file, which imports it
    ("tools.getoutput", "cmd"),
    ("tools.run.getoutput", "cmd"),
    ("tools.renamed", "cmd"),
    ("pandas.io.common.os.system", "command"),
    ("nnexp.runs.provenance.subprocess.getoutput", "cmd"),
)


class Touch:
    """Pickled as a command of the shell."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return subprocess.getoutput, (self.command,)


@pytest.fixture
def tools(victim):
    """A module of the victim's own."""
    (victim.folder / "tools.py").write_text(TOOLS)
    yield victim
    sys.modules.pop("tools", None)


@pytest.mark.parametrize(("name", "option"), FUNCTIONS)
def test_a_recorded_data_set_that_is_a_command_of_the_shell(tools, name, option):
    tools.set_config(data={"name": name, "options": {option: tools.bait}, "path": None})
    for words in (["rerun", "a"], ["evaluate", "--weights", "a"])[: 2 if name in FUNCTIONS[0] else 1]:
        status, out, err = tools(*words, "tracking=none")
        assert (status, out) == (2, "")
        assert f"data.name={name}" in err
    assert nnexp.load_run("a", "tracking=none").config["data"]["name"] == name
    assert not tools.canary.exists()


@pytest.mark.parametrize("key", ["task.name", "optimizer.method", "data.name", "model.activation"])
def test_a_recorded_name_of_the_standard_library_is_not_even_imported(victim, key):
    group, _, name = key.partition(".")
    victim.set_config(**{group: {name: "this.s"}})
    for words in (["rerun", "a"], ["rerun", "a", "--check"], ["evaluate", "--weights", "a"]):
        status, _, err = victim(*words, "tracking=none")
        assert (status, f"`{key}` = 'this.s'" in err) == (2, True), err
    assert "this" not in sys.modules


def test_a_recorded_name_that_the_user_names_himself_is_taken():
    name = "sklearn.datasets.load_wine"
    tree = plain(compose(["data=custom", f"data.name={name}"]))
    with pytest.raises(ConfigError, match=f"data.name={name}"):
        rebuild(tree, ["model.l2=2"])
    assert rebuild(tree, [f"data.name={name}"]).config.of_task.data.name == name
    assert rebuild(tree, ["data=custom", f"data.name='{name}'"]).config.of_task.data.name == name


def test_a_function_of_a_package_is_called_again_for_whoever_has_sealed_the_run(nnexp):
    small = ["experiment=smoke", "data=custom", "data.name=sklearn.datasets.load_wine", "figures.of=none"]
    assert nnexp(*small).status == 0
    [run_id] = [result["run_id"] for result in nnexp.results().values()]
    [path] = nnexp.directories()
    check = ["rerun", run_id, "--check"]
    assert nnexp(*check).status == 0
    assert nnexp("evaluate", "--weights", path.name).status == 0
    another = {"XDG_STATE_HOME": str(nnexp.folder / "another")}
    done = nnexp(*check, env=another)
    assert (done.status, "data.name=sklearn.datasets.load_wine" in done.err) == (2, True)
    shutil.rmtree(path)  # then the store's record counts
    assert nnexp(*check).status == 0
    assert nnexp(*check, env=another).status == 2


def test_a_sealed_config_that_was_changed_is_nobodys(nnexp):
    assert nnexp("experiment=smoke", "figures.of=none", "tracking=none").status == 0
    [path] = nnexp.directories()
    config = path / "config/config.yaml"
    tree = yaml.safe_load(config.read_text())
    tree["data"] |= {"name": "subprocess.getoutput", "options": {"cmd": "touch canary"}, "path": None}
    config.write_text(yaml.safe_dump(tree))
    done = nnexp("rerun", path.name, "tracking=none")
    assert (done.status, "data.name=subprocess.getoutput" in done.err) == (2, True)
    assert not (nnexp.folder / "canary").exists()


def test_an_activation_in_handed_over_weights_is_not_imported(victim):
    victim.set_arrays(activation=np.array("this.s"))
    result = nnexp.load_run("a", "tracking=none")
    with pytest.raises(ConfigError, match=r"this\.s"):
        result.predict(np.zeros((1, 64)))
    (victim.folder / "w.npz").write_bytes((victim.run / "weights.npz").read_bytes())
    for word in ("a", "w.npz"):
        status, _, err = victim("evaluate", "--weights", word, "data=digits", "tracking=none")
        assert (status, "this.s" in err) == (2, True), err
    assert "this" not in sys.modules


def test_a_task_that_a_store_names_is_not_imported_by_a_report(victim, empty_store):
    store, run_id, _ = victim.store(empty_store)
    store.tag(run_id, {"nnexp.task": "this.s"})
    assert victim("report", "--experiment", "nnexp")[0] == 0
    assert victim("sweeps")[0] == 0
    assert "this" not in sys.modules


def test_publishing_a_handed_over_run_calls_no_data_set_of_its_record(victim, empty_store):
    store = empty_store(victim.folder / "outputs/mlflow.db")
    details = json.loads((victim.run / "run.json").read_text())["details"]
    details["data"] = {"name": "subprocess.getoutput", "options": {"cmd": victim.bait}}
    tracking = {"uri": store, "experiment": "nnexp", "sweep": None, "resume": True}
    victim.set_json("run.json", details=details, tracking=tracking)
    victim.set_json("result.json", described=False)
    status, out, err = victim("sync", "a")
    assert (status, out) == (0, "1 published, 0 not published\n")
    assert "subprocess.getoutput" in err
    assert not list(victim.folder.glob("**/canary"))


def pickled(command):
    """A file in NumPy's format whose array of objects is a command."""
    file = io.BytesIO()
    np.save(file, np.array([Touch(command)], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("form", ["array in the archive", "array", "pickle"])
def test_a_pickle_in_place_of_weights(victim, empty_store, form):
    content = pickle.dumps(Touch(victim.bait)) if form == "pickle" else pickled(victim.bait)
    (victim.run / "weights.npz").write_bytes(content)
    if form == "array in the archive":
        with zipfile.ZipFile(victim.run / "weights.npz", "w") as archive:
            archive.writestr("theta.npy", content)
            archive.writestr("theta0.npy", content)
    (victim.folder / "w.npz").write_bytes((victim.run / "weights.npz").read_bytes())
    for words in (["rerun", "a", "--check"], ["evaluate", "--weights", "a"], ["evaluate", "--weights", "w.npz"]):
        assert victim(*words, "tracking=none")[0] == 2
    with pytest.raises(ValueError, match="no archive of numbers"):
        _ = nnexp.load_run("a", "tracking=none").arrays
    victim.store(empty_store)  # publishes it
    assert not victim.canary.exists()


YAML = {
    "an object": "!!python/object/apply:subprocess.getoutput ['{bait}']",
    "a name": "!!python/name:this.s",
    "a path": "!!python/object/apply:pathlib.PosixPath ['x']",
    "a bomb": "&a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]",
    "a nest": "[" * 20_000,
    "a large file": "[" + "x," * 600_000 + "]",
}


@pytest.mark.parametrize("what", YAML)
def test_yaml_that_makes_objects_or_fills_the_memory(victim, what):
    for name in ("config.yaml", "overrides.yaml"):
        path = victim.run / "config" / name
        before = path.read_text()
        path.write_text(("" if name == "config.yaml" else "- ") + "a: " + YAML[what].format(bait=victim.bait) + "\n")
        status, out, err = victim("rerun", "a", "--check", "tracking=none")
        assert (status, out) == (2, "")
        assert f"config/{name} is damaged" in err
        path.write_text(before)
    assert "this" not in sys.modules
    with pytest.raises(ValueError, match=r"alias|tag|recursion|bytes"):
        read_yaml(f"a: {YAML[what].format(bait=victim.bait)}".encode())


def test_a_rerun_keeps_no_secret_of_the_environment_and_writes_where_today_says(victim, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct-horse")
    stolen = "${oc.env:MLFLOW_TRACKING_PASSWORD}"
    elsewhere = victim.folder / "elsewhere"
    places = {"uri": f"sqlite:///{elsewhere}/x.db", "directory": str(elsewhere), "sweep": stolen, "run_name": stolen}
    victim.set_config(tracking=places, data={"cache": str(elsewhere / "cache")}, figures={"of": "none"})
    victim.set_json("run.json", name=f"name {stolen}")
    (victim.run / "config/overrides.yaml").write_text(
        json.dumps([f"model.l2={stolen}", f"hydra.run.dir={elsewhere}", "hydra/launcher=ray", "+hydra.callbacks.x=1"])
    )
    status, out, err = victim("rerun", "a", "tracking=none", "--json")
    assert status == 0, err
    [new] = [path for path in victim.run.parent.iterdir() if path.name != "a"]
    assert not elsewhere.exists()
    written = [path.read_bytes() for path in new.rglob("*") if path.is_file()]
    assert not [content for content in written if b"correct-horse" in content]
    assert "correct-horse" not in out + err
    assert json.loads((new / "run.json").read_text())["name"] == f"name {stolen}"


@pytest.mark.parametrize(
    "groups",
    [
        {"hydra": {"launcher": {"_target_": "subprocess.getoutput", "cmd": "touch canary"}}},
        {"hydra": {"callbacks": {"x": {"_target_": "subprocess.getoutput", "cmd": "touch canary"}}}},
        {"hydra": {"searchpath": ["file:///elsewhere"]}},
        {"model": {"activation": {"_target_": "subprocess.getoutput", "cmd": "touch canary"}}},
        {"figures": {"format": "../x"}},
        {"model": {"activation": "${oc.env:HOME}"}},
        {"data": {"name": "openml", "openml_name": "../../x", "version": 1, "options": None}},
    ],
)
def test_recorded_launchers_callbacks_and_targets_are_refused(victim, groups):
    victim.set_config(**groups)
    status, out, err = victim("rerun", "a", "tracking=none")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert [path.name for path in victim.run.parent.iterdir()] == ["a"]


def test_a_file_of_the_victims_that_a_record_names_without_its_digest_is_not_trained_on(victim):
    salaries = victim.folder / "salaries.csv"
    salaries.write_text("a,b,who\n" + "".join(f"{i},{i % 7},{'xy'[i % 2]}\n" for i in range(60)))
    data = {"name": "csv", "path": str(salaries), "target": "who", "image_shape": None, "image_order": "C"}
    victim.set_config(data=data)
    record = json.loads((victim.run / "run.json").read_text())
    record["tags"].pop("nnexp.data_digest")
    victim.set_json("run.json", tags=record["tags"], params={})
    status, _, err = victim("rerun", "a", "tracking=none")
    assert (status, f"data.path={salaries}" in err) == (2, True), err
