"""Every order in which the steps of several processes can happen, with deaths and wrong judgements of liveness.

A process is a plain function in a greenlet that hands over before each operation on the store. What happens next is a
choice; an execution is the list of its choices, and :func:`explore` goes through all that lead to a state which has not
been seen. A process is deterministic, so that what the store has answered it is all of its state.
"""

from dataclasses import dataclass, field, replace

import greenlet

from nnexp.runs import arbitration
from nnexp.runs.arbitration import ClaimState, FencedError, Verdict
from nnexp.runs.tags import CLAIM, RUN_KEY, SUPERSEDED, UID
from nnexp.tracking.store_arbiter import JobBoard, UniqueBoard, kill, obtain_on
from nnexp.tracking.stored_run import StoredRun

KEY = "key"


class ViolationError(AssertionError):
    """An execution that must not be."""


class MemoryStore:
    """Runs as MLflow keeps them: a deleted one is not found, and can be neither tagged nor ended."""

    def __init__(self):
        self.runs = {}

    def create(self, name, start, tags):
        run_id = f"{name}{len(self.runs)}"  # so that the first to bid has the smaller id in some orders only
        self.runs[run_id] = StoredRun(run_id, name, "RUNNING", start, None, dict(tags), {}, {}, "", "0")
        return run_id

    def _active(self, run_id):
        if self.runs[run_id].deleted:
            raise ValueError("must be in the 'active' state")
        return self.runs[run_id]

    def tagged(self, key, value):
        return [run for run in self.search() if run.tags.get(key) == value]

    def search(self):
        return [run for run in self.runs.values() if not run.deleted]

    def get(self, run_id):
        return self.runs.get(run_id)

    def tag(self, run_id, tags):
        run = self._active(run_id)
        self.runs[run_id] = replace(run, tags={**run.tags, **tags})

    def terminate(self, run_id, status, end=None, message=None):
        self.runs[run_id] = replace(self._active(run_id), status=status)

    def delete(self, run_id):
        self.runs[run_id] = replace(self.runs[run_id], deleted=True)

    def state(self):
        return tuple((i, run.name, run.status, run.tags.get(CLAIM), run.deleted) for i, run in self.runs.items())


READS = ("tagged", "get")


class Steps:
    """A store as one process uses it: each operation is a step, before which others may go on."""

    def __init__(self, store, process):
        self._store, self._process = store, process

    def __getattr__(self, name):
        operation = getattr(self._store, name)

        def step(*args, **kwargs):
            self._process.hand_over("step")
            try:
                result = operation(*args, **kwargs)
            except Exception as error:
                self._process.seen.append((name, type(error).__name__))
                raise
            finally:
                if name not in READS:
                    self._process.world.tell_others(self._process)
            if name == "tagged":
                self._process.has_news = False
            seen = tuple((r.run_id, r.status, r.tags.get(CLAIM)) for r in result) if name == "tagged" else str(result)
            self._process.seen.append((name, seen if name != "get" else (result.status, result.deleted)))
            return result

        return step


@dataclass
class Process:
    """One that wants the job: it claims, trains and ends, as often as it takes."""

    name: str
    world: "World"
    seen: list = field(default_factory=list)
    is_dead: bool = False
    outcome: str | None = None
    is_waiting: bool = False
    has_news: bool = False  # whether others have changed something since it looked

    def __post_init__(self):
        self.thread = greenlet.greenlet(self._work)

    def hand_over(self, what):
        self.world.scheduler.switch(what)

    def wait(self):
        self.is_waiting = True
        self.hand_over("wait")
        self.is_waiting = False

    @property
    def can_go_on(self):
        if self.is_dead or self.outcome is not None:
            return False
        return self.has_news or not self.is_waiting

    def lost(self, run):
        """Whether it takes a holder for dead: the dead always, and the living as often as it may be wrong."""
        holder = self.world.holder(run)
        lost = holder.is_dead or self.world.choose_lie()
        self.seen.append(("lost", run.run_id, lost))
        return lost

    def close(self, store, run):
        return kill(store, run, "lost") if self.lost(run) else run

    def board(self, store, attempt, me=None):
        uid = f"{self.name}{attempt}"
        tags = {RUN_KEY: KEY, UID: uid, CLAIM: ClaimState.BID}
        board = JobBoard(store, KEY, uid, me=me, create=lambda state: store.create(self.name, 0.0, tags),
                           close=self.close, lost=self.lost)  # fmt: skip
        board.wait = self.wait
        return board

    def _work(self, _=None):
        store, attempt = Steps(self.world.store, self), 0
        while self.outcome is None:
            attempt += 1
            board = self.board(store, attempt)
            claim = arbitration.claim(board, patience=float("inf"))
            if claim.verdict == Verdict.FINISHED:
                self.outcome = "left"
            elif claim.verdict == Verdict.MINE:
                self._end(store, board)
            else:
                self.wait()
        return "done"

    def _end(self, store, board):
        while self.outcome is None:
            try:
                if arbitration.end(board, patience=float("inf")) is None:
                    self.outcome = "finished"
                else:
                    store.tag(board.me, {CLAIM: SUPERSEDED})
                    store.terminate(board.me, "KILLED")
                    self.outcome = "superseded"
            except (FencedError, ValueError):  # its run was deleted: what there is goes into a new one
                tags = {RUN_KEY: KEY, UID: board.uid, CLAIM: ClaimState.HELD}
                board.me = store.create(self.name, 0.0, tags)


