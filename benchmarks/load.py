"""Many clients that publish runs into one store at once: ``python -m benchmarks.load URI --clients 32 --runs 50``.

Each client is a process with run directories of its own, copies of one real run, which it claims and publishes one
after the other by the code that publishes every run. Nothing is trained meanwhile: the load is the store's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import commands
from nnexp.errors import one_line
from nnexp.recovery import close_lost
from nnexp.runs import backlog, lease
from nnexp.runs.directory import RECORD, RunDirectory
from nnexp.runs.records import Destination
from nnexp.runs.tags import RUN_KEY
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store

GO = "go"
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Load:
    """What came of a load: from the first request to the last, runs that the store has whole, and what failed."""

    seconds: float
    n_whole: int
    run_seconds: Sequence[float] = field(default_factory=list)
    errors: Sequence[str] = field(default_factory=list)

    @property
    def runs_per_second(self) -> float:
        return self.n_whole / self.seconds


def load(uri: str, experiment: str, *, n_clients: int, n_runs: int, folder: Path) -> Load:
    """Have `n_clients` processes publish `n_runs` each; who may do so says the environment."""
    shared = folder / "load"
    model = _real_run(shared / "model")
    words = [sys.executable, "-m", "benchmarks.load", uri, "--experiment", experiment, "--runs", str(n_runs)]
    clients = [
        subprocess.Popen(
            [*words, "--inside", str(shared / f"client-{i}"), "--model", str(model.path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(n_clients)
    ]
    while not all((shared / f"client-{i}" / "ready").exists() or c.poll() is not None for i, c in enumerate(clients)):
        time.sleep(POLL_SECONDS)
    begin = time.perf_counter()
    (shared / GO).touch()
    told = [client.communicate()[0] for client in clients]
    seconds = time.perf_counter() - begin
    said = [json.loads(text.splitlines()[-1]) if text else {"errors": ["a client died"]} for text in told]
    uids = {uid for each in said for uid in each.get("uids", ())}
    store = Store(uri, experiment)
    finished = [run for run in store.search() if run.status == "FINISHED" and run.tags.get("nnexp.uid") in uids]
    return Load(
        seconds,
        sum(_is_whole(run, model) for run in finished),
        [value for each in said for value in each.get("seconds", ())],
        [error for each in said for error in each["errors"]],
    )


def _is_whole(run, model: RunDirectory) -> bool:
    result = model.result
    assert result is not None
    return set(result.final_metrics) <= set(run.metrics) and set(result.tags) <= set(run.tags)


def _real_run(folder: Path) -> RunDirectory:
    folder.mkdir(parents=True)
    commands.nnexp(folder, "experiment=smoke", "tracking=none")
    [path] = folder.glob("outputs/runs/*")
    return RunDirectory(path)


def _copies(model: RunDirectory, folder: Path, uri: str, experiment: str, n_runs: int) -> list[RunDirectory]:
    """Run directories as a trainer leaves them that has just ended."""
    record, result = model.record, model.result
    assert result is not None
    made = []
    for i in range(n_runs):
        uid = f"{folder.name}-{i}-{time.time_ns():x}"
        directory = RunDirectory(shutil.copytree(model.path, folder / "runs" / uid))
        own = replace(
            record,
            uid=uid,
            name=uid,
            owner=lease.owner(),
            tracking=Destination(uri, experiment),
            backlog=str(backlog.folder(folder)),
            identity={**record.identity, "run_key": uid},
            tags={**record.tags, RUN_KEY: uid},
        )
        directory.write_json(RECORD, own.to_json())
        directory.write_result(replace(result, run_id=uid))
        backlog.enter(folder, directory)
        made.append(directory)
    return made


def client(uri: str, experiment: str, n_runs: int, folder: Path, model: Path) -> None:
    """Be one of the clients; says at its end what it did, as JSON."""
    store = Store(uri, experiment, patience=60.0)
    directories = _copies(RunDirectory(model), folder, store.uri, experiment, n_runs)
    _ = store.client  # opened, as by the first run of a process
    (folder / "ready").touch()
    while not (folder.parent / GO).exists():
        time.sleep(POLL_SECONDS)
    seconds, errors = list[float](), list[str]()
    for directory in directories:
        begin = time.perf_counter()
        publication = Publication(directory, store)
        try:
            publication.claim(close_lost)
            publication.advance()
        except Exception as error:
            errors.append(one_line(error))
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"uids": [each.uid for each in directories], "seconds": seconds, "errors": errors}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("uri", help="of the store: http://HOST:PORT, sqlite:///FILE, postgresql://...")
    parser.add_argument("--experiment", default="load")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--runs", type=int, default=50, help="of each client")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        client(given.uri, given.experiment, given.runs, given.inside, given.model)
        return
    with tempfile.TemporaryDirectory() as folder:
        done = load(
            given.uri, given.experiment, n_clients=given.clients, n_runs=given.runs, folder=Path(folder).resolve()
        )
    times = sorted(done.run_seconds)
    print(
        f"{given.clients} clients, {given.runs} runs each: {done.n_whole} whole, {len(done.errors)} errors, "
        f"{done.seconds:.1f} s, {done.runs_per_second:.2f} runs/s; "
        f"a run takes {times[len(times) // 2]:.2f} s (median), {times[-1]:.2f} s (longest)"
    )
    for error in done.errors[:5]:
        print(error)


if __name__ == "__main__":
    main()
