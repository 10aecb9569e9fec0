"""What is said of a sweep's progress and of its best settings."""

import pytest

from nnexp.sweeps import job, ranking
from nnexp.sweeps.jobs import Job, SearchGoal
from nnexp.sweeps.messages import describe, tell_unpublished, time_left
from nnexp.sweeps.status import JobState, State
from nnexp.tasks.network.task import Network

BEGAN = 1000.0


def finished(start, seconds):
    return JobState("key", State.FINISHED, "run", start=start, seconds=seconds)


def running(start):
    return JobState("key", State.RUNNING, "run", start=start)


def test_before_the_first_fit_has_ended_no_time_is_named():
    assert time_left([running(BEGAN + 5) for _ in range(4)], 40, BEGAN, BEGAN + 60) is None
    assert time_left([finished(BEGAN - 50, 10.0)], 39, BEGAN, BEGAN + 60) is None  # done by an earlier start


@pytest.mark.parametrize("n_workers", [1, 2, 16])
def test_time_left_is_true_from_the_first_fit_on_however_many_run_at_a_time(n_workers):
    """40 fits of 50 s each, the first of which begins after 10 s of imports."""
    first = [finished(BEGAN + 10, 50.0)]
    others = [running(BEGAN + 10) for _ in range(n_workers - 1)]
    at_once = time_left([*first, *others], 39, BEGAN, BEGAN + 60)
    assert at_once == pytest.approx(50 * (40 - n_workers) / n_workers, rel=0.05)

    ended = [finished(BEGAN + 10 + 50 * wave, 50.0) for wave in range(2) for _ in range(n_workers)]
    under_way = [running(BEGAN + 110) for _ in range(n_workers)]
    later = time_left([*ended, *under_way], 40 - len(ended), BEGAN, BEGAN + 120)
    assert later == pytest.approx(50 * (40 - 2 * n_workers) / n_workers - 10, rel=0.05)


def test_the_line_says_how_much_is_done_before_it_names_fits():
    counts = {"planned": 20, "finished": 13, "failed": 1}
    rows = {"l2=1": {"cost/train": 0.33333, "optimizer/n_fev": 120.0}, "l2=3": {}}
    fits = [(name, Network().presentation.progress(row)) for name, row in rows.items()]
    assert describe(counts, fits, 185.0, "l2=0") == [
        "14 of 20 done", "1 failed", "about 3 min 05 s left", "2 running", "l2=1: cost 0.333, 120 evals", "l2=3",
        "best so far: l2=0",
    ]  # fmt: skip


def jobs(*swept):
    return [Job(i, items, items, f"key{i}") for i, items in enumerate(swept)]


def ranked(swept, *metrics, goal=None):
    done = [
        (job, JobState(job.key, State.FINISHED, f"run{job.number}", metrics=m, params=params_of(job)))
        for job, m in zip(jobs(*swept), metrics, strict=True)
    ]
    return [(str(score), score.runs) for score in ranking.rank(Network(), done, goal=goal)]


def params_of(job):
    """As the job's run would have them."""
    params = dict(item.split("=") for item in job.swept)
    return {"data.name" if key == "data" else key: value for key, value in params.items()}


def test_settings_are_ranked_by_their_means_and_not_by_the_luckiest_run():
    swept = [("model.l2=1", "seed=0"), ("model.l2=1", "seed=1"), ("model.l2=3", "seed=0"), ("model.l2=3", "seed=1")]
    metrics = [{"accuracy/test": a, "loss/test": 0.1} for a in (0.99, 0.80, 0.91, 0.90)]
    assert ranked(swept, *metrics) == [
        ("test accuracy 90.50 % (mean of 2 seeds): model.l2=3", (("0", "run2"), ("1", "run3"))),
        ("test accuracy 89.50 % (mean of 2 seeds): model.l2=1", (("0", "run0"), ("1", "run1"))),
    ]


def test_the_validation_part_decides_where_there_is_one():
    metrics = [{"accuracy/test": t, "accuracy/validation": v} for t, v in ((0.9, 0.7), (0.8, 0.75))]
    assert [text for text, _ in ranked([("model.l2=0",), ("model.l2=1",)], *metrics)] == [
        "validation accuracy 75.00 %: model.l2=1",
        "validation accuracy 70.00 %: model.l2=0",
    ]


def test_a_search_is_ranked_by_its_objective():
    metrics = [{"accuracy/validation": a, "loss/validation": loss} for a, loss in ((0.9, 0.5), (0.8, 0.4))]
    swept = [("model.l2=0",), ("model.l2=1",)]
    goal = SearchGoal(3, ("loss/validation",), ("minimize",))
    assert [text for text, _ in ranked(swept, *metrics, goal=goal)] == [
        "validation loss 0.4: model.l2=1",
        "validation loss 0.5: model.l2=0",
    ]
    assert [runs for _, runs in ranked(swept, *metrics)] == [(("", "run0"),), (("", "run1"),)]


