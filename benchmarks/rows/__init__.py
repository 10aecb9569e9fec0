"""The rows of the table. Each module has a TITLE and ``run(quick) -> list[Line]``."""

DRAW = ("timeline", "scaling")  # those that have a figure
MINUTES = ("thousand",)  # those that are measured only where they are named
ROWS = (
    "timeline",
    "evaluation",
    "where",
    "threads",
    "training",
    "estimators",
    "overhead",
    "process",
    "first_use",
    "sweep",
    "parallel",
    "thousand",
    "growth",
    "memory",
    "scaling",
)
