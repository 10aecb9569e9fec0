"""Building blocks of a report: statistics, settings and their seeds, curves, drawing. They know no store and no task.

What a task's metrics and params mean, and what else there is to say of its runs, they take from the
:class:`~nnexp.comparison.spec.ComparisonSpec` that the task gives.
"""
