"""A sweep on several machines from its command to its store, with a machine or a job killed in the middle.

    python -m tests.tools.cluster ray [--jobs 48] [--nodes 3]
    python -m tests.tools.cluster submitit [--jobs 48]

A team's server with a user, on PostgreSQL; Ray on nodes that share no folder, or processes as submitit starts them. The
same command is given twice; in the middle of the first a node (a job's process) is killed. Then it is looked, from
outside, at what the store, the folders, the log files and the list of processes have. A table says what was checked.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.tools.ray_cluster import TOKEN, RayCluster
from tests.tools.team_server import TeamServer
from tests.tools.waiting import wait_for

USER, PASSWORD = "alice", "what-alice-alone-knows"
GRID = ("-m", "experiment=smoke", "optimizer.maxiter=200", "optimizer.maxfun=200", "figures.of=all",
        "tracking.heartbeat=1", "training.kernel=portable")  # fmt: skip
ARTIFACTS = {"classification_report.txt", "confusion_matrix.png", "cost_curves.png", "hidden_layer.png", "weights.npz",
             "config", "environment", "figures", "reports"}  # fmt: skip
TAGS = "nnexp."


@dataclass
class Table:
    """What was checked."""

    rows: list[tuple[str, object, object]] = field(default_factory=list)

    def row(self, what: str, expected: object, found: object) -> None:
        self.rows.append((what, expected, found))

    @property
    def wrong(self) -> list[tuple[str, object, object]]:
        return [row for row in self.rows if row[1] != row[2]]

    def __str__(self) -> str:
        lines = ["| what | expected | found |", "|---|---|---|"]
        return "\n".join([*lines, *(f"| {what} | {expected} | {found} |" for what, expected, found in self.rows)])


class ProcessList:
    """Looks for a text in the arguments of all processes, of all namespaces, while it is entered."""

    def __init__(self, text: str) -> None:
        self.text, self.seen, self.looks = text.encode(), set[str](), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.looks += 1
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    if self.text in (words := path.read_bytes()):
                        self.seen.add(words.decode(errors="replace"))

    def __enter__(self) -> "ProcessList":
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._stop.set()
        self._thread.join()


def files_with(text: str, *folders: Path) -> list[str]:
    """The files below folders that contain a text."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            with suppress(OSError):
                if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes():
                    found.append(str(path))
    return found


class Server(TeamServer):
    """A team's server with one user, and what it has of a sweep."""

    def __enter__(self) -> "Server":
        super().__enter__()
        self.add_user(USER, PASSWORD)
        return self

    def runs(self, name: str) -> list[dict]:
        """All runs of an experiment, tags as a mapping."""
        experiment = self.call("GET", f"mlflow/experiments/get-by-name?experiment_name={name}")["experiment"]
        found, page = [], {}
        while True:
            answer = self.call(
                "POST", "mlflow/runs/search", experiment_ids=[experiment["experiment_id"]], max_results=1000, **page
            )
            found += answer.get("runs", [])
            if "next_page_token" not in answer:
                break
            page = {"page_token": answer["next_page_token"]}
        for run in found:
            run["tags"] = {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}
        return found

    def artifacts(self, run: dict) -> set[str]:
        """What a run has at the root of its artifacts."""
        answer = self.call("GET", f"mlflow/artifacts/list?run_id={run['info']['run_id']}")
        return {file["path"] for file in answer.get("files", [])}


