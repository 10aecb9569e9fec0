"""What must hold once the same command has been given again, whatever was killed before."""

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

HEX = re.compile(
    r"\d{8}-\d{6}-[0-9a-f]{8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|timestamp\+\d+|m-[0-9a-f]{32}|[0-9a-f]{32}|[0-9a-f]{16}"
)
PROXIED = "mlflow-artifacts:/"
TIMED = ("fit_seconds",)  # metrics that differ from run to run
DURING_A_RUN = {"run.json", "result.json", "published.json", ".publishing.lock"}


@dataclass(frozen=True)
class Trained:
    """What is equal in all finished runs of a key."""

    theta: str
    history: str
    artifacts: frozenset[str]
    models: int


@dataclass(frozen=True)
class Held:
    """What a folder holds after a command."""

    finished: dict[str, list[Trained]]  # by the key of the job
    states: Counter  # of all runs that are not deleted
    parents: int
    doubled: list[str]  # metrics with a step twice
    files: frozenset[str]  # outside the runs' own directories, and of finished runs, without what is random in names
    odd: list[str]  # what lies about


def look(work: Path, experiment: str = "nnexp", database: Path | None = None) -> Held:
    """Look at the store and the files of a working folder."""
    path = database or work / "outputs/mlflow.db"
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=20)) as db:
        runs = db.execute(
            "SELECT r.run_uuid, r.status, r.artifact_uri FROM runs r JOIN experiments e USING (experiment_id) "
            "WHERE e.name = ? AND r.lifecycle_stage = 'active'",
            (experiment,),
        ).fetchall()
        tags = {run: dict(db.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run,))) for run, *_ in runs}
        metrics = {run: _metrics(db, run) for run, *_ in runs}
        models = Counter(
            row[0] for row in db.execute("SELECT source_run_id FROM logged_models WHERE lifecycle_stage = 'active'")
        )
    finished: dict[str, list[Trained]] = {}
    parents = 0
    for run, status, uri in runs:
        if tags[run].get("nnexp.kind") == "sweep":
            parents += 1
        elif status == "FINISHED":
            trained = Trained(
                tags[run]["nnexp.theta_digest"],
                sha256(json.dumps([row for row in metrics[run] if row[0] not in TIMED]).encode()).hexdigest(),
                _artifacts(uri, path.parent / "artifacts"),
                models[run],
            )
            finished.setdefault(tags[run]["nnexp.run_key"], []).append(trained)
    doubled = [
        f"{run} {key} {step}"
        for run in metrics
        for (key, step), n in Counter(row[:2] for row in metrics[run]).items()
        if n > 1
    ]
    files, odd = _files(work)
    return Held(finished, Counter(status for _, status, _ in runs), parents, doubled, files, odd)


def _metrics(db: sqlite3.Connection, run: str) -> list[tuple]:
    query = "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY key, step, value"
    return db.execute(query, (run,)).fetchall()


def _artifacts(uri: str, of_server: Path) -> frozenset[str]:
    root = Path(uri.removeprefix("file://"))
    if uri.startswith(PROXIED):
        root = of_server / uri.removeprefix(PROXIED)
    return _plain(path.relative_to(root) for path in root.rglob("*") if path.is_file())


def _plain(paths) -> frozenset[str]:
    """Paths without what is random in them."""
    return frozenset(HEX.sub("*", path.as_posix()) for path in paths)


def _files(work: Path) -> tuple[frozenset[str], list[str]]:
    """The files of a working folder and of its temporary ones, and what is wrong at first sight."""
    top, odd, kept = work.parent, [], []
    unended = []
    for path in sorted((work / "outputs/runs").glob("*")) if (work / "outputs/runs").is_dir() else []:
        if not (path / "run.json").exists() or not (path / "result.json").exists():
            unended.append(path)
            odd.append(f"a run directory with only {sorted(p.name for p in path.rglob('*')) or 'nothing'} in it")
    killed = {
        path.parent
        for path in work.glob("outputs/runs/*/result.json")
        if json.loads(path.read_text()).get("status") != "FINISHED"
    }
    for path in top.rglob("*"):
        if path == top / "work/data":
            continue
        inside = next((run for run in killed if run in path.parents or run == path), None)
        name = path.relative_to(top)
        if path.is_dir():
            if not any(path.iterdir()) and path.parent != top and path.name not in ("unpublished",):
                odd.append(f"an empty directory {name}")
        elif path.parent.name == "unpublished":
            odd.append(f"an entry of what is not published: {name}")
        elif path.name.startswith(".") and path.name not in DURING_A_RUN:
            odd.append(f"a temporary file {name}")
        elif inside is None and not any(run in path.parents for run in unended):
            kept.append(name)
    return _plain(name for name in kept if name.parts[:3] != ("work", "outputs", "artifacts")), odd


def violations(held: Held, reference: Held, *, is_sweep: bool) -> list[str]:
    """What does not hold, one line each."""
    found = [*held.odd]
    for key, [wanted] in reference.finished.items():
        runs = held.finished.get(key, [])
        if not runs or (is_sweep and len(runs) > 1):
            found.append(f"{len(runs)} finished runs of {key[:8]}")
        for run in runs:
            if run.theta != wanted.theta:
                found.append(f"another theta of {key[:8]}")
            if run.history != wanted.history:
                found.append(f"another history of {key[:8]}")
            if run.artifacts != wanted.artifacts:
                found.append(f"artifacts of {key[:8]} differ: {sorted(run.artifacts ^ wanted.artifacts)}")
            if run.models != wanted.models:
                found.append(f"{run.models} models of {key[:8]}")
    if set(held.finished) - set(reference.finished):
        found.append("runs of keys that nobody asked for")
    if held.states["RUNNING"]:
        found.append(f"{held.states['RUNNING']} runs are RUNNING")
    if held.states["FAILED"]:
        found.append(f"{held.states['FAILED']} runs are FAILED")
    if held.parents != reference.parents:
        found.append(f"{held.parents} parent runs")
    found += [f"a doubled step: {line}" for line in held.doubled]
    if held.files - reference.files:
        found.append(f"files too many: {sorted(held.files - reference.files)[:6]}")
    if is_sweep and reference.files - held.files:
        found.append(f"files too few: {sorted(reference.files - held.files)[:6]}")
    return found
