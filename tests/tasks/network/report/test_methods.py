"""Methods over problems: which of them compare, what they pay, and what is said of it."""

import numpy as np
import pytest

from nnexp.comparison.citing import cited
from nnexp.comparison.sections import Section
from nnexp.comparison.spec import Evidence
from nnexp.report.files import RunFiles
from nnexp.report.table import tidy
from nnexp.tasks.network.report import method_sentences, over_problems, runtimes
from nnexp.tasks.network.report.keys import COST, EVALUATIONS, LEARNING_RATE
from nnexp.tasks.network.report.methods import Benchmark
from nnexp.tasks.network.report.problems import Attempt, Field, Method, Problem, comparable, gather, labels
from nnexp.tasks.network.report.tuning import tune
from tests.report.runs import SPEC, grouped, stored_run, trained_run

INF = np.inf
FAST, SLOW, STUCK = Method("Fast"), Method("Slow"), Method("Stuck")


def attempt(spent, cost):
    """A run; `cost` None: diverged."""
    if cost is None:
        return Attempt("x", (20.0,), None)
    columns = {EVALUATIONS: spent, "step": range(len(spent)), "seconds": np.arange(len(spent)) / 8, COST: cost}
    return Attempt("x", (20.0,), {key: np.array(column, dtype=float) for key, column in columns.items()})


def problem(attempts, data="d", seed=0, network=("h=1",)):
    return Problem(data, data, (("seed", seed),), network, {m: attempt(*run) for m, run in attempts.items()})


@pytest.fixture
def two():
    """Two problems, three methods; f0 = 10 and 4, the lowest of the runs 0 and 2."""
    return [
        problem({FAST: ([1, 3, 6], [10, 1, 0]), SLOW: ([1, 8, 12], [10, 5, 0.9]), STUCK: ([1, 2, 20], [10, 6, 6])}),
        problem({FAST: ([1, 4, 10], [4, 2.3, 2.1]), SLOW: ([1, 5], [4, 2]), STUCK: ([1], None)}, seed=1),
    ]


class Known:
    """As much of a reference run as a benchmark needs."""

    def __init__(self, cost, status="converged"):
        self.cost, self.status, self.has_ended = cost, status, status == "converged"
        self.method, self.maxfun, self.evaluations, self.gradient_norm = "L-BFGS-B", 5000, 900, 1e-9
        self.options = {"gtol": 1e-9}


def bench(problems, references=()):
    methods = list(problems[0].attempts)
    return Benchmark(Field(methods, problems), {m: m.name for m in methods}, list(references))


def test_what_methods_pay_counted_by_hand(two):
    found = bench(two)
    assert found.lowest == [0, 2]
    assert found.runtimes(EVALUATIONS, [0.1])[:, 0].tolist() == [[3, 12, INF], [10, 5, INF]]
    assert found.runtimes(EVALUATIONS, [0.01])[:, 0].tolist() == [[6, INF, INF], [INF, 5, INF]]
    assert found.runtimes("step", [0.1])[:, 0].tolist() == [[1, 2, INF], [2, 1, INF]]
    assert found.runtimes("seconds", [0.01])[:, 0].tolist() == [[0.25, INF, INF], [INF, 0.125, INF]]


def test_a_lower_reference_makes_targets_harder_and_a_higher_one_changes_nothing(two):
    found = bench(two, [Known(-90.0), Known(2.5)])
    assert found.lowest == [-90, 2]
    assert found.runtimes(EVALUATIONS, [0.1])[:, 0].tolist() == [[INF, INF, INF], [10, 5, INF]]
    text = " ".join(method_sentences.about_methods(found))
    assert "a reference run (L-BFGS-B, at most 5,000 evaluations; 2 of 2 ended before that" in text
    assert "On 1 problem a compared run went below its reference, by at most 20 %: it found another" in text
    table = over_problems.of_references(found)
    assert [row[2:4] for row in table.rows] == [["-90", "-90"], ["2", "2.5"]]


def test_without_references_the_page_says_that_somebody_always_solves(two):
    text = " ".join(method_sentences.about_methods(bench(two)))
    assert "fL, the lowest cost that any of these runs reached, so on each problem some method comes to all" in text
    assert "all targets; the same report with `--reference` trains longer to know better." in text
    assert "fastest in evaluations is Fast on 1 and Slow on 1; solved within their budgets: Fast 1, Slow 1" in text
    assert "Over 2 problems (2 seeds), to within 1 % of the possible decrease of the cost: fastest in" in text
    assert "2 seeds of one network on one data set are 2 copies of one problem" in text
    assert "Diverged, and so counted as not solved: Stuck on 1." in text


