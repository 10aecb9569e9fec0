"""Experiments with small neural networks trained by hand-written back-propagation."""

__version__ = "0.1.0"
