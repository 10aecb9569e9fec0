"""What is offered from Python: runs, sweeps, reruns and reports as the commands make them, with results as objects.

The names are those of the package, which imports them at their first use.
"""
