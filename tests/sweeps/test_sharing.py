"""Workers of a sweep: they train on the same copy of the data, the same bits, or their own."""

import numpy as np
import pytest
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton

from nnexp import datasets
from nnexp.compose import compose, read_config
from nnexp.sweeps.directory import write_plan
from nnexp.sweeps.parent_watch import keep_plugins
from nnexp.sweeps.sharing import clear, share_in
from nnexp.tasks.network.task import SHARED_UNLESS, _shared
from tests.tools import made_up


@pytest.fixture
def split(cache):
    return datasets.load("digits", cache=str(cache)).split(0.2, 0.0, 0)


@pytest.fixture
def config_of(tmp_path):
    """The config of a job of a sweep of these keys."""

    def make(*swept_keys):
        write_plan(tmp_path, made_up.plan("abc" + "".join(swept_keys), swept_keys=swept_keys))
        where = [f"tracking.directory={tmp_path}", f"tracking.sweep=abc{''.join(swept_keys)}"]
        return read_config(compose(["experiment=smoke", *where]))

    return make


def files(tmp_path):
    return sorted(tmp_path.glob("sweeps/*/shared/*"))


def share(X, config):
    """What a worker trains on."""
    return share_in(config)("X", X, SHARED_UNLESS)


def test_workers_map_one_file_of_the_same_bits(split, config_of, tmp_path):
    config, X = config_of("model.l2"), split.train.X
    first, second = (share(X, config) for _ in range(2))
    assert len(files(tmp_path)) == 1
    for mapped in (first, second):
        assert isinstance(mapped, np.memmap)
        assert not mapped.flags.writeable
        assert mapped.ctypes.data % 64 == 0  # the objective takes it as it is
        np.testing.assert_array_equal(mapped.view(np.uint64), X.view(np.uint64))
    clear(tmp_path, "abcmodel.l2")
    assert not files(tmp_path)
    assert first.sum() == X.sum()  # who has it keeps it


@pytest.mark.parametrize("damage", ["other bits", "cut off"])
def test_a_file_that_is_not_the_training_data_is_not_used(damage, split, config_of, tmp_path):
    config, X = config_of("model.l2"), split.train.X
    share(X, config)
    [file] = files(tmp_path)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()
    file.write_bytes(bytes(content) if damage == "other bits" else bytes(content)[:1000])
    assert share(X, config) is X


@pytest.mark.parametrize("key", ["seed", "data.test_size"])
def test_jobs_with_training_data_of_their_own_share_nothing(key, split, config_of, tmp_path):
    X = split.train.X
    assert share(X, config_of("model.l2", key)) is X
    assert not files(tmp_path)


@pytest.mark.parametrize(("split_seed", "is_shared"), [("null", False), ("3", True)])
def test_seeds_with_one_split_share_their_training_data(split_seed, is_shared, split, config_of, tmp_path):
    class Run:
        def shared(self, name, array, *, depends_on):
            return share_in(config)(name, array, depends_on)

    config = config_of("seed")
    of_task = read_config(compose(["experiment=smoke", f"data.split_seed={split_seed}"])).of_task
    assert (_shared(Run(), split, of_task).train.X is not split.train.X) == is_shared
    assert len(files(tmp_path)) == is_shared


def test_without_a_plan_on_this_machine_nothing_is_shared(split, tmp_path):
    config = read_config(compose([f"tracking.directory={tmp_path}", "tracking.sweep=elsewhere"]))
    assert share(split.train.X, config) is split.train.X


def test_a_worker_looks_for_hydras_plugins_once(monkeypatch):
    monkeypatch.setattr(Singleton, "set_state", staticmethod(Singleton.set_state))
    monkeypatch.setattr(Singleton, "_instances", dict(Singleton._instances))
    keep_plugins()
    known = Plugins.instance()
    Singleton.set_state(Singleton.get_state())  # as Hydra's launcher does at each job
    assert Plugins.instance() is known
