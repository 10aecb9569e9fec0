"""A tracking server with one run of one file, which sends of it what it likes and keeps no other, for tests.

with HostileServer("result.json", size=1, sends=Sends(length=2**40)) as server: ...   # http://127.0.0.1:<port>
"""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

from tests.tools.faulty_server import EXPERIMENT, HOST

MOST = 2**28  # bytes that it sends at most, where nobody stops it
RUN = {
    "info": {
        "run_id": "r",
        "experiment_id": "1",
        "status": "FINISHED",
        "artifact_uri": "mlflow-artifacts:/1/r/artifacts",
    },
    "data": {},
}


@dataclass(frozen=True)
class Sends:
    """What it sends for the file: a status, headers and bytes, said to be `length` (None: nothing is said)."""

    content: bytes = b""
    is_endless: bool = False
    length: int | None = None
    status: int = 200
    encoding: str | None = None


NOTHING = Sends()


class HostileServer:
    """Lists a file of a size (None: not said), and sends it.

    Attributes
    ----------
    put_status
        The status with which an upload is answered.
    has_experiment
        Whether its experiment is there.
    n_silent
        How many of the next questions for the experiment it leaves without an answer.
    """

    def __init__(self, name: str = "result.json", size: int | None = None, sends: Sends = NOTHING) -> None:
        self.name, self.size, self.sends = name, size, sends
        self.put_status, self.has_experiment, self.n_silent = 200, True, 0
        self.ends = threading.Event()
        self.n_sent = self.n_asked = 0
        self.over = threading.Event()  # of the sending
        self._server = _Server((HOST, 0), _Handler)
        self._server.hostile = self

    @property
    def uri(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> "HostileServer":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.ends.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hostile: HostileServer

    def handle_error(self, request, client_address) -> None:
        pass  # the client has had enough


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        hostile = self.server.hostile
        if "get-by-name" in self.path:
            if hostile.n_silent:
                hostile.n_silent -= 1
                hostile.ends.wait()
            elif hostile.has_experiment:
                self._say(EXPERIMENT)
            else:
                self._say(json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST"}), 404)
        elif "runs/get" in self.path:
            self._say(json.dumps({"run": RUN}))
        elif "/mlflow-artifacts/artifacts/" in self.path:
            self._send(hostile)
        else:
            self._list(hostile)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.hostile.n_asked += 1
        self._say("<html>" + 500 * "an error page " + "</html>", self.server.hostile.put_status)

    def _list(self, hostile: HostileServer) -> None:
        """The file, or the folder that it is in; a server names both as they are in the folder that is asked for."""
        folder, _, file = hostile.name.rpartition("/")
        [asked] = parse_qs(urlparse(self.path).query).get("path", [""])
        if folder and not asked.endswith(f"/{folder}"):
            info = {"path": folder, "is_dir": True}
        else:
            info = {"path": file, "is_dir": False} | ({} if hostile.size is None else {"file_size": hostile.size})
        self._say(json.dumps({"files": [info]}))

    def _say(self, text: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _send(self, hostile: HostileServer) -> None:
        sends = hostile.sends
        hostile.n_asked += 1
        self.send_response(sends.status)
        for key, value in (("Content-Length", sends.length), ("Content-Encoding", sends.encoding)):
            if value is not None:
                self.send_header(key, str(value))
        self.end_headers()
        try:
            self.wfile.write(sends.content)
            hostile.n_sent += len(sends.content)
            while sends.is_endless and hostile.n_sent < MOST:
                self.wfile.write(bytes(2**20))
                hostile.n_sent += 2**20
        finally:
            hostile.over.set()

    def log_message(self, *arguments) -> None:
        pass
