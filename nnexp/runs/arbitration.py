"""Who does a job, and whose result counts, where many processes want it and any of them may die or stall at any time.

Two rules, pure functions of what the other runs of a key are. :func:`decide` says who trains, :func:`decide_end` whose
run becomes the finished one. What the others are is found out by an arbiter: :mod:`nnexp.runs.disk_arbiter` looks at
the directories while it holds a lock, :mod:`nnexp.tracking.store_arbiter` searches a store. They are asked in that
order; without a store the first one decides.

A store has no compare-and-swap: runs are made, tagged, ended, deleted and searched, each at once. Hence the order of
the steps. Every claimant makes its run first, as a bid, and then looks; so of two claimants at least one sees the
other. Bids with larger ids withdraw; the bid that nobody stands against is held. A claimant that stalls may still come
to train what another has taken over in the meantime, which costs time and nothing else, because of the second rule.

Every run says first that it is ending, and then looks; so of two that end at least one sees the other. A run that
stalled between the two could still finish later, when it has long been given up; it is fenced off first, by deleting
it: a store does not end a deleted run. So there is never a second finished run, whatever the order of steps, the clocks
and the stalls, and a judgement of liveness that is wrong costs time only.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

from nnexp.runs import provenance


class ClaimState(StrEnum):
    """What a run of the key is, as the others see it."""

    BID = "bid"
    HELD = "held"
    ENDING = "ending"
    FINISHED = "finished"


class Action(Enum):
    """What a process has to do next."""

    BID = "make a bid"
    WAIT = "look again later"
    TAKE = "train"
    LEAVE = "leave the job to the other run"
    FENCE = "delete the other run, which was given up"
    RETREAT = "take back that it is ending"
    FINISH = "finish"
    SUPERSEDE = "end as superseded by the other run"


class Verdict(StrEnum):
    """What came of a claim: the job is the claimant's own, or another run has finished it, or holds it."""

    MINE = "mine"
    FINISHED = "finished"
    HELD = "held"


@dataclass(frozen=True)
class Rival:
    """Another run of the key.

    Parameters
    ----------
    is_alive
        Whether its lease may be held still, as far as the observer can tell (:mod:`nnexp.runs.lease`).
    tags
        Its tags, by which its arithmetic is known.
    """

    run_id: str
    state: ClaimState
    is_alive: bool
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Decision:
    """An action, and the other run that it is about, if any."""

    action: Action
    rival: Rival | None = None


@dataclass(frozen=True)
class Claim:
    """A verdict, and the run that has the job by it."""

    verdict: Verdict
    run_id: str

    @property
    def is_mine(self) -> bool:
        """Whether the claimant is to train."""
        return self.verdict is Verdict.MINE


def decide(
    me: str | None, rivals: Iterable[Rival], resume: bool | str = True, tags: Mapping[str, str] | None = None
) -> Decision:
    """What a claimant does next.

    Parameters
    ----------
    me
        The id of its bid, None before it has made one.
    rivals
        All other runs of the key that are finished or not ended.
    resume
        Whether a finished run stands for the job; ``strict``: only one of the arithmetic of `tags`.
    tags
        Of the claimant's run; default: the arithmetic of this process.
    """
    rivals = list(rivals)
    if finished := _finished(rivals, resume, tags):
        return Decision(Action.LEAVE, finished)
    alive = [rival for rival in rivals if rival.is_alive]
    if holder := _first(alive, ClaimState.HELD, ClaimState.ENDING):
        return Decision(Action.LEAVE, holder)
    bids = [rival for rival in alive if rival.state is ClaimState.BID]
    if me is None:
        return Decision(Action.BID)
    if smaller := next((rival for rival in bids if rival.run_id < me), None):
        return Decision(Action.LEAVE, smaller)
    # Those with larger ids withdraw when they look, or were decided before this bid was made and become held.
    return Decision(Action.WAIT, bids[0]) if bids else Decision(Action.TAKE)


