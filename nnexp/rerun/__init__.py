"""Reruns: a run made again from what it recorded, and the proof of what is equal and what is not.

`source` (what a run says of itself), `jobs` (the runs of a sweep) -> `rebuild` (their config today) -> `run` (train)
-> `compare` (the verdict) and `changes` (the causes).
"""
