"""What only the network has in a report: evaluations as an axis, methods over problems, classes, hidden layers."""

from nnexp.tasks.network.report.spec import NetworkComparison

__all__ = ["NetworkComparison"]
