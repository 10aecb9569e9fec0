import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nnexp.compose import compose, plain
from nnexp.config import ConfigError
from nnexp.sweeps import grid, plan
from nnexp.sweeps.composer import Composer

parse = OverridesParser.create().parse_overrides
GROUPS = {"data", "optimizer", "model", "experiment"}


def composer(calls=None):
    def compose_base(overrides):
        if calls is not None:
            calls.append(overrides)
        return compose(overrides)

    return Composer(parse, compose_base, lambda key: key in GROUPS)


def test_a_grid_is_the_product_of_its_lists_in_the_order_of_the_command_line():
    jobs = grid.expand(parse(["model.l2=0,1", "seed=range(2)", "optimizer=cg"]))
    assert [job for job, _ in jobs] == [
        ("model.l2=0", "seed=0", "optimizer=cg"),
        ("model.l2=0", "seed=1", "optimizer=cg"),
        ("model.l2=1", "seed=0", "optimizer=cg"),
        ("model.l2=1", "seed=1", "optimizer=cg"),
    ]
    assert jobs[0][1] == ("model.l2=0", "seed=0")


def test_the_last_word_on_a_key_counts():
    assert [job for job, _ in grid.expand(parse(["model.l2=0,1", "model.l2=3"]))] == [("model.l2=3",)]


def test_an_interval_is_not_a_grid():
    with pytest.raises(ConfigError, match=r"interval\(0,1\).*needs a list.*\+search=tpe"):
        grid.expand(parse(["model.l2=interval(0,1)"]))


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.l2=3"],
        ["optimizer=cg", "model.l2=0.5", "seed=3"],
        ["experiment=smoke", "model.hidden_size=[4,3]", "data.test_size=0"],
        ["optimizer.options={ftol:0.1}", "model.init_scale=glorot"],
        ["+optimizer.options.ftol=0.1", "tracking.run_name='l2=3 seed=1'"],
        ["data=mat", "data.path='/a b/c.mat'"],
    ],
)
def test_a_planned_config_is_the_one_that_hydra_composes(overrides):
    assert composer()(overrides) == plain(compose(overrides))


def test_hydra_composes_once_for_each_choice_of_groups():
    calls = []
    composed = composer(calls)
    for optimizer in ("tnc", "cg"):
        for seed in range(50):
            composed([f"optimizer={optimizer}", f"seed={seed}"])
    assert calls == [["optimizer=tnc"], ["optimizer=cg"]]


def make(*overrides):
    return plan.make_plan(plan.make_jobs(grid.expand(parse(list(overrides))), composer(), plan.Keys()))


@pytest.fixture(autouse=True)
def _in_the_cache(cache, tmp_path, monkeypatch):
    cache.mkdir(exist_ok=True)
    (tmp_path / "data").symlink_to(cache)
    monkeypatch.chdir(tmp_path)


def test_the_same_jobs_are_the_same_sweep_however_they_are_written():
    first = make("data=digits", "model.l2=0,1", "seed=0,1")
    second = make("data=digits", "seed=1,0", "model.l2=1.0,0", "resume=true", "tracking.experiment=nnexp")
    assert first.sweep == second.sweep
    assert make("data=digits", "model.l2=0,1", "seed=0,1,2").sweep != first.sweep
    assert first.swept_keys == ("model.l2", "seed")


def test_equal_jobs_are_done_once():
    assert len(make("data=digits", "model.l2=1,1.0,2").jobs) == 2


def test_a_job_that_cannot_run_says_why_and_the_others_are_planned():
    jobs = make("data=digits", "model.hidden_size=5,0,abc", "data.test_size=0.2").jobs
    assert [job.error is None for job in jobs] == [True, False, False]
    assert "`model.hidden_size`" in jobs[1].error
    assert len({job.key for job in jobs}) == 3


def test_keys_of_failing_jobs_do_not_depend_on_how_the_sweep_is_run():
    overrides = ["data=digits", "model.l2=-1"]
    assert plan.failed_key(overrides) == plan.failed_key([*overrides, "tracking.sweep=x", "tracking.run_name='a b'"])
