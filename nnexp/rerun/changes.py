"""What is not as it was: config, data, code, packages, BLAS, threads, processor, system."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnexp import own

# Packages whose code takes part in the numbers; a change of any other one is told in one line.
COMPUTING = ("numpy", "scipy", "scikit-learn", "mlxtend", "threadpoolctl")
SHOWN = 6
ABSENT = object()


@dataclass(frozen=True)
class Made:
    """With what a run was made.

    Attributes
    ----------
    params
        The leaves of the config that decide the result.
    data, data_digest
        The data set's name and the digest of its content.
    environment
        What :func:`nnexp.runs.provenance.environment` said.
    sources
        The texts of the user's own files among the code.
    """

    params: Mapping[str, Any]
    data: str
    data_digest: str | None
    environment: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


def changes(old: Made, new: Made) -> list[str]:
    """Every recorded cause for other numbers, one sentence each, the nearest first."""
    found = [*_config(old.params, new.params)]
    if old.data_digest != new.data_digest:
        found.append(
            f"data: {new.data} has another content, digest {_short(old.data_digest)} -> {_short(new.data_digest)}"
        )
    if not old.environment:
        return [*found, "environment: not recorded, so code, packages and machine cannot be compared"]
    return [*found, *_code(old, new), *environment_changes(old.environment, new.environment)]


def environment_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two environments, but for the code."""
    found = [*_packages(old.get("packages", {}), new.get("packages", {}))]
    found += _blas(old.get("blas", []), new.get("blas", []))
    for name, key in (("CPU", "cpu"), ("CPU instruction sets of NumPy", "simd"), ("Python", "python")):
        found += _one(name, old, new, key)
    return found + _one("OS", old, new, "system")


def other_code(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The commits, where they are not the same: the last suspect, for most commits change no number."""
    before, after = (side.get("git", {}) for side in (old, new))
    if not before or before == after:
        return []
    words = [
        side.get("commit", "none")[:12] + (" with changes" if side.get("dirty") else "") for side in (before, after)
    ]
    return [f"code that decides nothing by itself: commit {words[0]} -> {words[1]}"]


def _config(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if before is ABSENT:
            yield f"config: {key} was not there, now {text(after)}"
        elif after is ABSENT:
            yield f"config: {key} was {text(before)}, now not there"
        elif not same_value(before, after):
            yield f"config: {key} {text(before)} -> {text(after)}"


def text(value: Any) -> str:
    """A config value as the tracking store keeps it."""
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def same_value(one: Any, other: Any) -> bool:
    """Whether two values of a config key are the same, be they typed or the store's texts."""
    if text(one) == text(other):
        return True
    try:
        return float(text(one)) == float(text(other))
    except ValueError:
        return False


def _code(was: Made, now: Made) -> list[str]:
    old, new = was.environment, now.environment
    before, after = old.get("modules"), new.get("modules", {})
    if before is None:
        return _one("code", old, new, "code_digest")
    words = []
    for module in sorted({*before, *after}):
        if module not in before:
            words.append(f"{module} (new)")
        elif module not in after:
            words.append(f"{module} (gone)")
        elif before[module] != after[module]:
            words.append(module + _functions(was.sources.get(module), now.sources.get(module)))
    return ([f"code: {', '.join(words)}"] if words else []) + _one("nnexp", old, new, "nnexp")


def _functions(old: str | None, new: str | None) -> str:
    """The functions of a user's file that changed, where both its texts are known."""
    changed = own.changed_functions(old, new) if old is not None and new is not None else []
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return f" ({', '.join(changed[:SHOWN])}{more})" if changed else ""


def _packages(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    changed = {
        name: f"{name} {old.get(name, 'not installed')} -> {new.get(name, 'not installed')}"
        for name in sorted({*old, *new} - {"nnexp"})
        if old.get(name) != new.get(name)
    }
    found = [f"package: {changed.pop(name)}" for name in COMPUTING if name in changed]
    rest = list(changed.values())
    if rest:
        more = f" and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
        found.append(f"other packages: {', '.join(rest[:SHOWN])}{more}")
    return found


def _blas(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    before, after = ({library["owner"]: library for library in side} for side in (old, new))
    for owner in sorted({*before, *after}):
        one, other = before.get(owner, {}), after.get(owner, {})
        names = [
            " ".join(str(side.get(key)) for key in ("library", "version", "kernel")) if side else "none"
            for side in (one, other)
        ]
        if names[0] != names[1]:
            found.append(f"BLAS of {owner}: {names[0]} -> {names[1]}")
        if one.get("threads") != other.get("threads"):
            found.append(f"threads of {owner}'s BLAS: {one.get('threads')} -> {other.get('threads')}")
    return found


def _one(name: str, old: Mapping[str, Any], new: Mapping[str, Any], key: str) -> list[str]:
    """One line where both know the key and differ; an older record may not have it."""
    if key not in old or old[key] == new.get(key):
        return []
    return [f"{name}: {_flat(old[key])} -> {_flat(new.get(key))}"]


def _flat(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "unknown"