def test_a_search_of_two_objectives_has_a_front_in_which_no_setting_beats_another():
    figures = [(0.5, 30), (0.4, 40), (0.6, 40), (0.4, 50)]
    metrics = [{"loss/validation": loss, "optimizer/n_fev": n} for loss, n in figures]
    done = [
        (job, JobState(job.key, State.FINISHED, f"run{job.number}", metrics=m))
        for job, m in zip(jobs(("a=0",), ("a=1",), ("a=2",), ("a=3",)), metrics, strict=True)
    ]
    goal = SearchGoal(4, ("loss/validation", "optimizer/n_fev"), ("minimize", "minimize"))
    states = {state.key: state for _, state in done}
    known = ranking.overview(Network(), {job.key: job for job, _ in done}, states, "s", goal=goal)
    assert [score.name for score in known.best] == ["a=1", "a=0", "a=3", "a=2"]
    assert [score.name for score in known.listed] == ["a=1", "a=0"]
    assert ranking.heading(known.listed) == "Pareto front of validation loss and optimizer/n_fev"
    assert known.best_so_far == ""


def test_a_training_loss_names_no_lambda_but_a_cost_at_one_lambda_names_a_method():
    metrics = [{"cost/train": 0.3, "loss/train": 0.1}, {"cost/train": 0.2, "loss/train": 0.2}]
    assert ranked([("model.l2=0",), ("model.l2=1",)], *metrics) == []
    [(best, _), _] = ranked([("optimizer=tnc",), ("optimizer=cg",)], *metrics)
    assert best == "training cost 0.2: optimizer=cg"


def test_a_setting_that_lacks_seeds_or_failed_on_one_is_shown_but_not_ranked():
    swept = [("model.l2=1", f"seed={seed}") for seed in range(3)] + [
        ("model.l2=3", f"seed={seed}") for seed in range(2)
    ]
    done = [
        (job, JobState(job.key, State.FINISHED, f"run{job.number}", metrics={"accuracy/test": accuracy}, params={}))
        for job, accuracy in zip(jobs(*swept), (0.9, 0.9, 0.3, 0.95, 0.95), strict=True)
    ]
    expected = ["70.00 %  model.l2=1 (3 seeds)", "95.00 %  model.l2=3 (2 seeds; not ranked: without seed=2)"]
    assert ranking.lines(ranking.rank(Network(), done)) == expected
    only_two = [each for each in done if each[0].number != 2]
    (failed,) = jobs(("model.l2=3", "seed=2"))
    assert ranking.lines(ranking.rank(Network(), only_two, [failed])) == [
        "90.00 %  model.l2=1 (2 seeds)".removesuffix(" (2 seeds)"), expected[1]
    ]  # fmt: skip


def test_folds_and_splits_make_no_settings():
    swept = [(f"model.l2={l2}", f"data.fold={fold}") for l2 in (1, 3) for fold in (0, 1)]
    metrics = [{"accuracy/test": accuracy} for accuracy in (0.7, 0.8, 0.9, 0.9)]
    text, runs = ranked(swept, *metrics)[0]
    assert text == "test accuracy 90.00 % (mean of 2 runs): model.l2=3"
    assert runs == (("data.fold=0", "run2"), ("data.fold=1", "run3"))


def test_of_several_data_sets_each_has_its_best():
    swept = [("data=ex4", "model.l2=0"), ("data=ex4", "model.l2=1"), ("data=digits", "model.l2=0")]
    found = ranked(swept, *({"accuracy/test": a} for a in (0.90, 0.95, 0.99)))
    assert {name.partition(": ")[2] for name, _ in found} == {"data=ex4 model.l2=1", "data=digits model.l2=0"}


@pytest.mark.slow
def test_a_search_that_stops_early_counts_all_its_trials(nnexp):
    words = ["data=digits", "model.hidden_size=5", "optimizer.maxfun=15", "model.init_scale=interval(0.1,0.2)"]
    settings = ["hydra.sweeper.search.n_trials=20", "optimizer=gd", "fail_fast=true", "tracking=none"]
    done = nnexp("+search=tpe", *words, *settings, "optimizer.options.learning_rate=1e300")
    assert "0 of 20 jobs finished, 1 failed" in done.out, done.err


def test_what_several_machines_could_not_publish_for_one_reason_is_one_line(capsys):
    there = "`nnexp sync` there publishes what is missing.\n"
    tell_unpublished([("a", "full"), ("a", "full")])
    assert capsys.readouterr().err == f"2 runs were trained on a, not published: full; {there}"
    tell_unpublished([("a", "full"), ("b", "away"), ("b", "full"), ("a", "full")])
    assert capsys.readouterr().err == (
        f"3 runs were trained on a (2), b (1), not published: full; {there}"
        f"1 run was trained on b, not published: away; {there}"
    )
    tell_unpublished([(f"node-{i}", "full") for i in range(8)])
    assert "on node-0 (1), node-1 (1), node-2 (1), node-3 (1), node-4 (1) and 3 more, not" in capsys.readouterr().err


def test_a_process_tells_once_for_each_sweep_why_runs_are_not_published(capsys, monkeypatch):
    monkeypatch.setattr(job, "_reasons", set())
    for sweep in ("first", "second"):
        for name, reason in (("seed=1", "away"), ("seed=2", "away"), ("seed=3", "full")):
            job._tell_reason(sweep, name, reason)
        assert capsys.readouterr().err == "not published: seed=1: away\nnot published: seed=3: full\n"
