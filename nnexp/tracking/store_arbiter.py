"""The runs of a key in the tracking store, and who gets a job, finishes it, or makes a run that is to be there once.

The rules are those of :mod:`nnexp.runs.arbitration`; who holds a run says its lease (:mod:`nnexp.runs.lease`), whose
beat is a tag here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from nnexp.runs import arbitration, lease
from nnexp.runs.arbitration import Claim, ClaimState, FencedError, Rival, UndecidedError, Verdict
from nnexp.runs.records import RunRecord, RunStatus
from nnexp.runs.tags import CLAIM, HEARTBEAT, HEARTBEAT_EVERY, OWNER, RUN_KEY, UID
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store
from nnexp.tracking.stored_run import StoredRun
from nnexp.tracking.transaction import runs_tagged, together

POLL_SECONDS = 0.1
CLAIM_SECONDS = 30.0  # to wait for another claimant that neither decides nor dies
END_SECONDS = 5.0  # to wait for another run of the key that is being finished at the same time
HEARTBEAT_SECONDS = 10.0  # between two of a run that does not say

Create = Callable[[ClaimState], str]  # makes the own run in a state, and gives its id
Close = Callable[[Store, StoredRun], StoredRun]  # gives the run of a process that is gone a true status


def claim(store: Store, record: RunRecord, *, create: Create, close: Close) -> Claim:
    """Try to get the job of a run's key; runs of the key whose processes are gone are closed.

    Raises
    ------
    StoreError
        If another claimant neither decides nor dies.
    """
    board = JobBoard(
        store,
        record.run_key or "",
        record.uid,
        create=create,
        close=close,
        look=lambda: runs_tagged(store.client, RUN_KEY, record.run_key or ""),
        resume=record.tracking.resume,
        tags=record.tags,
    )
    try:
        return arbitration.claim(board, patience=CLAIM_SECONDS)
    except (UndecidedError, FencedError) as error:
        raise StoreError(f"{record.run_key}: {error}") from None


def end(
    store: Store, record: RunRecord, run_id: str, ended: float, first: Callable[[], None] | None = None
) -> str | None:
    """End a trained run as finished, unless another run of its key is finished: then give the id of that.

    `first` is done before it is said to be ending, in the same transaction where there can be one.

    Raises
    ------
    StoreError
        If another run that is ending neither finishes nor dies, or the own one was deleted in the meantime.
    """
    board = JobBoard(
        store,
        record.run_key or "",
        record.uid,
        me=run_id,
        ended=ended,
        resume=record.tracking.resume,
        tags=record.tags,
        look=lambda: runs_tagged(store.client, RUN_KEY, record.run_key or ""),
        first=first,
    )
    try:
        return arbitration.end(board, patience=END_SECONDS)
    except (UndecidedError, FencedError) as error:
        raise StoreError(str(error)) from error


def obtain(store: Store, uid: str, create: Create) -> str:
    """The one run of `uid`, which is made by `create(ClaimState.BID)` where it is missing; all who ask get the same id.

    Raises
    ------
    StoreError
        If another process that makes it neither decides nor dies.
    """
    return obtain_on(UniqueBoard(store, uid, create))


def obtain_on(board: UniqueBoard) -> str:
    """The one run of a board, as :func:`obtain` gives it."""
    deadline = time.monotonic() + CLAIM_SECONDS
    while time.monotonic() < deadline:
        try:
            # Where there is a bid already its maker decides; another bid beside it would be made in vain.
            if not any(rival.state is ClaimState.BID for rival in board.rivals(ending=False)):
                made = arbitration.claim(board, patience=CLAIM_SECONDS)
                if made.verdict is not Verdict.HELD:
                    return made.run_id
        except UndecidedError:
            break
        except FencedError:  # this process stalled, and another took it for dead; that one makes the run
            board.me = None
        board.wait()
    raise StoreError(f"another process that makes the run {board.uid} did not decide within {CLAIM_SECONDS:g} s")


class StoreBoard:
    """Runs in a store, for the process whose own one is `me`.

    Parameters
    ----------
    ended
        When the own run ended, seconds since the epoch.
    lost
        Whether the process that holds a run is gone; default: :func:`is_lost`.
    """

    def __init__(
        self,
        store: Store,
        *,
        me: str | None = None,
        create: Create | None = None,
        ended: float | None = None,
        lost: Callable[[StoredRun], bool] | None = None,
        resume: bool | str = True,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.store, self.me, self.resume, self.tags = store, me, resume, tags
        self._create, self._ended, self._is_lost = create, ended, lost or is_lost

    def bid(self) -> None:
        """Make the own run."""
        if self._create is not None:
            self.me = self._create(ClaimState.BID)

    def withdraw(self) -> None:
        """Delete the own run."""
        self.store.delete(self._mine)
        self.me = None

    def mark(self, state: ClaimState) -> None:
        """Say of the own run in which state it is."""
        self._change(lambda: self._mark(self._mine, state))

    def _mark(self, run_id: str, state: ClaimState) -> None:
        self.store.tag(run_id, {CLAIM: state.value})

    def fence(self, rival: Rival) -> None:
        """Delete another run, which cannot be ended then."""
        self.store.delete(rival.run_id)

    def finish(self) -> None:
        """End the own run as finished."""
        self._change(lambda: self.store.terminate(self._mine, RunStatus.FINISHED, self._ended))

    def wait(self) -> None:
        """Let others go on."""
        time.sleep(POLL_SECONDS)

    def _change(self, change: Callable[[], None]) -> None:
        """Change the own run; MLflow refuses to where it is deleted, with an error that does not say so."""
        try:
            change()
        except Exception as error:
            run = self.store.get(self._mine)
            if run is None or run.deleted:
                raise FencedError("its run was given up by another process, and deleted") from error
            raise

    @property
    def _mine(self) -> str:
        if self.me is None:
            raise ValueError("the run has not been made")
        return self.me


class JobBoard(StoreBoard):
    """The runs of one key, for the process that has the run `uid`.

    Parameters
    ----------
    close
        Gives the run of a process that is gone a true status.
    look
        Gives the ids of at least all that :meth:`rivals` would find, at less cost; None where it cannot.
    first
        What is done in the transaction in which a state is marked; it may be done again.
    """

    def __init__(
        self,
        store: Store,
        run_key: str,
        uid: str,
        *,
        close: Close = lambda store, run: run,
        look: Callable[[], set[str] | None] = lambda: None,
        first: Callable[[], None] | None = None,
        **settings,
    ) -> None:
        super().__init__(store, **settings)
        self.run_key, self.uid, self._close = run_key, uid, close
        self._look, self._first = look, first
        self._made: str | None = None  # the own run, where an earlier attempt has made it

    def _mark(self, run_id: str, state: ClaimState) -> None:
        def work() -> None:
            if self._first is not None:
                self._first()
            super(JobBoard, self)._mark(run_id, state)

        work() if self._first is None else together(self.store.client, work)

    def bid(self) -> None:
        """Make the own run, unless it is there; the rivals were looked at before, and so was this."""
        self.me = self._made
        if self.me is None:
            super().bid()

    def rivals(self, *, ending: bool) -> list[Rival]:
        """The other runs of the key. Those of the dead are closed, unless one only asks who is `ending`."""
        found, self._made = [], None
        there = self._look()
        if there is not None and there <= {self.me}:
            return []
        for run in self.store.tagged(RUN_KEY, self.run_key):
            if run.tags.get(UID) == self.uid or run.run_id == self.me:
                if self.me not in (None, run.run_id) and run.status == RunStatus.RUNNING and not run.metrics:
                    self.store.delete(run.run_id)  # made by a request that was sent twice
                    continue
                self._made = min(self._made or run.run_id, run.run_id)
                continue
            if run.status == RunStatus.RUNNING and not ending:
                run = self._close(self.store, run)
            if run.deleted:
                continue  # withdrawn in the meantime
            state = _state(run)
            is_open = run.status == RunStatus.RUNNING
            if state is ClaimState.FINISHED or is_open or (ending and state is ClaimState.ENDING):
                found.append(Rival(run.run_id, state, is_open and not self._is_lost(run), run.tags))
        return found


class UniqueBoard(StoreBoard):
    """The runs of one `uid`, of which there is to be one: a bid that is held is the run, for good and for all."""

    def __init__(self, store: Store, uid: str, create: Create, **settings) -> None:
        super().__init__(store, create=create, **settings)
        self.uid = uid

    def rivals(self, *, ending: bool) -> list[Rival]:
        """The other runs of the id. Bids of the dead, which would stand beside the one run for ever, are deleted.

        So are closed ones: who may not delete runs withdraws by that (:meth:`Store.delete`), and decides no more.
        """
        found = []
        for run in sorted(self.store.tagged(UID, self.uid), key=lambda run: run.run_id):
            if run.run_id == self.me:
                continue
            if run.tags.get(CLAIM) != ClaimState.BID:
                found.append(Rival(run.run_id, ClaimState.FINISHED, is_alive=True))
            elif run.status != RunStatus.RUNNING or self._is_lost(run):
                self.store.delete(run.run_id)
            else:
                found.append(Rival(run.run_id, ClaimState.BID, is_alive=True))
        return found


def _state(run: StoredRun) -> ClaimState:
    if run.status == RunStatus.FINISHED:
        return ClaimState.FINISHED
    try:
        return ClaimState(run.tags.get(CLAIM, ClaimState.HELD))
    except ValueError:
        return ClaimState.HELD


def kill(store: Store, run: StoredRun, reason: str) -> StoredRun:
    """Close the run of a process that is gone, unless it was ended or withdrawn since it was looked at."""
    now = store.get(run.run_id) or run
    if now.deleted or now.status != RunStatus.RUNNING:
        return now
    try:
        store.terminate(run.run_id, RunStatus.KILLED, message=reason)
    except Exception:
        now = store.get(run.run_id) or run
        if not now.deleted:  # deleted between the two calls, which MLflow tells by an error like any other
            raise
        return now
    return store.get(run.run_id) or now


def is_lost(run: StoredRun) -> bool:
    """Whether the process that holds a run is gone."""
    return lost_reason(run) is not None


def lost_reason(run: StoredRun) -> str | None:
    """Why the process that holds a run must be gone; None while it may be there."""
    heartbeat = float(run.tags.get(HEARTBEAT_EVERY, HEARTBEAT_SECONDS))  # checked where the run was read
    return lease.lost_reason(run.run_id, run.tags.get(OWNER), run.tags.get(HEARTBEAT), heartbeat)
