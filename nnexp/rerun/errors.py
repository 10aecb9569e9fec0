"""Why a rerun is refused."""

from __future__ import annotations

from nnexp.errors import UsageError


class RerunError(UsageError):
    """A run that cannot be made again, or not be checked; one line for the user, and nothing has been trained."""
