"""What goes wrong with a store."""

from __future__ import annotations

from nnexp.errors import FailureError


class StoreError(FailureError):
    """The store cannot be used; the message says which and why in one line."""


class RefusedError(StoreError):
    """A server does not let this user do it.

    Attributes
    ----------
    status
        401 or 403, as in HTTP.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class NotKeptError(FailureError):
    """A server does not keep a file, as it may at the next attempt; the message says which and why in one line."""
