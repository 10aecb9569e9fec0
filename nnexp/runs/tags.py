"""The tags of a run: their names, each typed here only, and the checks of those that come from a store.

Anybody may write any tag into a store; so each is checked once, where the run is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

from nnexp.runs.files import as_object

# Who the run is, and where.
UID = "nnexp.uid"  # its own id, made before any store knows it
KIND = "nnexp.kind"  # what a parent run is of, absent at all others
SWEEP_KIND, RERUN_KIND = "sweep", "rerun"
SWEEP = "nnexp.sweep"  # the id of the sweep that it belongs to
PARENT = "mlflow.parentRunId"
USER, COMMIT = "mlflow.user", "mlflow.source.git.commit"
SOURCE = {"mlflow.source.name": "nnexp", "mlflow.source.type": "LOCAL"}
TASK = "nnexp.task"  # absent at runs of the built-in network
DIRECTORY = "nnexp.directory"  # its run directory
VERSION = "nnexp.version"  # of nnexp
SEAL = "nnexp.seal"  # of its config, see nnexp.runs.seals
RUN_KEY, CONFIG_HASH = "nnexp.run_key", "nnexp.config_hash"  # see nnexp.runs.identity
DATA_DIGEST, CODE_DIGEST = "nnexp.data_digest", "nnexp.code_digest"
KERNEL, NUMPY, SCIPY = "nnexp.blas_kernel", "nnexp.numpy", "nnexp.scipy"  # see nnexp.runs.provenance

# Who holds it, and how it ended.
OWNER = "nnexp.owner"  # the process, see nnexp.runs.lease
HEARTBEAT, HEARTBEAT_EVERY = "nnexp.heartbeat", "nnexp.heartbeat_every"  # its last sign of life; seconds between two
CLAIM = "nnexp.claim"  # a ClaimState of nnexp.runs.arbitration, or SUPERSEDED
SUPERSEDED = "superseded"
STATUS_MESSAGE = "nnexp.status_message"
REQUEST = "nnexp.request"  # tells whether a server got one request twice
COPIED_FROM = "nnexp.copied_from"  # the id in the store that the run was made for

# Of a rerun.
RERUN_OF, CHECK, CHANGED = "nnexp.rerun_of", "nnexp.check", "nnexp.changed"

# Of the parent run of a sweep.
SWEPT, BEST = "nnexp.swept", "nnexp.best"
JOBS = "nnexp.jobs."  # and what is counted
PLANNED, ELSEWHERE = f"{JOBS}planned", f"{JOBS}elsewhere"

LONGEST_NAME = 200  # characters of a name that is a folder's too

Check = Callable[[str], bool]


def is_file_name(text: str) -> bool:
    """Whether a text is the name of a file or a folder and not a path that leads elsewhere."""
    is_short = 0 < len(text.encode()) <= LONGEST_NAME
    return is_short and text.isprintable() and not text.startswith(".") and not set(text) & set("/\\")


def is_path(text: str) -> bool:
    """Whether the operating system could take a text for a path."""
    return bool(text) and "\0" not in text


def is_count(text: str) -> bool:
    """Whether a text is a whole number, not below 0."""
    return text.isascii() and text.isdigit() and len(text) < 16


def is_time(text: str) -> bool:
    """Whether a text is a number of seconds, not below 0."""
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


def is_interval(text: str) -> bool:
    """Whether a text is a number of seconds above 0."""
    return is_time(text) and float(text) > 0


def is_owner(text: str) -> bool:
    """Whether a text is the record of a process, as :func:`nnexp.runs.lease.owner` makes them."""
    try:
        record = as_object(json.loads(text))
    except (ValueError, RecursionError):
        return False
    return (
        record is not None
        and isinstance(record.get("machine"), str)
        and type(record.get("pid")) is int
        and isinstance(record.get("start"), str | None)
    )


CHECKS: Mapping[str, Check] = {  # what a tag must be to be believed
    SWEEP: is_file_name,
    OWNER: is_owner,
    HEARTBEAT: is_time,
    HEARTBEAT_EVERY: is_interval,
    DIRECTORY: is_path,
    PLANNED: is_count,
    ELSEWHERE: is_count,
}


def checked(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags without those that are not what they should be; the run is as if it had none of them."""
    return {key: value for key, value in tags.items() if key not in CHECKS or CHECKS[key](value)}


def equals(key: str, value: str) -> str:
    """The MLflow filter of runs whose tag has a value.

    MLflow's filters have no escape for a quote; a value with both kinds is looked for with a wildcard, so that what is
    found is to be compared again.
    """
    quote = next((quote for quote in "'\"" if quote not in value), None)
    if quote is None:
        return f"tags.`{key}` LIKE '{value.replace(chr(39), '_')}'"
    return f"tags.`{key}` = {quote}{value}{quote}"
