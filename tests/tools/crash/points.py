"""The points at which a command is killed, and what is done at each."""

import json
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.tools import preloaded
from tests.tools.crash.invariants import Held, look, violations
from tests.tools.crash.killpoints import ROLES, Kill, install, processes_of, trace_of
from tests.tools.mlflow_server import MlflowServer
from tests.tools.waiting import HANGING

TINY = ("experiment=smoke", "optimizer.maxfun=3", "model.hidden_size=3")
SWEEP = ("-m", *TINY, "seed=0,1")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
JOBS, LONGEST_PAUSE = 8, 6.0  # of a sweep that is killed at random, and seconds between two kills
MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Scenario:
    """A command, and whether it finds a store."""

    words: tuple[str, ...]
    has_store: bool = True
    on_server: bool = False

    @property
    def is_sweep(self) -> bool:
        return "-m" in self.words


SCENARIOS = {
    "run": Scenario((*TINY, "seed=0")),
    "sweep": Scenario(SWEEP),
    "joblib": Scenario((*SWEEP, *JOBLIB)),
    "run-new": Scenario((*TINY, "seed=0"), has_store=False),
    "sweep-new": Scenario(SWEEP, has_store=False),
    "joblib-new": Scenario((*SWEEP, *JOBLIB), has_store=False),
    "server": Scenario(SWEEP, on_server=True),
}


@dataclass(frozen=True)
class Point:
    """One kill of one scenario."""

    number: int
    scenario: str
    kill: Kill

    def __str__(self) -> str:
        return f"point {self.number}: {self.scenario}, {self.kill}"


@dataclass(frozen=True)
class RandomKills:
    """How often a sweep is to be killed at random moments."""

    number: int
    seed: int
    kills: int

    def __str__(self) -> str:
        return f"sweep {self.number} of seed {self.seed}, killed {self.kills} times"


class Place:
    """A working folder, its temporary folder, and the record of what its processes did."""

    def __init__(self, base: Path, name: str) -> None:
        self.top, self.traces = base / name, base / f"{name}.traces"
        self.work, self.temporary = self.top / "work", self.top / "tmp"
        shutil.rmtree(self.top, ignore_errors=True)
        for folder in (self.work, self.temporary, self.traces):
            folder.mkdir(parents=True, exist_ok=True)

    def command(self, words: Sequence[str], kill: Kill = Kill()) -> "Command":  # noqa: B008
        for path in self.traces.iterdir():
            if path.name != ROLES and not path.name.startswith("stacks"):
                path.unlink()
        return Command(self, words, kill)

    def roles(self) -> dict[int, str]:
        """What the processes are or were that ran here, by their ids."""
        path = self.traces / ROLES
        lines = path.read_text().splitlines() if path.exists() else []
        return {int(pid): role for role, _, pid in (line.partition(" ") for line in lines)}

    def remove(self) -> None:
        for pid in self.roles():  # joblib's semaphores, where its own process that removes them was killed too
            for path in MEMORY.glob(f"sem.loky-{pid}-*"):
                path.unlink(missing_ok=True)
        shutil.rmtree(self.top, ignore_errors=True)
        shutil.rmtree(self.traces, ignore_errors=True)


class Command:
    """`nnexp WORDS` as a process that has begun."""

    def __init__(self, place: Place, words: Sequence[str], kill: Kill) -> None:
        self.place = place

        def enter() -> None:
            os.setsid()
            os.chdir(place.work)
            for name in ("TMPDIR", "JOBLIB_TEMP_FOLDER"):
                os.environ[name] = str(place.temporary)
            tempfile.tempdir = None
            with open(os.devnull) as nothing, open(place.traces / "stdout", "a") as out:
                with open(place.traces / "stderr", "a") as err:
                    for number, stream in enumerate((nothing, out, err)):
                        os.dup2(stream.fileno(), number)

        def begin(role: str) -> None:
            install(place.top, place.traces, role, kill)

        self.pid = preloaded.start(["-m", "nnexp", *words], enter, begin)
        self.status: int | None = None

    def wait(self, seconds: float = HANGING) -> int | None:
        """The exit status, negative for a signal; None where it does not end in time."""
        deadline = time.monotonic() + seconds
        while self.status is None and time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.02)
        if self.status is None and seconds == HANGING:
            self.tell_where_it_hangs()
        return self.status

    def tell_where_it_hangs(self) -> None:
        """Have the stacks of all its processes among its traces."""
        for pid in processes_of(self.place.top):
            if pid in self.place.roles():  # the others have no handler for it
                os.kill(pid, signal.SIGUSR1)
        time.sleep(0.5)

    @property
    def said(self) -> str:
        """The end of what it wrote as errors."""
        return (self.place.traces / "stderr").read_text()[-1500:]


