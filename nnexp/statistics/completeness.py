"""Which settings can be ranked against each other: those that have every replicate that the others have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Replicate = TypeVar("Replicate", bound=Hashable)


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
    replicates that at least half of them have, and only those that have all of these.

    Parameters
    ----------
    measured : mapping of setting to replicates
        The replicates of each setting with a result.
    failed : mapping of setting to replicates, optional
        Those without one, though they were tried.
    """
    counts = Counter(replicate for replicates in measured.values() for replicate in set(replicates))
    common = frozenset(replicate for replicate, n in counts.items() if 2 * n >= len(measured))
    missing: dict[Name, frozenset[Replicate]] = {}
    for name, replicates in measured.items():
        there = frozenset(replicates)
        lacking = (common - there) | (frozenset((failed or {}).get(name, ())) - there)
        if lacking:
            missing[name] = lacking
    return Completeness(common, missing)
