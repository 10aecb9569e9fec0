"""Why runs are kept back, each reason once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

SHOWN = 5

Tell = Callable[[str], None]


class Reasons:
    """Reasons, and what each of them keeps back: most often it is the same one for all, a store that is away."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def add(self, name: str, reason: str) -> None:
        """Note that something is kept back, and why."""
        names = self._names.setdefault(reason, [])
        if name not in names:
            names.append(name)

    def __contains__(self, name: str) -> bool:
        return any(name in names for names in self._names.values())

    def tell(self, tell: Tell) -> None:
        """Say each reason on a line, with the first of the names and how many more there are."""
        for reason, names in self._names.items():
            tell(f"{listed(names)}: {reason}")


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
