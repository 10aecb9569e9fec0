"""Make the frozen output directory that `tests/test_frozen.py` reads: real runs by the real command, ended in all ways.

Run it with the Python in which the version to be frozen is installed, on Linux, in a folder that does not exist yet:

    OPENBLAS_CORETYPE=Haswell USER=student LOGNAME=student \\
        unshare --uts sh -c 'hostname old-host && exec python tests/frozen/make.py /tmp/nnexp-v1 tests/frozen/v1.tar.xz'

The folder is removed at the end. Nothing is written by hand; but the pictures are made smaller, for the
size, and the boot of the machine and its kernel are replaced in the texts.
"""

import json
import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from contextlib import closing
from pathlib import Path

from PIL import Image

PICTURE_PIXELS = 96  # the longer side
# Six heartbeats of silence tell who reads this on another machine that the processes are gone.
QUICK = ("tracking.heartbeat=0.2",)
SMALL = ("experiment=smoke", "model.hidden_size=3")
DIVERGES = ("optimizer=gd", "optimizer.options.learning_rate=1e300")
LONG = ("experiment=smoke", "optimizer=gd", "model.hidden_size=[400,400]")
LONG += ("optimizer.maxiter=1000000", "optimizer.maxfun=1000000")
DEAD = "http://127.0.0.1:9"
# Jobs of some tenths of a second, so that one can be caught in the middle.
HALF = ("experiment=smoke", "model.hidden_size=3", "optimizer=gd", "optimizer.maxiter=400", "optimizer.maxfun=400")
HALF += ("seed=range(4)",)


class Maker:
    """Commands in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str, expected: int = 0) -> str:
        """Run a command to its end; the exit status is part of what is frozen."""
        print("nnexp", *words, flush=True)
        done = subprocess.run([sys.executable, "-m", "nnexp", *words], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != expected:
            raise SystemExit(f"exit status {done.returncode}, not {expected}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command to which something is going to happen."""
        print("nnexp", *words, "(interfered with)", flush=True)
        nowhere = subprocess.DEVNULL
        return subprocess.Popen(
            [sys.executable, "-m", "nnexp", *words], cwd=self.folder, stdout=nowhere, stderr=nowhere
        )

    def single(self, name: str, *words: str, expected: int = 0) -> None:
        """Do one run in a directory of this name."""
        self.run(*words, *QUICK, f"hydra.run.dir=outputs/runs/{name}", expected=expected)

    def kill(self) -> None:
        """Kill all that runs in the folder: the trainers first, before they notice that a companion is gone."""
        for pid in sorted(self.processes()):
            os.kill(pid, signal.SIGSTOP)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Whatever has the folder as its own."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "cwd") == str(self.folder) and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def rows_in_store(self, name: str) -> int:
        """How many iterations of a run the store has."""
        query = """SELECT count(DISTINCT m.step) FROM metrics m JOIN tags t ON t.run_uuid = m.run_uuid
                   WHERE t.key = 'nnexp.directory' AND t.value LIKE ?"""
        with closing(sqlite3.connect(self.folder / "outputs/mlflow.db", timeout=20)) as database:
            return database.execute(query, (f"%/{name}",)).fetchone()[0]