def wait_until_gone(place: Place, seconds: float = HANGING) -> list[int]:
    """Wait for all processes of a place to end; the ones that do not."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(place.top)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def kill_all(place: Place) -> None:
    while left := processes_of(place.top):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


class Bench:
    """A folder in memory where points are tried, some at a time."""

    def __init__(self, jobs: int, *, keep: bool) -> None:
        self.jobs, self.keep = jobs, keep
        self.base = Path(tempfile.mkdtemp(prefix="nnexp-crash-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
        (self.base / "data").mkdir()
        self._references: dict[str, Held] = {}
        self._server: MlflowServer | None = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._server is not None:
            self._server.kill()
        if not self.keep:
            shutil.rmtree(self.base, ignore_errors=True)

    # What an unbroken command does.

    def points(self, scenarios: Sequence[str], roles: Sequence[str] | None, victims: str | None) -> list[Point]:
        """Every kill of the scenarios, as an unbroken command of each shows the operations."""
        kills = []
        for name in scenarios:
            traces = self._reference(name)
            for role, trace in traces.items():
                print(f"{name}: {role} does {len(trace)} operations", flush=True)
                for who in ("self", "all"):
                    kills += [(name, Kill(role, k, who)) for k in range(1, len(trace) + 1)]
        points = [Point(i, name, kill) for i, (name, kill) in enumerate(kills)]
        return [p for p in points if (not roles or p.kill.role in roles) and victims in (None, p.kill.victims)]

    def _reference(self, name: str) -> dict[str, list[str]]:
        if SCENARIOS[name].on_server:
            self._server = MlflowServer(self.base / "server").start()
        place = self._place(name, f"reference-{name}")
        command = place.command(self._words(SCENARIOS[name], place))
        if command.wait() != 0 or wait_until_gone(place):
            kill_all(place)
            raise RuntimeError(f"the unbroken command failed ({command.status}): {command.said}")
        self._references[name] = held = self._look(SCENARIOS[name], place)
        if problems := violations(held, held, is_sweep=SCENARIOS[name].is_sweep):
            raise RuntimeError(f"the unbroken command leaves {problems}")
        return {role: trace for role in preloaded.SPARES if (trace := trace_of(place.traces, role))}

    def _words(self, scenario: Scenario, place: Place) -> tuple[str, ...]:
        """The command; on the server, which all points share, each place has an experiment of its own."""
        if self._server is None or not scenario.on_server:
            return scenario.words
        return (*scenario.words, f"tracking.uri={self._server.uri}", f"tracking.experiment={place.top.name}")

    def _look(self, scenario: Scenario, place: Place) -> Held:
        if self._server is None or not scenario.on_server:
            return look(place.work)
        return look(place.work, place.top.name, self._server.folder / "mlflow.db")

    def _place(self, scenario: str, name: str) -> Place:
        place = Place(self.base, name)
        if SCENARIOS[scenario].has_store:
            (place.work / "data").symlink_to(self.base / "data")
        if SCENARIOS[scenario].has_store and not SCENARIOS[scenario].on_server:
            (place.work / "outputs").mkdir()
            shutil.copy(self._empty_store(), place.work / "outputs/mlflow.db")
        return place

    def _empty_store(self) -> Path:
        path = self.base / "empty.db"
        if not path.exists():
            pid = os.fork()
            if pid == 0:
                from mlflow import MlflowClient

                MlflowClient(f"sqlite:///{self.base}/first.db").search_experiments()
                with closing(sqlite3.connect(self.base / "first.db")) as first:
                    with closing(sqlite3.connect(path)) as copy:
                        first.backup(copy)
                os._exit(0)
            os.waitpid(pid, 0)
        return path

    # What is done at a point.

    def try_point(self, point: Point) -> list[str]:
        """Kill, give the same command again, and say what does not hold."""
        scenario = SCENARIOS[point.scenario]
        place = self._place(point.scenario, f"point-{point.number}")
        found: list[str] = []
        first = place.command(self._words(scenario, place), point.kill)
        if first.wait() is None:
            found.append(f"the killed command did not end: {first.said}")
        trace = trace_of(place.traces, point.kill.role)
        at = trace[point.kill.number - 1] if len(trace) >= point.kill.number else "not reached"
        if at == "not reached":  # operations of threads and timers differ a little from run to run
            with open(self.base / "not-reached", "a") as file:
                file.write(f"{point}\n")
        if point.kill.role == "companion" and point.kill.victims == "self" and first.status not in (0, 4):
            found.append(f"the command whose companion was killed ended {first.status}: {first.said}")
        if point.number % 2:  # half of the times the same command comes while the survivors are still at it
            wait_until_gone(place)
        found += self._finish(place, scenario, self._references[point.scenario])
        return [f"[{at}] {line}" for line in found]

    def _finish(self, place: Place, scenario: Scenario, reference: Held) -> list[str]:
        """Give the same command again and say what does not hold."""
        found = []
        again = place.command(self._words(scenario, place))
        if again.wait() != 0:
            found.append(f"the same command ended {again.status}: {again.said}")
        if left := wait_until_gone(place):
            roles = place.roles()
            found.append(f"processes are left: {sorted(roles.get(pid, 'spare') for pid in left)}")
            again.tell_where_it_hangs()
            kill_all(place)
        try:
            found += violations(self._look(scenario, place), reference, is_sweep=scenario.is_sweep)
        except Exception as error:
            found.append(f"it cannot be looked at: {type(error).__name__}: {error}")
        if not (self.keep and found):
            place.remove()
        return found

    def each(self, points: Sequence[Point]) -> tuple[int, int]:
        """Try all points; how many were tried, and how many of them have violations."""
        done, bad = self._share(points, self.try_point)
        if (path := self.base / "not-reached").exists():
            print(f"{len(path.read_text().splitlines())} points came after the last operation of their command")
        return done, bad

    def _share(self, items: Sequence, work: Callable[[object], list[str]]) -> tuple[int, int]:
        """Do what there is to do in some processes, which each take the next as they can."""
        todo_out, todo_in = os.pipe()
        result_out, result_in = os.pipe()
        for _ in range(min(self.jobs, len(items))):
            if os.fork() == 0:
                status = 1
                try:
                    os.close(todo_in)
                    os.close(result_out)
                    while number := os.read(todo_out, 4):
                        index = int.from_bytes(number, "big")
                        line = json.dumps([index, work(items[index])]) + "\n"
                        with open(self.base / f"said-{index}", "w") as said:
                            said.write(line)
                        os.write(result_in, f"{index}\n".encode())
                    status = 0
                finally:
                    os._exit(status)
        os.close(todo_out)
        os.close(result_in)
        for index in range(len(items)):
            os.write(todo_in, index.to_bytes(4, "big"))
        os.close(todo_in)
        done = bad = 0
        with os.fdopen(result_out) as results:
            for text in results:
                index, found = json.loads((self.base / f"said-{int(text)}").read_text())
                done, bad = done + 1, bad + bool(found)
                for line in found:
                    print(f"VIOLATION {items[index]}: {line}", flush=True)
                if done % 20 == 0 or done == len(items):
                    print(f"{done} of {len(items)} tried, {bad} with violations; last {items[index]}", flush=True)
        for _ in range(min(self.jobs, len(items))):
            os.wait()
        if done < len(items):
            bad += 1
            print(f"VIOLATION: only {done} of {len(items)} came to an end", flush=True)
        return done, bad

    # Random moments.

    def at_random(self, kills: int, sweeps: int, seed: int) -> tuple[int, int]:
        """Kill sweeps at random moments, each several times, and have the same command finish them."""
        SCENARIOS["random"] = Scenario(("-m", *TINY, f"seed=range({JOBS})", *JOBLIB), has_store=False)
        self._reference("random")
        share = [kills // sweeps + (i < kills % sweeps) for i in range(sweeps)]
        plans = [RandomKills(i, seed, n) for i, n in enumerate(share)]
        done, bad = self._share(plans, self._random_sweep)
        print(f"{kills} kills over {done} sweeps", flush=True)
        return done, bad

    def _random_sweep(self, plan: "RandomKills") -> list[str]:
        scenario, place = SCENARIOS["random"], self._place("random", f"random-{plan.number}")
        rng = random.Random(f"{plan.seed}/{plan.number}")
        command = place.command(scenario.words)
        left = plan.kills
        while left:
            victim = rng.choice(("parent", "worker", "companion", "all"))
            if command.wait(rng.uniform(0.0, LONGEST_PAUSE)) is not None:
                command = place.command(scenario.words)  # it was killed, or has finished
            while not (chosen := self._victims(place, victim)) and command.wait(0.02) is None:
                pass
            if chosen:
                left -= 1
                for pid in chosen if victim in ("all", "parent") else [rng.choice(chosen)]:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        if command.wait() is None:
            return [f"it did not end: {command.said}"]
        return self._finish(place, scenario, self._references["random"])

    def _victims(self, place: Place, victim: str) -> list[int]:
        """Who of the processes of a place is meant."""
        if victim == "all":
            return processes_of(place.top)
        roles = place.roles()
        return [pid for pid in processes_of(place.top) if roles.get(pid) == victim]
