"""A smoke test of the benchmark suite: its parts run and measure what they say."""

import importlib
import json
import math
import sqlite3
import time

import numpy as np
import pytest

from benchmarks import commands, machine, notebook, peers, problem, spans
from benchmarks.__main__ import parse, shown
from benchmarks.measure import Line, alternate, left_out
from benchmarks.rows import ROWS, growth, timeline, training, where
from nnexp.nn import Objective, initialize

LAYERS = (6, 4, 3)


@pytest.fixture
def small():
    rng = np.random.default_rng(0)
    X, Y = rng.random((30, 6)), np.eye(3)[rng.integers(0, 3, 30)]
    return initialize(LAYERS, 0.5, rng), LAYERS, X, Y, 1.5


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("code", [notebook.loop, notebook.vectorised])
def test_the_notebook_computes_our_cost_and_gradient(small, code):
    theta, layers, X, Y, l2 = small
    cost, gradient = Objective(X, Y, layers, l2=l2)(theta)
    theirs = code(theta, layers, X, Y, l2)
    assert theirs[0] == pytest.approx(cost, rel=1e-12)
    np.testing.assert_allclose(theirs[1], gradient, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "package"),
    [
        (peers.ours, "numpy"),
        (peers.sklearn_mlp, "sklearn"),
        (peers.torch_autograd, "torch"),
        (peers.jax_jit, "jax"),
    ],
)
def test_peers_do_the_same_work(small, make, package):
    pytest.importorskip(package)
    theta, layers, X, Y, l2 = small
    assert make(*small)() == pytest.approx(Objective(X, Y, layers, l2=l2)(theta)[0], rel=1e-9)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_a_title_and_a_run(row):
    module = importlib.import_module(f"benchmarks.rows.{row}")
    assert module.TITLE
    assert callable(module.run)


def test_the_stopwatch_sees_every_step_of_an_evaluation_and_leaves_it_as_it_is(small):
    theta, layers, X, Y, l2 = small
    objective = Objective(X, Y, layers, l2=l2)
    cost, gradient = objective(theta)
    begin = time.thread_time()
    with where.stopwatch(where.steps(objective)) as spent:
        timed = objective(theta)
    assert set(spent) == set(where.steps(objective))
    assert 0 < sum(spent.values()) < time.thread_time() - begin
    assert timed[0] == cost
    np.testing.assert_array_equal(timed[1], gradient)
    before = dict(spent)
    objective(theta)
    assert spent == before


def test_an_unknown_row_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse(["evaluations"])
    assert "there is no row 'evaluations'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse(["growth", "--figure", "growth.png"])
    assert "--figure is of one row" in capsys.readouterr().err


def test_slow_and_fast_contenders_share_the_time_from_beginning_to_end():
    order = []

    def contender(name, seconds):
        return lambda: (order.append(name), time.sleep(seconds))

    times = alternate({"slow": contender("slow", 0.05), "fast": contender("fast", 0.002)}, 0.3)
    assert times["slow"] >= 0.05 > times["fast"] >= 0.002
    first = order.index("fast") + 4
    thirds = [order[first + i * (len(order) - first) // 3 :][: (len(order) - first) // 3] for i in range(3)]
    assert all({"slow", "fast"} == set(third) for third in thirds)


def test_a_target_is_met_within_its_bounds_only():
    assert Line("", 0.8, at_most=0.9).met
    assert not Line("", 1.0, at_most=0.9).met
    assert not Line("", 2, at_least=3).met
    assert Line("", 2).met is None
    assert "left out: no torch" in shown(left_out("against PyTorch", "no torch"))
    assert math.isnan(left_out("", "").value)


def test_what_is_beside_the_fit_is_counted_for_each_worker_alone():
    starts = {1: (0, 2, 4.5), 2: (1, 2.5, 4.75)}
    runs = [commands.Run(start, 0.0, 1.0, worker, 0.0, "") for worker in starts for start in starts[worker]]
    assert commands.beside_the_fit(runs, warm_up=0) == [1.0, 1.5, 0.5, 1.25]
    assert commands.beside_the_fit(runs) == [1.5, 1.25]


def test_a_span_is_counted_without_those_within_it_and_what_is_in_none_too(tmp_path):
    def write(pid, argv, *lines):
        keys = ("name", "begin", "end", "cpu", "thread", "process")
        rows = [dict(zip(keys, line, strict=True)) for line in lines]
        rows[0]["argv"] = argv
        (tmp_path / f"{pid}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    start = ("imports", 0.0, 1.0, 0.5, 7, 0.5)
    write(1, ["nnexp"], start, ("fit", 2.0, 3.0, 0.9, 7, 1.5), ("recording", 1.5, 4.0, 1.1, 7, 1.75))
    end = ("end", 9.0, 9.0, 0.0, 7, 1.25)
    start = ("imports", 0.5, 1.0, 0.5, 7, 0.5)
    write(2, ["python", "-m", "nnexp.publisher"], start, ("drawing", 4.0, 6.0, 0.5, 8, 1.0), end)
    main, companion = found = spans.read(tmp_path)
    assert (main.role, companion.role) == ("main", "companion")
    assert main.total("recording") == pytest.approx((1.5, 0.2))
    assert main.total("fit") == pytest.approx((1.0, 0.9))
    assert main.unnamed == pytest.approx((0.5, 0.15))
    assert companion.unnamed == pytest.approx((6.0, 0.25))
    lines = timeline.lines_of("a run", found)
    assert [line.what.rpartition(", ")[2] for line in lines[:2]] == ["main: fit", "main: imports"]
    assert sum(float(line.note.split()[1]) for line in lines) == pytest.approx(1.75 + 1.25, abs=0.03)


def test_the_operations_of_an_evaluation():
    assert problem.flop(5000) == 2 * 5000 * (2 * (400 * 25 + 25 * 10) + 25 * 10)
    assert machine.gemm_rate("float32", 1, repeats=1) > 0


def test_copies_of_a_run_fill_a_store(tmp_path):
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        store.execute("CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, status TEXT)")
        for table in growth.TABLES[1:]:
            store.execute(f"CREATE TABLE {table} (key TEXT, value TEXT, run_uuid TEXT)")
        store.execute("INSERT INTO runs VALUES ('abc', 'FINISHED')")
        store.executemany(
            "INSERT INTO tags VALUES (?, ?, 'abc')", [("nnexp.theta_digest", "t"), ("nnexp.run_key", "k")]
        )
    growth.fill(tmp_path / "mlflow.db", 2, 6)
    assert store.execute("SELECT count(*) FROM runs").fetchone() == (5,)
    keys = store.execute("SELECT value FROM tags WHERE key = 'nnexp.run_key'").fetchall()
    assert len(set(keys)) == 5


def test_a_script_stops_at_its_budget():
    rng = np.random.default_rng(1)
    fun = training.Counted(rng.random((20, 400)), np.eye(10)[rng.integers(0, 10, 20)], budget=2)
    costs = [fun(problem.theta0())[0], fun(0.5 * problem.theta0())[0]]
    assert fun.best == min(costs)
    with pytest.raises(training._EnoughError):
        fun(problem.theta0())
