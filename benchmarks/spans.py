"""What processes of a command noted of themselves in the folder $NNEXP_TIMELINE (nnexp/timeline.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROLES = {"nnexp.publisher": "companion", "loky": "worker"}  # by what stands in their command line; else main


@dataclass
class Span:
    """A part of a thread's work, in seconds; `self_wall` and `self_cpu` are without the spans within it."""

    name: str
    begin: float
    end: float
    cpu: float
    thread: int
    self_wall: float = field(init=False)
    self_cpu: float = field(init=False)

    def __post_init__(self) -> None:
        self.self_wall, self.self_cpu = self.end - self.begin, self.cpu


@dataclass(frozen=True)
class Process:
    """A process, with its command line; its CPU seconds are those until its last line."""

    role: str
    words: list[str]
    begin: float
    end: float
    cpu: float
    spans: list[Span]

    def total(self, name: str) -> tuple[float, float]:
        """Wall and CPU seconds of all spans of a name."""
        mine = [span for span in self.spans if span.name == name]
        return sum(span.self_wall for span in mine), sum(span.self_cpu for span in mine)

    @property
    def unnamed(self) -> tuple[float, float]:
        """Wall seconds in which no thread is in a span, and CPU seconds that are in none."""
        idle, until = 0.0, self.begin
        for span in sorted(self.spans, key=lambda span: span.begin):
            idle += max(span.begin - until, 0.0)
            until = max(until, span.end)
        return idle + max(self.end - until, 0.0), max(self.cpu - sum(span.self_cpu for span in self.spans), 0.0)


def _nest(spans: list[Span]) -> None:
    """Take from each span what is within it."""
    open_spans: dict[int, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.begin, -span.end)):
        around = open_spans.setdefault(span.thread, [])
        while around and around[-1].end < span.end:
            around.pop()
        if around:
            around[-1].self_wall -= span.end - span.begin
            around[-1].self_cpu -= span.cpu
        around.append(span)


def read(folder: Path) -> list[Process]:
    """The processes, in the order of their starts."""
    found = []
    for path in folder.glob("*.jsonl"):
        # What was cut off by a kill or a full disk is no line; a process that was forked has no first one.
        lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines() if line[-1:] == "}"]
        if not lines:
            continue
        words = lines[0].get("argv", [])
        role = next((role for mark, role in ROLES.items() if mark in " ".join(words)), "main")
        spans = [
            Span(*(line[key] for key in ("name", "begin", "end", "cpu", "thread")))
            for line in lines
            if line["name"] != "end"
        ]
        _nest(spans)
        end, cpu = (max(line[key] for line in lines) for key in ("end", "process"))
        found.append(Process(role, words, lines[0]["begin"], end, cpu, spans))
    return sorted(found, key=lambda process: process.begin)
