"""Where the CPU time of the tests goes: ``python -m tests.tools.timeline [PYTEST ARGUMENTS]`` runs them and tells.

By kind of process, and by file of tests. What is no process of nnexp (browsers, servers, LaTeX) is in the total alone.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.commands import adopt_orphans, cpu_of_children, wait_for_children
from benchmarks.spans import read

FOLDER = "NNEXP_TEST_TIMELINE"


def kind_of(words: list[str]) -> str:
    """What a process is, by its command line."""
    line = " ".join(words)
    if "nnexp.publisher" in line:
        return "companion"
    if "loky" in line:
        return "worker of joblib" if "--process-name" in line else "tracker of joblib"
    if "-c" in words[1:3]:
        return "script of a test"
    if "nnexp" not in line:
        return "other"
    last = next(i for i, word in enumerate(words) if word.endswith("nnexp"))
    command = next(iter(words[last + 1 :]), "")
    return f"nnexp {command}" if command.isalpha() else "nnexp -m" if command == "-m" else "nnexp"


def main() -> int:
    adopts = adopt_orphans()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tests = subprocess.Popen([sys.executable, "-m", "pytest", *sys.argv[1:]], env=os.environ | {FOLDER: name})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, and what is known by then is told
        status = tests.wait()
        wait_for_children()
        total = cpu_of_children()
        kinds, files, counts, spans = Counter(), Counter(), Counter(), Counter()
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                for process in read(path):
                    kind = kind_of(process.words)
                    kinds[kind] += process.cpu
                    for span in process.spans:
                        spans[kind, span.name] += span.self_cpu
                    counts[kind] += 1
                    files[path.name] += process.cpu
            else:
                for line in path.read_text().splitlines():
                    file, cpu = json.loads(line)
                    kinds["pytest"] += cpu
                    files[file] += cpu
    print(f"\nCPU seconds: {total:.0f} in all" if adopts else "")
    for kind, cpu in kinds.most_common():
        parts = sorted(((spans[key], key[1]) for key in spans if key[0] == kind), reverse=True)
        print(f"{cpu:7.1f} {counts[kind]:5} {kind:<18}", ", ".join(f"{name} {cpu:.1f}" for cpu, name in parts[:5]))
    for file, cpu in files.most_common():
        print(f"{cpu:7.1f}  {file}")
    return status


if __name__ == "__main__":
    sys.exit(main())
