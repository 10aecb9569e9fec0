"""Recovery: what crashes and lost connections left gets a true status, its reports and figures, and its store."""

from nnexp.recovery.closing import (
    TRAINER_KILLED,
    StillTrainingError,
    close,
    close_and_describe,
    close_lost,
    complete,
    remove_leftovers,
)
from nnexp.recovery.selection import Stores
from nnexp.recovery.sync import draw, recover, sync

__all__ = [
    "TRAINER_KILLED",
    "StillTrainingError",
    "Stores",
    "close",
    "close_and_describe",
    "close_lost",
    "complete",
    "draw",
    "recover",
    "remove_leftovers",
    "sync",
]
