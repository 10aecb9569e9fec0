"""The first use of a SQLite store, alone and by several processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.commands import environment, scratch
from benchmarks.measure import Line, median

TITLE = "First use of a store"
USE = """
import json, logging, sys, time
from nnexp.tracking.mlflow_import import import_mlflow
from nnexp.tracking.store import Store
import_mlflow()
import sqlalchemy, alembic, mlflow.store.tracking.sqlalchemy_store
migrations = []
import mlflow.store.db.utils as utils
for name in ("_initialize_tables", "_upgrade_db"):
    def counted(*args, do=getattr(utils, name), name=name, **kwargs):
        migrations.append(name)
        return do(*args, **kwargs)
    if hasattr(utils, name):
        setattr(utils, name, counted)
        if hasattr(mlflow.store.tracking.sqlalchemy_store.mlflow.store.db.utils, name):
            setattr(mlflow.store.tracking.sqlalchemy_store.mlflow.store.db.utils, name, counted)
begin = time.perf_counter()
store = Store(sys.argv[1], "bench")
run_id = store.create("a run", time.time(), {})
print(json.dumps({"seconds": time.perf_counter() - begin, "migrations": len(migrations),
                  "experiment": store.experiment_id}))
"""


def use(folder: Path, name: str, processes: int) -> list[dict]:
    """The output of processes that use a store at the same time."""
    command = [sys.executable, "-c", USE, f"sqlite:///{folder}/{name}.db"]
    pipes = {"stdout": subprocess.PIPE, "cwd": folder, "env": environment(), "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(processes)]
    said = [process.communicate()[0] for process in started]
    return [json.loads(text.splitlines()[-1]) for text in said]


def run(quick: bool) -> list[Line]:
    with scratch() as folder:
        new, warm = [], []
        for i in range(1 if quick else 5):
            new.append(use(folder, f"store{i}", 1)[0]["seconds"])
            warm.append(use(folder, f"store{i}", 1)[0]["seconds"])
        together = use(folder, "together", 2 if quick else 4)
    migrated = sum(each["migrations"] > 0 for each in together)
    one = len({each["experiment"] for each in together})
    return [
        Line("a new store: until its first run is made", median(new), "s", at_most=2.0, note="MLflow's import apart"),
        Line("a store that is there", median(warm), "s"),
        Line("processes that made the schema, of several at once", migrated, "", at_most=1, at_least=1),
        Line("experiments that they made", one, "", at_most=1, at_least=1),
    ]
