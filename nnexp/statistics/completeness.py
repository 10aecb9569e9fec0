"""Which settings can be ranked against each other: those that have every replicate that the others have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Replicate = TypeVar("Replicate", bound=Hashable)
LEAST_COMMON = 3


@dataclass(frozen=True)
class Completeness(Generic[Name, Replicate]):
    """The replicates over which settings are ranked, and what keeps others from being ranked.

    Attributes
    ----------
    common : frozenset of replicates
        Those that a setting must have; a setting's other replicates have no part in the ranking.
    missing : mapping of setting to frozenset of replicates
        Of the settings that are not ranked, what they lack. A seed on which a setting failed counts as lacking, so that
        one that crashes where it is hard does not win by it.
    """

    common: frozenset[Replicate]
    missing: Mapping[Name, frozenset[Replicate]]


def completeness(
    measured: Mapping[Name, Collection[Replicate]], failed: Mapping[Name, Collection[Replicate]] | None = None
) -> Completeness[Name, Replicate]:
    """Find the replicates that settings can be ranked over.

    Means over different seeds do not compare: one setting may have had the easy ones. So settings are ranked over the
    replicates that at least half of them have, and only those that have all of these. Where that leaves one alone, they
    are ranked over the replicates that all have, if these are three or more.

    Parameters
    ----------
    measured : mapping of setting to replicates
        The replicates of each setting with a result.
    failed : mapping of setting to replicates, optional
        Those without one, though they were tried.
    """
    tried = {name: frozenset(replicates) for name, replicates in (failed or {}).items()}
    counts = Counter(replicate for replicates in measured.values() for replicate in set(replicates))
    common = frozenset(replicate for replicate, n in counts.items() if 2 * n >= len(measured))
    missing = _missing(measured, common, tried)
    if len(measured) - len(missing) < 2:
        whole = [frozenset(there) for name, there in measured.items() if not tried.get(name, frozenset()) - set(there)]
        shared = frozenset[Replicate].intersection(*whole) if whole else frozenset[Replicate]()
        if len(whole) > 1 and len(shared) >= LEAST_COMMON:
            return Completeness(shared, _missing(measured, shared, tried))
    return Completeness(common, missing)


def _missing(
    measured: Mapping[Name, Collection[Replicate]],
    common: frozenset[Replicate],
    tried: Mapping[Name, frozenset[Replicate]],
) -> dict[Name, frozenset[Replicate]]:
    lacking = {
        name: (common - set(there)) | (tried.get(name, frozenset()) - set(there)) for name, there in measured.items()
    }
    return {name: replicates for name, replicates in lacking.items() if replicates}
