"""A 32-run sweep on two cores against a grid search with autologging and a plain Hydra + MLflow script."""

from __future__ import annotations

from pathlib import Path

from benchmarks import commands, problem
from benchmarks.measure import Line, median

TITLE = "A sweep of 32 default runs on 2 cores, from process start to exit"
HERE = Path(__file__).resolve().parent.parent
PREPARE = "import sys, mlflow; [mlflow.set_experiment(name) for name in sys.argv[1:]]"


def run(quick: bool) -> list[Line]:
    n, n_plain, budget = (2, 2, 5) if quick else (32, 6, 400)
    problem.data()
    images = problem.DATA / "ex4.npz"
    workers = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    with commands.scratch() as folder:
        seeds = ",".join(map(str, range(n)))
        limits = (f"optimizer.maxiter={budget}", f"optimizer.maxfun={budget}")
        own = commands.nnexp(folder, "-m", f"seed={seeds}", *workers, *limits)
        cost = median([run.cost for run in commands.runs(folder)])

        store = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/theirs.db"}
        commands.run(["-c", PREPARE, "plain", "grid"], folder, **store)  # or they race for the schema
        grid = commands.run([str(HERE / "grid_search.py"), str(images), str(n), str(budget)], folder, **store)
        words = [str(HERE / "plain_script.py"), "-m", *workers, f"images={images}", f"maxfun={budget}"]
        alone = commands.run([str(HERE / "plain_script.py"), "--help"], folder, **store)
        seeds = ",".join(map(str, range(n_plain)))
        plain = commands.run([*words, f"seed={seeds}"], folder, **store)
        scaled = alone + (plain - alone) * n / n_plain
    said = f"{own:.1f} s (median cost {cost:.4f})"
    how = "" if n == n_plain else f", of which {n_plain} runs were measured ({plain:.1f} s) and the rest reckoned"
    return [
        Line("times faster than GridSearchCV with autologging", grid / own, at_least=2, note=f"{said}, {grid:.1f} s"),
        Line(
            "times faster than a plain Hydra + MLflow script",
            scaled / own,
            at_least=6,
            note=f"{said}, {scaled:.1f} s{how}",
        ),
    ]
