"""The runs of one key in the tracking store, as one process sees and changes them."""

from __future__ import annotations

import time
from collections.abc import Callable

from nnexp.runs import lease
from nnexp.runs.arbitration import FencedError, Rival, State
from nnexp.runs.tags import CLAIM, HEARTBEAT, HEARTBEAT_EVERY, OWNER, RUN_KEY, UID
from nnexp.tracking.store import HELD, Store, StoredRun

LOOK_SECONDS = 0.1


class StoreBoard:
    """The runs of one key in a store, for the process that has the run `uid`.

    Parameters
    ----------
    create
        Makes the own run as a bid and returns its id.
    close
        Gives the run of a process that is gone a true status.
    end
        When the own run ended, seconds since the epoch.
    lost
        Whether the process that holds a run is gone; default: :func:`is_lost`.
    stands
        Whether a finished run stands for the job; default: each does.
    """

    def __init__(
        self,
        store: Store,
        run_key: str,
        uid: str,
        *,
        me: str | None = None,
        create: Callable[[], str] | None = None,
        close: Callable[[Store, StoredRun], StoredRun] | None = None,
        end: float | None = None,
        lost: Callable[[StoredRun], bool] | None = None,
        stands: Callable[[StoredRun], bool] = lambda run: True,
    ) -> None:
        self.store, self.run_key, self.uid, self.me = store, run_key, uid, me
        self._create, self._close, self._end = create, close, end
        self._is_lost, self._stands = lost or is_lost, stands

    def rivals(self, *, ending: bool) -> list[Rival]:
        """The other runs of the key. Those of the dead are closed, unless one only asks who is `ending`."""
        found = []
        for run in self.store.tagged(RUN_KEY, self.run_key):
            if run.tags.get(UID) == self.uid or run.run_id == self.me:
                continue
            if run.status == "RUNNING" and not ending and self._close is not None:
                run = self._close(self.store, run)
            if run.deleted:
                continue  # withdrawn in the meantime
            if run.status == "FINISHED" and not self._stands(run):
                continue
            state = _state(run)
            is_open = run.status == "RUNNING"
            if state is State.FINISHED or is_open or (ending and state is State.ENDING):
                found.append(Rival(run.run_id, state, is_alive=is_open and not self._is_lost(run)))
        return found

    def bid(self) -> None:
        """Make the own run."""
        if self._create is not None:
            self.me = self._create()

    def withdraw(self) -> None:
        """Delete the own run."""
        self.store.delete(self._mine)
        self.me = None

    def mark(self, state: State) -> None:
        """Say of the own run in which state it is."""
        self.store.tag(self._mine, {CLAIM: state.value})

    def fence(self, rival: Rival) -> None:
        """Delete another run, which cannot be ended then."""
        self.store.delete(rival.run_id)

    def finish(self) -> None:
        """End the own run as finished."""
        try:
            self.store.terminate(self._mine, "FINISHED", self._end)
        except Exception as error:
            run = self.store.get(self._mine)
            if run is None or run.deleted:
                raise FencedError("its run was given up by another process, and deleted") from error
            raise

    def wait(self) -> None:
        """Let others go on."""
        time.sleep(LOOK_SECONDS)

    @property
    def _mine(self) -> str:
        if self.me is None:
            raise ValueError("the run has not been made")
        return self.me


def _state(run: StoredRun) -> State:
    if run.status == "FINISHED":
        return State.FINISHED
    try:
        return State(run.tags.get(CLAIM, HELD))
    except ValueError:
        return State.HELD


def kill(store: Store, run: StoredRun, reason: str) -> StoredRun:
    """Close the run of a process that is gone, unless it was ended or withdrawn since it was looked at."""
    now = store.get(run.run_id) or run
    if now.deleted or now.status != "RUNNING":
        return now
    try:
        store.terminate(run.run_id, "KILLED", message=reason)
    except Exception:
        now = store.get(run.run_id) or run
        if not now.deleted:
            raise
        return now
    return store.get(run.run_id) or now


def is_lost(run: StoredRun) -> bool:
    """Whether the process that holds a run is gone."""
    return lost_reason(run) is not None


def lost_reason(run: StoredRun) -> str | None:
    """Why the process that holds a run must be gone; None while it may be there."""
    try:
        heartbeat = float(run.tags.get(HEARTBEAT_EVERY, 10.0))
    except ValueError:
        heartbeat = 10.0
    return lease.lost_reason(run.run_id, run.tags.get(OWNER), run.tags.get(HEARTBEAT), heartbeat)
