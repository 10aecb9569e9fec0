"""The tests. Where the environment forbids to keep byte code, each of their processes would compile nnexp anew."""

import os

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
