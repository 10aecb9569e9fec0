"""The config of a rerun: what comes from the record, what from today, what from the overrides."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from nnexp.compose import compose, plain, read_config
from nnexp.config import ConfigError
from nnexp.rerun.rebuild import rebuild
from nnexp.rerun.source import RerunError


def recorded(*overrides):
    """The config that a run of these overrides records."""
    return plain(compose(list(overrides)))


SMALL = (
    "data=digits",
    "optimizer=lbfgsb",
    "optimizer.maxiter=20",
    "optimizer.options.maxcor=5",
    "model.l2=3",
    "seed=7",
)


def test_without_overrides_all_that_decides_is_as_recorded():
    rebuilt = rebuild(recorded(*SMALL), [], name="old name")
    assert rebuilt.config.deciding() == read_config(compose(list(SMALL))).deciding()
    assert rebuilt.defaulted == {}
    assert rebuilt.config.tracking.run_name == "old name"


def test_composed_text_reads_back_as_the_config():
    rebuilt = rebuild(recorded(*SMALL), ["model.l2=5"])
    assert read_config(OmegaConf.create(rebuilt.composed)) == rebuilt.config


def test_where_it_is_kept_is_said_today():
    tree = recorded(*SMALL, "tracking.uri=sqlite:///old.db", "tracking.sweep=abc", "resume=false", "data.cache=old")
    config = rebuild(tree, ["tracking.experiment=new"]).config
    assert config.tracking.uri != "sqlite:///old.db"
    assert (config.tracking.sweep, config.tracking.experiment, config.resume) == (None, "new", True)
    assert config.of_task.data.source["cache"] == str(Path("data").absolute())


def test_a_value_is_set_also_where_it_is_the_default():
    assert rebuild(recorded(*SMALL), ["model.l2=1.0"]).config.of_task.model.l2 == 1.0


def test_a_group_brings_what_differs_beside_the_recorded_one():
    optimizer = rebuild(recorded(*SMALL), ["optimizer=tnc"]).config.of_task.optimizer
    assert (optimizer.method, optimizer.maxiter, optimizer.options) == ("TNC", 20, {})


def test_an_option_is_set_beside_the_recorded_ones():
    options = rebuild(recorded(*SMALL), ["optimizer.options.gtol=1e-3"]).config.of_task.optimizer.options
    assert options == {"maxcor": 5, "gtol": 1e-3}


@pytest.mark.parametrize("method", ["optimizer=cg", "optimizer.method=CG"])
def test_options_of_one_method_do_not_go_to_another(method):
    assert rebuild(recorded(*SMALL), [method]).config.of_task.optimizer.options == {}


def test_another_data_set_brings_its_own_keys():
    rebuilt = rebuild(recorded("data=openml", "data.test_size=0.3"), ["data=digits"])
    assert (rebuilt.config.of_task.data.name, rebuilt.config.of_task.data.test_size) == ("digits", 0.3)
    assert set(rebuilt.config.of_task.data.source) == {"cache"}
    assert rebuilt.other_data


def test_a_preset_brings_what_it_changes_of_the_defaults():
    config = rebuild(recorded("model.l2=3", "seed=7"), ["experiment=smoke"]).config
    assert (config.of_task.data.name, config.of_task.model.hidden_size, config.of_task.optimizer.maxiter) == (
        "digits",
        8,
        20,
    )
    assert (config.of_task.model.l2, config.seed) == (3.0, 7)
    assert set(rebuild(recorded("data=mat"), ["experiment=smoke"]).config.of_task.data.source) == {"cache"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], False),
        (["data.test_size=0.5"], False),
        (["model.l2=2"], False),
        (["data=ex4"], True),
        (["data=digits"], True),
    ],
)
def test_only_an_override_of_the_data_asks_for_other_data(overrides, expected):
    assert rebuild(recorded(*SMALL), overrides).other_data is expected


@pytest.mark.slow
def test_an_overridden_run_does_not_keep_a_name_that_is_no_longer_true():
    assert rebuild(recorded(*SMALL), ["model.l2=2"], name="l2=3").config.tracking.run_name is None
    assert rebuild(recorded(*SMALL), ["tracking.experiment=b"], name="l2=3").config.tracking.run_name == "l2=3"
    assert rebuild(recorded(*SMALL), ["model.l2=2", "tracking.run_name=mine"]).config.tracking.run_name == "mine"


def test_a_key_that_the_record_lacks_takes_the_default_and_is_named():
    tree = recorded(*SMALL)
    del tree["training"]["evaluate_every"], tree["figures"]
    rebuilt = rebuild(tree, [])
    assert rebuilt.defaulted == {"training.evaluate_every": 1}
    assert rebuilt.config.of_task.training.evaluate_every == 1


def test_a_key_that_was_added_later_has_the_value_of_what_the_run_did():
    tree = recorded(*SMALL, "data=wine", "data.scale=none")
    for key in ("scale", "split", "split_seed", "folds", "fold", "groups"):
        del tree["data"][key]
    rebuilt = rebuild(tree, [])
    assert rebuilt.defaulted == {}
    assert rebuilt.config == rebuild(recorded(*SMALL, "data=wine", "data.scale=none"), []).config


def test_a_key_that_there_no_longer_is_is_refused_by_name():
    tree = recorded(*SMALL)
    tree["model"]["dropout"] = 0.5
    with pytest.raises(RerunError, match=r"`model.dropout` = 0.5, which is no longer a config key; add ~model.dropout"):
        rebuild(tree, [])
    assert rebuild(tree, ["~model.dropout"]).config == rebuild(recorded(*SMALL), []).config


def test_bookkeeping_that_there_no_longer_is_does_no_harm():
    tree = recorded(*SMALL)
    tree["tracking"]["colour"] = "red"
    assert rebuild(tree, []).config == rebuild(recorded(*SMALL), []).config


def test_a_method_that_there_no_longer_is_is_refused():
    tree = recorded(*SMALL)
    tree["optimizer"]["method"] = "Rprop"
    with pytest.raises(ConfigError, match=r"optimizer.method.*Rprop"):
        rebuild(tree, [])


@pytest.mark.slow
@pytest.mark.parametrize("override", ["model.nix=1", "model.l2=1,2", "optimizer=nix", "model.l2=-1"])
def test_an_override_that_cannot_be_is_refused(override):
    with pytest.raises(ConfigError):
        rebuild(recorded(*SMALL), [override])
