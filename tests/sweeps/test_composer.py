"""Jobs that share a composition get the config that Hydra would have composed for each."""

import copy
import pickle

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf

from nnexp.compose import plain
from nnexp.hydra_versions import BEHAVIOUR
from nnexp.presets import config_directory
from nnexp.sweeps.composer import Composer, SweepLoader

JOBS = [
    ["seed=3"],
    ["seed=4", "model.l2=0.5", "tracking.run_name='l2=0.5 seed=4'"],
    ["model.hidden_size=[10,5]", "seed=0"],
    ["optimizer=cg", "model.l2=1e-3", "optimizer.maxiter=7"],
    ["optimizer.maxiter=8", "optimizer=cg"],
    ["experiment=smoke", "seed=1"],
    ["+experiment=smoke", "seed=1"],
    ["optimizer.options={memory: 5}", "seed=2"],
    ["+optimizer.options.memory=5", "seed=2"],
    ["++optimizer.options.memory=5", "seed=2"],
    ["++model.l2=3", "++model.more={a: 1}", "~seed"],
    ["data.cache=null", "tracking.uri=${oc.env:HOME}", "seed=9"],
]


@pytest.fixture
def hydra():
    with initialize_config_dir(**BEHAVIOUR, config_dir=str(config_directory())):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration("config", ["hydra.job.num=1"], run_mode=RunMode.MULTIRUN)


def outcome(loader, master, overrides):
    try:
        cfg = loader.load_sweep_config(master, list(overrides))
    except Exception as error:
        return type(error), str(error)
    flags = [OmegaConf.is_struct(cfg), OmegaConf.is_readonly(cfg), OmegaConf.is_readonly(cfg.hydra)]
    return OmegaConf.to_container(cfg), flags


@pytest.mark.slow
def test_configs_are_hydras(hydra):
    loader, master = hydra
    ours = SweepLoader(loader)
    assert not any(isinstance(outcome(loader, master, job)[0], type) for job in JOBS[:6])
    for job in JOBS * 2:  # the second time from what is kept
        assert outcome(ours, master, job) == outcome(loader, master, job), job


def test_planned_configs_are_those_that_are_run(hydra):
    loader, master = hydra
    parse = OverridesParser.create().parse_overrides
    groups = frozenset(loader.list_groups(""))
    composer = Composer(parse, lambda words: loader.load_sweep_config(master, words), groups.__contains__)
    more = [["tracking.directory=elsewhere"], ["tracking.directory=/else/where", "seed=1"], ["model.l2=null"],
            ["data.cache='${tracking.directory}/x'"], ["data.cache='a b'", "data.cache=c"]]  # fmt: skip
    for job in [*JOBS, *more] * 2:
        try:
            expected = plain(composer.config(job))
        except Exception as error:
            with pytest.raises(type(error)):
                composer(job)
        else:
            assert composer(job) == expected, job
            assert str(composer(job)) == str(expected), job  # 1 and 1.0, true and 1 are told apart


def test_a_value_of_which_others_are_made_changes_these_too(hydra):
    master = copy.deepcopy(hydra[1])
    OmegaConf.update(master, "data.cache", "at ${seed}")

    def compose(words):
        cfg = copy.deepcopy(master)
        cfg.merge_with_dotlist(words)
        return cfg

    composer = Composer(OverridesParser.create().parse_overrides, compose, lambda key: False)
    assert [composer([f"seed={i}"])["data"]["cache"] for i in (1, 2)] == ["at 1", "at 2"]


def test_errors_are_hydras(hydra):
    loader, master = hydra
    for job in (["modle.l2=1"], ["seed=1", "model.l3=2"], ["optimizer=nothing"], ["seed=[1"]):
        theirs = outcome(loader, master, job)
        assert isinstance(theirs[0], type), job
        assert outcome(SweepLoader(loader), master, job) == theirs


def test_plain_values_are_not_composed_again(hydra, monkeypatch):
    loader, master = hydra
    ours = SweepLoader(loader)
    ours.load_sweep_config(master, ["seed=0"])
    monkeypatch.setattr(type(loader), "load_sweep_config", None)
    assert [ours.load_sweep_config(master, [f"seed={i}"]).seed for i in (1, 2)] == [1, 2]
    sent = pickle.loads(pickle.dumps(ours))  # as with each job of a worker
    assert sent.load_sweep_config(master, ["seed=3"]).seed == 3


def test_what_a_sweep_tells_a_job_is_not_in_the_name_of_its_folder(hydra):
    loader, master = hydra
    told = ["tracking.sweep='0f'", "tracking.run_name='l2=1'", f"tracking.planned='{'0' * 250}'"]
    for each in (loader, SweepLoader(loader)):
        cfg = each.load_sweep_config(master, ["seed=4", "model.l2=1", *told])
        assert cfg.hydra.job.override_dirname == "model.l2=1,seed=4"


@pytest.mark.parametrize("sign", ["", "++"])
def test_a_swept_mapping_replaces_what_the_preset_has(hydra, sign):
    loader, master = hydra
    ours = SweepLoader(loader)
    ours.replaced = {"optimizer.options"}
    job = ["experiment=smoke", "++optimizer.options={memory: 3}", f"{sign}optimizer.options={{tolerance: 0.1}}"]
    assert ours.load_sweep_config(master, job).optimizer.options == {"tolerance": 0.1}


def test_a_worker_gets_a_loader_that_works(hydra):
    loader, master = hydra
    ours = SweepLoader(loader)
    before = outcome(ours, master, JOBS[1])
    assert outcome(pickle.loads(pickle.dumps(ours)), master, JOBS[1]) == before
    assert outcome(copy.copy(ours), master, JOBS[1]) == before