def decide_end(
    me: str, rivals: Iterable[Rival], resume: bool | str = True, tags: Mapping[str, str] | None = None
) -> Decision:
    """What a trained run does next, which has said that it is ending.

    Parameters
    ----------
    rivals
        All other runs of the key, those among them that others closed while they were ending.
    resume, tags
        As in :func:`decide`.
    """
    rivals = list(rivals)
    if finished := _finished(rivals, resume, tags):
        return Decision(Action.SUPERSEDE, finished)
    ending = [rival for rival in rivals if rival.state is ClaimState.ENDING]
    if given_up := next((rival for rival in ending if not rival.is_alive), None):
        return Decision(Action.FENCE, given_up)
    if smaller := next((rival for rival in ending if rival.run_id < me), None):
        return Decision(Action.RETREAT, smaller)
    return Decision(Action.WAIT, ending[0]) if ending else Decision(Action.FINISH)


def _first(rivals: Sequence[Rival], *states: ClaimState) -> Rival | None:
    return next((rival for rival in rivals if rival.state in states), None)


def _finished(rivals: Sequence[Rival], resume: bool | str, tags: Mapping[str, str] | None) -> Rival | None:
    return _first([rival for rival in rivals if provenance.is_reusable(resume, rival.tags, tags)], ClaimState.FINISHED)


def claim_of(decision: Decision, me: str) -> Claim | None:
    """What a decision says of the job; None while it is not decided."""
    if decision.action is Action.TAKE:
        return Claim(Verdict.MINE, me)
    if decision.action is not Action.LEAVE or decision.rival is None:
        return None
    is_finished = decision.rival.state is ClaimState.FINISHED
    return Claim(Verdict.FINISHED if is_finished else Verdict.HELD, decision.rival.run_id)


class UndecidedError(RuntimeError):
    """Another process neither decides nor dies; to be tried again later."""


class FencedError(RuntimeError):
    """The own run was given up by another process and deleted; what there is to keep goes into a new one."""


class Board(Protocol):
    """The runs of one key as one process sees and changes them, each step at once. Its own run is `me`."""

    me: str | None
    resume: bool | str
    tags: Mapping[str, str] | None

    def rivals(self, *, ending: bool) -> list[Rival]:
        """The other runs of the key that are finished or may be, for a claim or for the end of the own run."""
        ...

    def bid(self) -> None:
        """Make the own run."""

    def withdraw(self) -> None:
        """Delete the own run."""

    def mark(self, state: ClaimState) -> None:
        """Say of the own run in which state it is; a :class:`FencedError` where it is deleted."""

    def fence(self, rival: Rival) -> None:
        """Delete another run, so that it cannot end any more."""

    def finish(self) -> None:
        """End the own run as finished; a :class:`FencedError` where it is deleted."""

    def wait(self) -> None:
        """Let others go on."""


def claim(board: Board, *, patience: float) -> Claim:
    """Try to get the right to train.

    Raises
    ------
    UndecidedError
        If another claimant neither decides nor dies within `patience` seconds.
    FencedError
        If the own bid was given up and deleted in the meantime.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        decision = decide(board.me, board.rivals(ending=False), board.resume, board.tags)
        verdict = claim_of(decision, board.me or "")
        if verdict is None:
            board.bid() if decision.action is Action.BID else board.wait()
            continue
        if verdict.is_mine:
            board.mark(ClaimState.HELD)
        elif board.me is not None:
            board.withdraw()
        return verdict
    if board.me is not None:
        board.withdraw()
    raise UndecidedError(f"another claimant did not decide within {patience:g} s")


def end(board: Board, *, patience: float) -> str | None:
    """Finish the own run, unless another run of the key is finished: then give its id.

    Raises
    ------
    UndecidedError
        If another run that is ending neither finishes nor dies within `patience` seconds.
    FencedError
        If the own run was given up and deleted in the meantime.
    """
    deadline = time.monotonic() + patience
    is_marked = has_retreated = False
    while time.monotonic() < deadline:
        if not is_marked and not has_retreated:
            board.mark(ClaimState.ENDING)
            is_marked = True
        decision = decide_end(board.me or "", board.rivals(ending=True), board.resume, board.tags)
        if decision.rival is not None and decision.action is Action.SUPERSEDE:
            return decision.rival.run_id
        if decision.rival is not None and decision.action is Action.FENCE:
            board.fence(decision.rival)
            continue
        if decision.action is Action.FINISH and is_marked:
            board.finish()
            return None
        if decision.action is Action.FINISH:  # the one that it made way for is gone
            has_retreated = False
            continue
        if decision.action is Action.RETREAT and is_marked:
            board.mark(ClaimState.HELD)
            is_marked, has_retreated = False, True
        board.wait()
    raise UndecidedError("another run of the same key is being finished")
