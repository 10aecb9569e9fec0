"""Keeping runs: directories, identity, the tracking store and publishing."""
