"""Reports of runs that are not the network's: what they logged is all that is known of them."""

from dataclasses import replace

import numpy as np
import pytest

from nnexp.comparison.sections import Table
from nnexp.comparison.spec import ComparisonSpec
from nnexp.tasks.interface import Task
from nnexp.tasks.presentation import MetricSpec
from tests.report.runs import stored_run, trained_run
from tests.report.test_report import assert_stands_alone, names, report

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures


class Rated(Task):
    """A task that says what its metrics are."""

    metrics = {  # noqa: RUF012
        "score": MetricSpec("score", "%", higher_is_better=True, is_share=True),
        "rounds": MetricSpec("rounds", is_count=True),
    }
    objective = "score"


class WithTable(ComparisonSpec):
    """Adds a table."""

    def add_to(self, section, group, read):
        section.tables.append(Table("Of its own", ["setting"], [[setting.label] for setting in group.settings]))


def function_run(folder, number, lr, seed, *, task="no.such.module", metrics=("loss", "distance")):
    """A finished run of a task with one option, whose metrics fall faster with a higher rate."""
    run = stored_run(folder, number)
    step, params = np.arange(10), {"task.name": task, "task.options.lr": str(lr), "seed": str(seed)}
    columns = {"step": step, "time": 1e9 + step, "seconds": 0.1 * step}
    columns |= {key: (1 + seed / 10) * np.exp(-lr * step) for key in metrics}
    rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / run.run_id / "reports").mkdir()
    (folder / run.run_id / "reports/history.csv").write_text("\n".join(rows) + "\n")
    final = {key: float(columns[key][-1]) for key in metrics}
    tags = run.tags | {"nnexp.task": task, "nnexp.data_digest": ""}
    return replace(run, params=params, metrics=final, tags=tags)


def sweep(folder, **settings):
    return [
        function_run(folder, 3 * i + seed, lr, seed, **settings)
        for i, lr in enumerate((0.1, 0.2, 0.4))
        for seed in (0, 1, 2)
    ]


def test_what_was_logged_is_drawn_and_compared_and_nothing_is_called_the_best(tmp_path):
    result = report(sweep(tmp_path / "runs"), tmp_path / "out")
    assert result.sentences == (
        "9 runs, all finished.",
        "3 settings of lr, 3 seeds each.",
        "The task declares no metric to choose by, so none of them is called the best.",
    )
    assert names(result) == {"curves", "over-task_options_lr"}
    page = result.path.read_text()
    assert_stands_alone(page)
    assert "Pairs of settings over their common seeds (n = 3) by loss: sign-flip test" in page
    assert "Pairs of settings over their common seeds (n = 3) by distance: sign-flip test" in page
    assert "higher on" in page
    assert "accuracy" not in page
    assert 'class="best"' not in page


def test_an_objective_makes_one_the_best_and_counts_are_medians(tmp_path, monkeypatch):
    monkeypatch.setattr("nnexp.tasks.recorded", lambda name: Rated())
    result = report(sweep(tmp_path / "runs", metrics=("loss", "score", "rounds")), tmp_path / "out", formats=())
    assert result.sentences[2].startswith("The best by score is lr 0.1: 44.72 % on average over 3 seeds")
    assert result.sentences[-1].startswith("lr 0.1 has the highest score whether all get 9 steps or")
    page = result.path.read_text()
    header = page[page.index("<thead>") : page.index("</thead>")]
    assert [header.count(f">{name}<") for name in ("score (%)", "loss", "rounds", "run")] == [1, 1, 1, 1]
    assert "rounds and time of the run are medians" in page


def test_the_direction_of_a_metric_says_which_is_better_and_a_task_adds_a_table(tmp_path, monkeypatch):
    class Costly(Rated):
        metrics = {"loss": MetricSpec("loss", "J", higher_is_better=False)}  # noqa: RUF012
        objective = "loss"

        @property
        def comparison(self):
            return WithTable(self.metrics, self.ranking)

    monkeypatch.setattr("nnexp.tasks.recorded", lambda name: Costly())
    result = report(sweep(tmp_path / "runs"), tmp_path / "out", formats=())
    assert result.sentences[2].startswith("The best by loss is lr 0.4: 0.030 on average over 3 seeds")
    assert "<caption><span>Of its own</span></caption>" in result.path.read_text()
    assert "lr 0.1 on 3 of 3 seeds (by 0.417 J on average" in " ".join(result.sentences)


def test_two_tasks_have_a_part_each(tmp_path):
    runs = [
        *sweep(tmp_path / "a"),
        *(trained_run(tmp_path / "b", 20 + i, accuracy=0.8 + 0.1 * i, model__l2=float(i)) for i in range(2)),
    ]
    result = report(runs, tmp_path / "out", formats=("svg",))
    assert (
        "The runs are of 2 tasks: no.such.module (9 runs) and network (2 runs). "
        "Their figures do not compare, so each task has its own part below."
    ) in result.sentences
    assert {"no_such_module-curves", "network-curves"} <= names(result)
    page = result.path.read_text()
    assert "<h2>Task no.such.module</h2>" in page
    assert "<h2>Task network</h2>" in page
    assert_stands_alone(page)


@pytest.mark.parametrize("n", [1, 4])
def test_runs_that_logged_nothing_have_their_time(tmp_path, n):
    runs = [function_run(tmp_path / "runs", i, 0.1 * i, 0, metrics=()) for i in range(n)]
    result = report(runs, tmp_path / "out")
    assert result.n_runs == n
    assert names(result) == set()
    assert_stands_alone(result.path.read_text())
