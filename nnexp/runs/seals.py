"""Which records this user has written himself: those that have his seal.

A record can name functions of installed packages, which are called when its run is repeated. Whoever hands over a run
directory, or can write to a shared store, could so have any of them called. So a run's config and its details are
sealed by a key that only this user has, in a file of his own and in no output directory.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnexp.runs.files import to_json

KEY_BYTES = 32


def seal(text: str) -> str | None:
    """The seal of a text; None where no key can be kept."""
    key = _key(_place(), makes=True)
    return None if key is None else _sealed(key, text)


def is_sealed(text: str, sealed: str | None) -> bool:
    """Whether this user has sealed this very text."""
    key = _key(_place(), makes=False) if sealed else None
    return key is not None and sealed is not None and hmac.compare_digest(_sealed(key, text), sealed)


def text_of(details: Mapping[str, Any]) -> str:
    """A text for values that JSON can hold, the same before they are written and when they are read again."""
    return json.dumps(json.loads(to_json(details)), sort_keys=True)


def _sealed(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def _place() -> Path | None:
    """Where the key is: in the folder for what programs keep of a user."""
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "nnexp/key"
    except RuntimeError:  # a user without a home
        return None


_keys: dict[Path, bytes] = {}  # as they were read


def _key(place: Path | None, *, makes: bool) -> bytes | None:
    if place is None or place in _keys:
        return None if place is None else _keys[place]
    try:
        if makes and not place.exists():
            _make(place)
        key = place.read_bytes()
    except OSError:
        return None
    if len(key) != KEY_BYTES:
        return None
    return _keys.setdefault(place, key)


def _make(place: Path) -> None:
    """Make the key at once and whole, or leave that of another process."""
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = place.with_name(f"{place.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(KEY_BYTES))
        try:
            os.link(new, place)
        except FileExistsError:
            pass
        except OSError:  # a disk without links
            os.replace(new, place)
    finally:
        new.unlink(missing_ok=True)
