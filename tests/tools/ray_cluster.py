"""Ray on several machines, for tests: each node has a namespace of its own for processes, mounts and its host's name.

    with RayCluster(folder, n_nodes=3, hidden=driver) as cluster:
        cluster.address, cluster.nodes[0].kill()

What a node cannot see is what another machine could not: processes of others, and the folder `hidden`, where the driver
works. The cluster's token is in the home of each node, and in that folder. Workers begin in `folder/node-1`, ...,
where they leave what they write. To kill a node is to kill the first process of its namespace, and with it all others,
as a power failure does.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.tools.mlflow_server import free_port
from tests.tools.waiting import HANGING

OBJECT_STORE = 78_643_200  # bytes, the least that Ray takes
NAMESPACES = ("unshare", "--fork", "--pid", "--mount", "--uts", "--mount-proc", "--kill-child")
NOTICES_EARLY = {"RAY_health_check_period_ms": "500", "RAY_health_check_timeout_ms": "4000"}  # that a node is gone
OTHER_PROCESSOR = {"OPENBLAS_CORETYPE": "Nehalem"}  # as a machine has whose processor is not the driver's
TOKEN = Path(".ray", "auth_token")  # in a home folder
NOT_FOR_NODES = ("MLFLOW_", "NNEXP_CONFIG", "NNEXP_DATABASE", "RAY_AUTH_")


def keep_token(home: Path, token: str) -> None:
    """Put a token where Ray finds it."""
    (home / TOKEN).parent.mkdir(parents=True, exist_ok=True)
    (home / TOKEN).write_text(token)
    (home / TOKEN).chmod(0o600)


def is_possible() -> bool:
    """Whether this system lets this user make namespaces."""
    return (
        shutil.which("unshare") is not None
        and subprocess.run([*NAMESPACES, "true"], capture_output=True).returncode == 0
    )


class Node:
    """`ray start` on a machine of its own; what Ray writes there is in `folder/ray`."""

    def __init__(
        self, name: str, folder: Path, session: Path, token: str, *words: str, hidden: Path | None = None
    ) -> None:
        self.name, self.folder = name, folder
        (folder / "ray").mkdir(parents=True, exist_ok=True)
        keep_token(folder / "home", token)
        hide = ""
        if hidden is not None:
            hide = f"mount -t tmpfs none '{hidden}' && mount --bind '{folder}/ray' '{session}' && "
        ray = Path(sys.executable).with_name("ray")
        common = f"--object-store-memory={OBJECT_STORE} --disable-usage-stats --block {' '.join(words)}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(NOT_FOR_NODES)}
        with (folder / "ray.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*NAMESPACES, "bash", "-c", f"{hide}hostname {name} && exec '{ray}' start {common}"],
                cwd=folder,
                env=environment
                | {"HOME": str(folder / "home"), "RAY_AUTH_MODE": "token"}
                | NOTICES_EARLY
                | OTHER_PROCESSOR,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it and all that runs on it, at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class RayCluster:
    """A head, on which no job runs, and nodes.

    Parameters
    ----------
    hidden
        A folder that the nodes do not see.
    """

    def __init__(self, folder: Path, n_nodes: int, hidden: Path) -> None:
        self.folder, self.hidden, self.n_nodes = folder, hidden, n_nodes
        self.session = Path(tempfile.mkdtemp(prefix="ray-"))  # a socket's path may have 107 bytes
        self.nodes: list[Node] = []
        self.port, self.token = free_port(), secrets.token_hex(32)
        keep_token(hidden, self.token)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "RayCluster":
        try:
            words = ("--head", f"--port={self.port}", "--num-cpus=0", "--include-dashboard=false")
            self.head = Node(
                "head", self.folder / "head", self.session, self.token, *words, f"--temp-dir={self.session}"
            )
            self.wait_for(self.head)
            nodes = [self.start_node() for _ in range(self.n_nodes)]
            for node in nodes:
                self.wait_for(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_node(self) -> Node:
        number = len(self.nodes) + 1
        words = (f"--address={self.address}", "--num-cpus=1", f"--node-ip-address=127.0.0.{number + 1}")
        folder = self.folder / f"node-{number}"
        node = Node(folder.name, folder, self.session, self.token, *words, hidden=self.hidden)
        self.nodes.append(node)
        return node

    def wait_for(self, node: Node) -> None:
        """Wait until it runs."""
        self._wait(lambda: "runtime started" in (node.folder / "ray.log").read_text(), node)

    def _wait(self, condition, node: Node) -> None:
        deadline = time.monotonic() + HANGING
        while not condition():
            if node.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((node.folder / "ray.log").read_text()[-2000:])
            time.sleep(0.05)

    def __exit__(self, *exception) -> None:
        for node in [*self.nodes, *([self.head] if hasattr(self, "head") else [])]:
            node.kill()
        shutil.rmtree(self.session, ignore_errors=True)
