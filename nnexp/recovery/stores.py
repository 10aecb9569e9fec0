"""The stores that runs are published into: each opened once, and one that is found silent is not asked again."""

from __future__ import annotations

from nnexp.credentials import extract_password
from nnexp.paths import absolute_uri
from nnexp.tracking.store import Store, StoreError

PATIENCE = 30.0  # seconds in which a tracking server has to answer here, where nobody trains


class Stores:
    """The stores of a sync, by the addresses that runs were made for.

    Parameters
    ----------
    default_uri
        The store of today's config, for what names none.
    to
        The store that gets copies of all instead, if any.
    """

    def __init__(self, default_uri: str, to: str | None = None) -> None:
        self._default, self._to = default_uri, extract_password(to, "the URI of the copies") if to else None
        self._known: dict[tuple[str, str], Store] = {}
        self._silent: dict[str, str] = {}

    def of(self, uri: str | None, experiment: str) -> Store:
        """The store for what was made for `uri`.

        Raises
        ------
        StoreError
            If it does not answer.
        """
        key = (absolute_uri(self._to or uri or self._default), experiment)
        store = self._known.setdefault(key, Store(*key, patience=PATIENCE))
        if key[0] in self._silent:
            raise StoreError(self._silent[key[0]])
        try:
            store.ping()
        except StoreError as error:
            self._silent[key[0]] = str(error)
            raise
        return store

    def is_copy(self, uri: str | None) -> bool:
        """Whether what was made for `uri` goes into another store here."""
        return self._to is not None and absolute_uri(self._to) != absolute_uri(uri or self._default)