def start(folder: Path, server: Server, *words: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """Start the command in a folder, by default as a user of the server would."""
    folder.mkdir(parents=True, exist_ok=True)
    given = server.environment(USER, PASSWORD) if environment is None else environment
    token = {"RAY_AUTH_TOKEN_PATH": str(path)} if (path := folder.parent / TOKEN).exists() else {}
    with (folder / "out.txt").open("ab") as out, (folder / "err.txt").open("ab") as err:
        command = [sys.executable, "-m", "nnexp", *words]
        return subprocess.Popen(command, cwd=folder, env=os.environ | token | given, stdout=out, stderr=err)


def status_of(process: subprocess.Popen) -> int:
    """Its exit status, once it has ended."""
    wait_for(lambda: process.poll() is not None)
    return process.returncode


def ended(experiment: str, *folders: Path) -> int:
    """How many runs of an experiment have ended in the folders."""
    paths = [path for folder in folders for path in folder.glob("outputs/runs/*/result.json")]
    return sum(f'"experiment": "{experiment}"' in (path.parent / "run.json").read_text() for path in paths)


def trains(folder: Path) -> bool:
    """Whether a run in the folder is in its middle."""
    histories = [path.parent for path in folder.glob("outputs/runs/*/history.csv")]
    return any(not (run / "result.json").exists() for run in histories)


def digests_done_here(folder: Path, n_jobs: int) -> set[str]:
    """The digests of what the jobs of the sweep train, done one after the other by this machine."""
    folder.mkdir(parents=True)
    words = [*GRID, f"seed=range({n_jobs})", "tracking=none", "figures.of=none"]
    subprocess.run([sys.executable, "-m", "nnexp", *words], cwd=folder, check=True, capture_output=True)
    return {json.loads(path.read_text())["theta_digest"] for path in folder.glob("outputs/runs/*/result.json")}


def check_store(table: Table, server: Server, experiment: str, n_jobs: int, expected: set[str]) -> None:
    """What the store has of the sweep."""
    runs = server.runs(experiment)
    parents = [run for run in runs if run["tags"].get(f"{TAGS}kind") == "sweep"]
    children = [run for run in runs if run not in parents]
    finished = [run for run in children if run["info"]["status"] == "FINISHED"]
    per_key = Counter(run["tags"][f"{TAGS}run_key"] for run in finished)
    table.row("runs FINISHED", n_jobs, len(finished))
    table.row("jobs with a FINISHED run", n_jobs, len(per_key))
    table.row("jobs with more than one", 0, sum(n > 1 for n in per_key.values()))
    table.row("runs still RUNNING", 0, sum(run["info"]["status"] == "RUNNING" for run in runs))
    table.row("parent runs, and their status", (1, "FINISHED"), (len(parents), parents[0]["info"]["status"]))
    parent = parents[0]["info"]["run_id"]
    table.row("runs under the parent", len(children), sum(r["tags"]["mlflow.parentRunId"] == parent for r in children))
    table.row("runs that lack artifacts", 0, sum(not server.artifacts(run) >= ARTIFACTS for run in finished))
    table.row("report.html at the parent", True, "report.html" in server.artifacts(parents[0]))
    digests = {run["tags"][f"{TAGS}theta_digest"] for run in finished}
    table.row("theta digests as of the serial sweep", len(expected), len(digests & expected))


def check_passwords(table: Table, processes: ProcessList, server: Server, *folders: Path) -> None:
    """That nobody but the server's own hash knows it."""
    table.row("processes with the password in their arguments", set(), processes.seen)
    table.row("the list of processes was looked at", True, processes.looks > 5)
    table.row("files with the password", [], files_with(PASSWORD, server.folder, server.database.folder, *folders))


def on_ray(
    cluster: RayCluster, server: Server, n_jobs: int, experiment: str, tell: Callable[[str], object] = print
) -> Table:
    """The sweep on a cluster of Ray, of which the first node is killed."""
    table, driver = Table(), cluster.hidden / experiment
    nodes = [node.folder for node in cluster.nodes]
    with ProcessList(PASSWORD) as processes:
        expected = digests_done_here(cluster.folder / f"{experiment}-here", n_jobs)
        words = [*GRID, f"seed=range({n_jobs})", "hydra/launcher=ray", f"tracking.experiment={experiment}"]
        words.append(f"hydra.launcher.ray.init.address={cluster.address}")
        began = time.monotonic()
        first = start(driver, server, *words)
        is_in_the_middle = lambda: ended(experiment, *nodes) >= n_jobs // 4  # noqa: E731
        wait_for(lambda: is_in_the_middle() and ended(experiment, nodes[0]) and trains(nodes[0]), first)
        cluster.nodes[0].kill()
        tell(f"{cluster.nodes[0].name} was killed when {ended(experiment, *nodes)} runs had ended")
        table.row("exit status of the first command", 0, status_of(first))
        tell(f"the first command took {time.monotonic() - began:.0f} s")
        runs = ended(experiment, *nodes)
        table.row("exit status of the same command again", 0, status_of(start(driver, server, *words)))
        table.row("runs that it trained", 0, ended(experiment, *nodes) - runs)
        table.row("nodes that trained", len(nodes), sum(ended(experiment, node) > 0 for node in nodes))
        table.row("runs in the driver's folder", 0, ended(experiment, driver))
        table.row("SQLite stores anywhere", [], [str(p) for each in (driver, *nodes) for p in each.rglob("mlflow.db")])
        check_store(table, server, experiment, n_jobs, expected)
    check_passwords(table, processes, server, driver, cluster.session, *nodes)
    table.row("Ray's log files were there to look at", True, any(cluster.folder.rglob("raylet*.out")))
    return table


def by_submitit(
    folder: Path, server: Server, n_jobs: int, experiment: str, tell: Callable[[str], object] = print
) -> Table:
    """The sweep by submitit's processes on this machine, of which one is killed."""
    table, driver = Table(), folder / experiment
    with ProcessList(PASSWORD) as processes:
        expected = digests_done_here(folder / f"{experiment}-here", n_jobs)
        words = [*GRID, f"seed=range({n_jobs})", "hydra/launcher=submitit_local", f"tracking.experiment={experiment}"]
        began = time.monotonic()
        first = start(driver, server, *words)
        victim = wait_for(lambda: ended(experiment, driver) >= n_jobs // 4 and _job_process(driver), first)
        os.kill(victim, signal.SIGKILL)
        tell(f"a job was killed when {ended(experiment, driver)} runs had ended")
        table.row("exit status of the first command", 0, status_of(first))
        tell(f"the first command took {time.monotonic() - began:.0f} s")
        named = re.findall(r"lost: (seed=\d+): ", (driver / "err.txt").read_text())
        table.row("jobs told as lost by their names", 1, len(named))
        runs = ended(experiment, driver)
        table.row("exit status of the same command again", 0, status_of(start(driver, server, *words)))
        table.row("runs that it trained", 0, ended(experiment, driver) - runs)
        check_store(table, server, experiment, n_jobs, expected)
    check_passwords(table, processes, server, driver)
    table.row("submitit's files were there to look at", True, any(driver.glob("outputs/submitit/*/*.pkl")))
    return table


def _job_process(driver: Path) -> int | None:
    """A process of submitit that trains a job of the sweep in a folder now."""
    for path in driver.glob("outputs/runs/*/run.json"):
        with suppress(OSError, ValueError):
            if not (path.parent / "result.json").exists():
                pid = json.loads(json.loads(path.read_text())["owner"])["pid"]
                if "submitit" in Path(f"/proc/{pid}/cmdline").read_text():
                    return pid
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("launcher", choices=("ray", "submitit"))
    parser.add_argument("--jobs", type=int, default=48)
    parser.add_argument("--nodes", type=int, default=3)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nnexp-cluster-"))
    with ExitStack() as stack:
        server = stack.enter_context(Server(folder / "server", cache_seconds=60))
        print("the server is ready")
        if given.launcher == "ray":
            (folder / "home").mkdir()
            cluster = stack.enter_context(RayCluster(folder, given.nodes, hidden=folder / "home"))
            print(f"Ray of {given.nodes} nodes is ready")
            table = on_ray(cluster, server, given.jobs, "cluster")
        else:
            table = by_submitit(folder, server, given.jobs, "cluster")
    print(table)
    if table.wrong:
        sys.exit(f"{len(table.wrong)} wrong; what was left is in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