class Maker(Process):
    """One that wants the one run of an id, which several make at the same time."""

    def _work(self, _=None):
        store = Steps(self.world.store, self)
        board = UniqueBoard(store, KEY, lambda state: store.create(self.name, 0.0, {UID: KEY, CLAIM: state}),
                            lost=self.lost)  # fmt: skip
        board.wait = self.wait
        self.outcome = obtain_on(board)
        return "done"


class World:
    """One execution: the choices that are given, and then the first of each."""

    def __init__(self, store, names, choices=(), *, deaths=0, lies=0, actor=Process):
        self.store, self.choices, self.taken, self.open = store, list(choices), [], []
        self.deaths, self.lies, self.processes = deaths, lies, []
        self.scheduler = greenlet.getcurrent()
        self.processes = [actor(name, self) for name in names]
        for process in self.processes:
            process.thread.switch()  # to its first operation

    def tell_others(self, process):
        """Wake those that wait: one of them has changed something, or is dead."""
        for other in self.processes:
            other.has_news |= other is not process

    def holder(self, run):
        return next(process for process in self.processes if process.name == run.name)

    def choose(self, options):
        """The next given choice, else the first option; what else there was is noted."""
        index = self.choices[len(self.taken)] % len(options) if len(self.taken) < len(self.choices) else 0
        self.open.append(len(options))
        self.taken.append(index)
        return options[index]

    def choose_lie(self):
        if not self.lies:
            return False
        lie = self.choose([False, True])
        self.lies -= lie
        return lie

    def state(self):
        actors = tuple((tuple(p.seen), p.is_dead, p.outcome, p.has_news, p.is_waiting) for p in self.processes)
        return hash((self.store.state(), actors, self.deaths, self.lies))

    def run(self, is_known=lambda state: False):
        """Let the processes work until all are done or dead; say whether that was reached."""
        while able := [process for process in self.processes if process.can_go_on]:
            if len(self.taken) >= len(self.choices) and is_known(self.state()):
                return False
            options = [(process, False) for process in able]
            if self.deaths:
                options += [(process, True) for process in able]
            process, dies = self.choose(options)
            if dies:
                process.is_dead = True
                self.deaths -= 1
                self.tell_others(process)
            else:
                process.thread.switch()
            self.check()
        stuck = [process.name for process in self.processes if process.outcome is None and not process.is_dead]
        if stuck:
            raise ViolationError(f"{stuck} wait for ever: {self.store.state()}")
        return True

    def finished(self):
        return [run for run in self.store.search() if run.status == "FINISHED"]

    def check(self):
        if len(self.finished()) > 1:
            raise ViolationError(f"finished twice: {self.store.state()}")

    def start_again(self):
        """The same command once more, alone, when all is quiet: then the job is done."""
        for process in self.processes:
            process.is_dead = True
        late = Process("late", self)
        self.processes.append(late)
        late.thread.switch()
        self.lies = self.deaths = 0
        while late.can_go_on:
            late.thread.switch()
        self.check()
        if late.outcome is None or len(self.finished()) != 1:
            raise ViolationError(f"nobody has done it: {self.store.state()}")


def explore(names, *, deaths, lies, make_store=MemoryStore, limit=None):
    """Go through all executions; return how many there were and how many states they had."""
    known, stack, executions = set(), [()], 0

    def is_known(state):
        if state in known:
            return True
        known.add(state)
        return False

    while stack and (limit is None or executions < limit):
        prefix = stack.pop()
        world = World(make_store(), names, prefix, deaths=deaths, lies=lies)
        executions += 1
        if world.run(is_known):
            world.start_again()
        for place in range(len(prefix), len(world.taken)):
            stack += [(*world.taken[:place], other) for other in range(1, world.open[place])]
    return executions, len(known)
