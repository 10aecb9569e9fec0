"""Reruns: a run made again from what it recorded, and the proof of what is equal and what is not.

`find` (which runs are meant) -> `recorded` (what they say of themselves) -> `rebuild` (their config today) ->
`again` (train) -> `compare` (the verdict) and `changes` (the causes).
"""
