"""A sample of the points at which `make crashtest` kills a sweep; all of them take hours."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def test_a_sweep_killed_at_a_sample_of_its_durable_operations_is_finished_by_the_same_command():
    words = ["-m", "tests.tools.crash", "--scenario", "sweep-new", "--sample", "2", "--jobs", "1"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 points, 0 violations" in done.stdout
