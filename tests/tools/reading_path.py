"""How many files a reader walks through to follow a command: those whose functions run, in all its processes.

python -m tests.tools.reading_path [OVERRIDES]      default: a smoke run, then a sweep of two, on digits
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ("experiment=smoke", "data=digits")

# Imported by every process of the command before anything else; each function is written down when it first runs,
# since the companion process does not come to its interpreter's end.
HOOK = """
import os, sys, threading
seen, package = set(), os.environ["READING_PATH_PACKAGE"]
def note(frame, event, argument):
    code = frame.f_code
    is_function = event == "call" and code.co_flags & 1 and code.co_name != "<module>"  # and no body of a class
    if is_function and code.co_filename.startswith(package) and code not in seen:
        seen.add(code)
        with open(os.environ["READING_PATH"], "a") as file:
            file.write(f"{code.co_filename[len(package) + 1:]}\\t{code.co_qualname}\\n")
threading.setprofile(note)
sys.setprofile(note)
"""


def functions(*arguments: str) -> set[tuple[str, str]]:
    """The functions of nnexp that a command calls, as file and name."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(HOOK)
        called = Path(folder) / "called"
        settings = {"READING_PATH": str(called), "READING_PATH_PACKAGE": str(ROOT / "nnexp")}
        settings["PYTHONPATH"] = os.pathsep.join([folder, str(ROOT)])
        words = [sys.executable, "-m", "nnexp", *arguments]
        # The pipe is inherited by all processes of the command, and ends with the last of them.
        done = subprocess.run(words, cwd=folder, env=os.environ | settings, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        return {(file, name) for line in called.read_text().splitlines() for file, name in [line.split("\t")]}


def main() -> None:
    """Print the counts of files and functions, and the lines of the package."""
    commands = [tuple(sys.argv[1:])] if sys.argv[1:] else [SMOKE, ("-m", *SMOKE, "seed=0,1")]
    for arguments in commands:
        found = functions(*arguments)
        files = sorted({file for file, _ in found})
        print(f"nnexp {' '.join(arguments)}: {len(files)} files, {len(found)} functions")
        if len(commands) == 1:
            print("  " + "\n  ".join(files))
    lines = sum(len(path.read_text().splitlines()) for path in (ROOT / "nnexp").rglob("*.py"))
    print(f"nnexp/: {lines} lines in {len(list((ROOT / 'nnexp').rglob('*.py')))} files")


if __name__ == "__main__":
    main()
