"""Workers of a sweep train on the same copy of the data: the same bits, or their own."""

import numpy as np
import pytest

from nnexp import datasets
from nnexp.compose import compose, read_config
from nnexp.sweeps.parent import write_plan
from nnexp.sweeps.sharing import clear, share
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


def test_workers_map_one_file_of_the_same_bits(split, config_of, tmp_path):
    config = config_of("model.l2")
    first, second = (share(split, config).train for _ in range(2))
    assert len(files(tmp_path)) == 1
    for train in (first, second):
        assert isinstance(train.X.base, np.memmap) or isinstance(train.X.base.base, np.memmap)
        assert not train.X.flags.writeable
        assert train.X.ctypes.data % 64 == 0  # the objective takes it as it is
        np.testing.assert_array_equal(train.X.view(np.uint64), split.train.X.view(np.uint64))
        assert train.digest == split.train.digest
    clear(tmp_path, "abcmodel.l2")
    assert not files(tmp_path)
    assert first.X.sum() == split.train.X.sum()  # who has it keeps it


@pytest.mark.parametrize("damage", ["other bits", "cut off"])
def test_a_file_that_is_not_the_training_data_is_not_used(damage, split, config_of, tmp_path):
    config = config_of("model.l2")
    share(split, config)
    [file] = files(tmp_path)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()
    file.write_bytes(bytes(content) if damage == "other bits" else bytes(content)[:1000])
    assert share(split, config) is split


@pytest.mark.parametrize("key", ["seed", "data.test_size"])
def test_jobs_with_training_data_of_their_own_share_nothing(key, split, config_of, tmp_path):
    assert share(split, config_of("model.l2", key)) is split
    assert not files(tmp_path)


def test_without_a_plan_on_this_machine_nothing_is_shared(split, tmp_path):
    config = read_config(compose([f"tracking.directory={tmp_path}", "tracking.sweep=elsewhere"]))
    assert share(split, config) is split