def wait_for(condition, seconds: float = 60) -> None:
    """Look often."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("what was to be frozen did not come about")
        time.sleep(0.002)


def write_points(path: Path, distance: int) -> None:
    """A made-up table of two classes."""
    rows = [f"{i % 7},{i % 5 + distance * (i % 2)},{'ab'[i % 2]}" for i in range(60)]
    path.write_text("\n".join(["x,y,label", *rows]) + "\n")


def failed_to_begin(maker: Maker) -> None:
    """A sweep of two jobs whose second finds its file gone, which was there when the sweep was planned."""
    files = [maker.folder / name for name in ("points.csv", "gone.csv")]
    for distance, path in enumerate(files, start=3):
        write_points(path, distance)
    known = set(maker.folder.glob("outputs/runs/*"))
    data = ("data=csv", "data.path=points.csv,gone.csv", "data.target=label")
    short = ("model.hidden_size=3", "optimizer=gd", "optimizer.maxiter=1000", "optimizer.maxfun=1000")
    process = maker.start("-m", *data, *short, *QUICK, "training.evaluate_every=100")
    wait_for(lambda: set(maker.folder.glob("outputs/runs/*")) - known)
    files[1].unlink()
    if process.wait(60) != 3:
        raise SystemExit(f"exit status {process.returncode}, not 3")


def killed(maker: Maker) -> None:
    """All that was killed with its companions, at one moment, so that none puts right what another has left.

    A run that has finished and is not published, for its companion hangs; a run in the middle; and a sweep of which two
    jobs have finished, one is in the middle and one has not begun.
    """
    runs = maker.folder / "outputs/runs"
    words = (*SMALL, *QUICK, "seed=2", "optimizer=gd", "optimizer.maxiter=1000", "optimizer.maxfun=1000")
    process = maker.start(*words, "hydra.run.dir=outputs/runs/unpublished")
    wait_for(lambda: (runs / "unpublished/reports/history.csv").exists())
    for pid in maker.processes():
        if pid != process.pid:
            os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: (runs / "unpublished/result.json").exists())
    maker.start(*LONG, *QUICK, "hydra.run.dir=outputs/runs/killed")
    wait_for(lambda: maker.rows_in_store("killed") > 3)
    known = set(maker.folder.glob("outputs/runs/*"))
    process = maker.start("-m", *HALF, *QUICK)

    def is_half_done() -> bool:
        jobs = set(maker.folder.glob("outputs/runs/*")) - known
        begun = [job for job in jobs if not (job / "result.json").exists()]
        if len(jobs) != 3 or len(begun) != 1 or not (begun[0] / "reports/history.csv").exists():
            return False
        os.kill(process.pid, signal.SIGSTOP)
        if (begun[0] / "result.json").exists() or len((begun[0] / "reports/history.csv").read_text().split()) < 4:
            os.kill(process.pid, signal.SIGCONT)
            return False
        return True

    wait_for(is_half_done)
    maker.kill()


def make_smaller(folder: Path) -> None:
    """Make the pictures smaller."""
    for path in [*folder.rglob("*.png"), *folder.rglob("*.webp")]:
        with Image.open(path) as image:
            image.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
            image.save(path)


def make_anonymous(folder: Path) -> None:
    """Take out what tells this machine from others, in texts and in the database alike: by something as long."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    release = platform.release()
    replaced = {boot: "0" * len(boot), release: "6.1".ljust(len(release), "0")[: len(release)]}
    for path in filter(Path.is_file, folder.rglob("*")):
        times, data = path.stat(), path.read_bytes()
        for old, new in replaced.items():
            data = data.replace(old.encode(), new.encode())
        path.write_bytes(data)
        os.utime(path, (times.st_atime, times.st_mtime))


def pack(folder: Path, archive: Path) -> None:
    """Write the archive, of which no owner is recorded; times are kept: a ledger's entry is a heartbeat."""

    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(archive, "w:xz", preset=9) as tar:
        tar.add(folder, folder.name, filter=anonymous)


def main(folder: Path, archive: Path) -> None:
    """Make all of it."""
    folder.mkdir(parents=True)
    maker = Maker(folder)
    maker.single("finished", *SMALL)
    maker.single("failed", *SMALL, *DIVERGES, expected=1)
    maker.run("rerun", "outputs/runs/finished", "--check", "--json")
    maker.run("-m", *SMALL, *QUICK, "model.l2=0,1", "seed=5")  # a whole sweep
    failed_to_begin(maker)
    maker.single("of-a-dead-server", *SMALL, "seed=3", "tracking.patience=1", f"tracking.uri={DEAD}", expected=4)
    killed(maker)
    with closing(sqlite3.connect(folder / "outputs/mlflow.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("VACUUM")
    for path in sorted(folder.glob("outputs/runs/*")):
        result = path / "result.json"
        status = json.loads(result.read_text())["status"] if result.exists() else "no result"
        print(path.name, status, "published" if (path / "published.json").exists() else "not published")
    make_smaller(folder / "outputs")
    make_anonymous(folder / "outputs")
    pack(folder / "outputs", archive)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).absolute())
