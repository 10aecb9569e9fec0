"""The rows of the table. Each module has a TITLE and ``run(quick) -> list[Line]``."""

ROWS = (
    "evaluation",
    "threads",
    "training",
    "estimators",
    "overhead",
    "process",
    "first_use",
    "sweep",
    "parallel",
    "growth",
    "memory",
    "scaling",
)
