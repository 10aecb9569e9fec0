"""Sweeps: planned, resumable, parallel, and always finished by the same command."""