def test_the_table_has_medians_successes_and_expected_running_time(two):
    rows = {row[0]: row[1:4] for row in runtimes.table(bench(two)).rows}
    # Slow needs 12 and 5; Fast 3 and 10; Stuck reaches nothing.
    assert rows == {"Fast": ("6", "2 of 2", "6"), "Slow": ("8", "2 of 2", "8"), "Stuck": ("—", "0 of 2", "—")}


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2, INF], 2), ([1, INF, INF], INF), ([1, INF], INF), ([1, 4], 2.5), ([3], 3)],
)
def test_the_median_counts_what_is_not_solved_as_more_than_all(values, expected):
    assert runtimes.median(np.array(values, dtype=float)[:, None]).tolist() == [expected]


def test_problems_that_a_method_was_not_run_on_are_left_out_and_so_is_a_method_with_few_runs():
    run = ([1, 2], [4, 3])
    problems = [problem({FAST: run, SLOW: run, STUCK: run} if seed == 0 else {FAST: run, SLOW: run}, seed=seed)
                for seed in range(4)]  # fmt: skip
    problems.append(problem({FAST: run}, seed=4))  # of one method alone
    field = comparable(problems)
    assert field.methods == [FAST, SLOW]
    assert len(field.problems) == 4
    assert field.too_few == [STUCK]
    del problems[3].attempts[SLOW]
    problems[1].attempts[STUCK] = problems[2].attempts[STUCK] = attempt(*run)
    field = comparable(problems)
    assert (field.methods, len(field.problems), field.n_left_out) == ([FAST, SLOW, STUCK], 3, 0)
    assert comparable(problems[:1]) is None


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ([("a", 0, "n"), ("a", 1, "n"), ("b", 0, "n"), ("b", 1, "n")], "4 problems (2 data sets × 2 seeds)"),
        ([("a", 0, "n"), ("a", 0, "m")], "2 problems (2 networks × 1 seed)"),
        ([("a", 0, "n"), ("b", 0, "n"), ("b", 1, "n")], "3 problems (of 2 data sets and 2 seeds)"),
        ([("a", 0, "n"), ("a", 1, "n"), ("a", 2, "n")], "3 problems (3 seeds)"),
        ([("a", 0, "data.scale=none"), ("b", 0, "data.scale=standard")], "2 problems (2 data sets × 1 seed)"),
        ([("a", 0, "data.test_size=0.2"), ("a", 0, "data.test_size=0.4")], "2 problems (2 kinds of split × 1 seed)"),
    ],
)
def test_what_makes_the_problems_is_said(of, expected):
    assert method_sentences.count_problems([problem({}, d, s, (n,)) for d, s, n in of]) == expected


def rated(rate, name="Adam", **options):
    return Method(name, tuple(sorted({LEARNING_RATE: rate, **options}.items())))


def ended(cost):
    return ([1, 2], [9, cost]) if cost is not None else ([1], None)


def test_the_best_rate_has_the_lowest_mean_cost_where_all_were_run():
    costs = {0.1: [3, 1, 0], 1: [2, 1.5, 9], 10: [1, None, 0]}
    problems = [problem({rated(rate): ended(c[seed]) for rate, c in costs.items()}, seed=seed) for seed in range(3)]
    del problems[2].attempts[rated(0.1)]  # so that seed 2 says nothing
    (tuned,) = tune(problems)
    assert (tuned.best, tuned.n_problems, tuned.diverged, tuned.edge) == (rated(1), 2, (10,), "")
    assert tuned.rates == [0.1, 1, 10]
    text = " ".join(method_sentences.about_tuning([tuned], with_figures=True))
    assert text.startswith(
        "Adam (learning rate 1, the best of 3): chosen by the lowest training cost within the budget"
    )
    assert "on average over 2 problems." in text
    assert "it took 3 budgets, which" in text
    assert "no longer a finite number: Adam at 10." in text


def test_a_best_rate_at_an_end_is_told():
    problems = [problem({rated(r): ended(r) for r in (0.1, 1.0)} | {rated(r, "GD"): ended(-r) for r in (1.0, 3.0)})]
    text = " ".join(method_sentences.about_tuning(tune(problems), with_figures=False))
    assert (
        "The best learning rate is the last one tried for Adam at the lower end (0.1) and GD at the upper end (3)"
        in text
    )
    assert "it took 2 budgets each." in text  # there are no figures that could count them


def test_a_lower_cost_of_a_step_size_that_was_not_chosen_is_known_and_said():
    rates = {rated(1.0): ended(1), rated(3.0): ended(4)}
    problems = [problem(rates | {FAST: ended(5)}), problem(rates | {rated(3.0): ended(0.5), FAST: ended(0.6)}, seed=1)]
    (tuned,) = tune(problems)
    found = Benchmark(comparable(problems, tuned.others), labels([tuned.best, FAST], SPEC), [], "abc")
    assert found.lowest == [1, 0.5]
    text = " ".join(method_sentences.about_methods(found))
    assert "fL, the lowest cost of any run on the problem, at a step size that was not chosen too, so on 1 of 2" in text
    assert "so on 1 of 2 problems some method comes to all targets; `nnexp report abc --reference` trains" in text
    assert "of the lowest training cost within the budget" in "".join(
        map(str, method_sentences.how_made(found, [tuned])[1])
    )


