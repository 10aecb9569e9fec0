"""Kills a run and a sweep at every durable operation and gives the same command again: `make crashtest`.

    python -m tests.tools.crash [--scenario NAME ...] [--every N] [--from K] [--jobs J]
    python -m tests.tools.crash --random 60 --sweeps 12 --seed 0

An operation is a file made, written, renamed or removed, a folder made or removed, a SQLite transaction, a request
that changes something on a server. Each is a point for each role whose processes do it: the parent, joblib's workers,
the companions that publish; and each twice: that process alone is killed, or all of them. Then the same command is
given, and what must hold is checked (see invariants.py). Exit status: 1 where something did not hold.
"""

import argparse
import sys
import time

from tests.tools.crash.points import SCENARIOS, Bench
from tests.tools.preloaded import preload


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="default: all of them")
    parser.add_argument("--role", action="append", choices=["parent", "worker", "companion"])
    parser.add_argument("--victims", choices=["self", "all"])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th point")
    parser.add_argument("--sample", type=int, metavar="N", help="only N points, spread evenly")
    parser.add_argument("--from", type=int, default=0, metavar="K", dest="first", help="go on at the K-th point")
    parser.add_argument("--only", type=int, metavar="K", help="the K-th point alone, and its folder is kept")
    parser.add_argument("--jobs", type=int, default=2, metavar="J", help="points at a time")
    parser.add_argument("--keep", action="store_true", help="keep the folders of points that failed")
    parser.add_argument("--random", type=int, metavar="N", help="kill N times at random moments instead")
    parser.add_argument("--sweeps", type=int, default=12, help="of so many sweeps")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    preload()
    with Bench(given.jobs, keep=given.keep or given.only is not None) as bench:
        if given.random:
            done, bad = bench.at_random(given.random, given.sweeps, given.seed)
        else:
            points = bench.points(given.scenario or list(SCENARIOS), given.role, given.victims)
            total = len(points)
            if given.only is not None:
                points = points[given.only : given.only + 1]
            else:
                points = points[given.first :: given.every]
            if given.sample:
                points = [points[(2 * i + 1) * len(points) // (2 * given.sample)] for i in range(given.sample)]
            print(f"{total} points, {len(points)} of them to be tried", flush=True)
            done, bad = bench.each(points)
    print(f"{done} points, {bad} violations, {time.monotonic() - began:.0f} s", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