def test_replicates_that_are_no_seeds_have_their_own_name():
    replicates = [(("seed", 0), ("fold", fold)) for fold in range(3)]
    folds = [Problem("a", "a", replicate, ()) for replicate in replicates]
    assert method_sentences.count_problems(folds) == "3 problems (3 folds)"
    both = [Problem("a", "a", (("seed", seed), replicate[1]), ()) for seed in range(2) for replicate in replicates]
    assert method_sentences.count_problems(both) == "6 problems (6 replicates)"


def test_other_options_make_methods_of_their_own_and_what_only_diverges_is_not_tuned():
    key = "optimizer.options.batch_size"
    problems = [problem({rated(r, **{key: b}): ended(r * b) for r in (1.0, 2.0) for b in (8, 16)}
                        | {rated(r, "SGD"): ([1], None) for r in (1.0, 2.0)} | {FAST: ended(1)})]  # fmt: skip
    assert [tuned.best for tuned in tune(problems)] == [rated(1.0, **{key: 8}), rated(1.0, **{key: 16})]


def evidence(runs, **more):
    return Evidence(tidy(runs), RunFiles(None).histories([r for r in runs if r.status == "FINISHED"]), None, **more)


def added(runs, found):
    section = Section("x")
    over_problems.add_to(section, grouped(runs), found)
    return section


def test_runs_are_gathered_by_all_that_is_not_the_optimizer(tmp_path):
    rate = "optimizer.options.learning_rate"
    runs = [
        trained_run(tmp_path, 0, optimizer__method="TNC", rate=0.6, seed=0),
        trained_run(tmp_path, 1, optimizer__method="Adam", rate=0.3, seed=0),
        trained_run(tmp_path, 2, optimizer__method="Adam", rate=0.4, seed=0, **{rate: 0.03}),
        trained_run(tmp_path, 3, optimizer__method="TNC", rate=0.6, seed=1),
        trained_run(tmp_path, 4, optimizer__method="Adam", rate=0.3, seed=1),
        stored_run(tmp_path, 5, optimizer__method="Adam", seed=1, status="FAILED",
                   message="NonFiniteCostError: the cost is nan at evaluation 3", **{rate: 0.03}),
        stored_run(tmp_path, 6, optimizer__method="CG", seed=1, status="FAILED", message="MemoryError"),
    ]  # fmt: skip
    first, second = gather(grouped(runs), evidence(runs))
    assert sorted(m.name for m in first.attempts) == ["Adam", "Adam", "TNC"]
    adam = Method("Adam", ((LEARNING_RATE, 0.003),))  # the default rate, which was not set
    assert {m for m in second.attempts if second.attempts[m].has_diverged} == {rated(0.03)}
    assert adam in first.attempts
    section = added(runs, evidence(runs, sweep="abc1"))
    text = " ".join(section.sentences)
    assert "Adam (learning rate 0.003, the best of 2)" in text
    assert "Adam at 0.03" in text
    assert "`nnexp report abc1 --reference`" in text
    assert [picture.name for picture in section.pictures] == ["profiles", "runtimes"]
    assert cited(section.methods) == ["dolan2002", "more2009", "hansen2021", "schmidt2021"]
    assert "CG" not in text


def test_runs_from_before_there_were_splits_and_folds_are_on_the_same_problems_as_those_of_today(tmp_path):
    today = {"data.split": "stratified", "data.split_seed": None, "data.folds": None, "data.fold": 0}
    runs = [trained_run(tmp_path, seed, optimizer__method="TNC", seed=seed) for seed in range(2)]
    runs += [trained_run(tmp_path, 2 + seed, optimizer__method="CG", seed=seed, **today) for seed in range(2)]
    found = gather(grouped(runs), evidence(runs))
    assert [len(each.attempts) for each in found] == [2, 2]
    assert {each.seed for each in found} == {"seed 0", "seed 1"}


def test_of_several_data_sets_the_methods_are_in_the_summary(tmp_path):
    runs = [
        trained_run(tmp_path, 2 * place + i, optimizer__method=method, rate=rate, data__name=name, digest=name)
        for place, name in enumerate(("digits", "wine"))
        for i, (method, rate) in enumerate((("TNC", 0.6), ("CG", 0.3)))
    ]
    section = added(runs, evidence(runs))
    assert section.summary == section.sentences[:3]
    assert section.summary[0].startswith("Over 2 problems (2 data sets × 1 seed), to within 1 %")
    assert added(runs[:2], evidence(runs[:2])).summary == []


def test_diverged_runs_of_all_methods_leave_nothing_to_say(tmp_path):
    runs = [trained_run(tmp_path, seed, optimizer__method="TNC", seed=seed) for seed in range(2)]
    section = added(runs, evidence(runs))
    assert (section.sentences, section.tables, section.pictures) == ([], [], [])
