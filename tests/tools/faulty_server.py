"""Servers that do not answer as MLflow does, for tests: each answers every request alike, over HTTP or HTTPS.

with FaultyServer(404) as server: ...                # http://127.0.0.1:<port>
with FaultyServer(200, "{}", certificate=path) as server: ...
"""

import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "127.0.0.1"
EXPERIMENT = json.dumps({"experiment": {"experiment_id": "1", "name": "nnexp", "lifecycle_stage": "active"}})


class FaultyServer:
    """Answers with this status and body; with `hangs` only what asks for an experiment, and nothing else ever."""

    def __init__(self, status: int = 200, body: str = "", *, hangs: bool = False, certificate: Path | None = None):
        self.status, self.body, self.hangs = status, body, hangs
        self.seen: list[str] = []
        self.over = threading.Event()
        self._scheme = "https" if certificate else "http"
        self._server = _Server((HOST, 0), _Handler)
        self._server.faulty = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def uri(self) -> str:
        return f"{self._scheme}://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> "FaultyServer":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    faulty: FaultyServer

    def handle_error(self, request, client_address) -> None:
        pass  # a client that does not trust the certificate goes away


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _handle(self) -> None:
        faulty = self.server.faulty
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        faulty.seen.append(self.path)
        if faulty.hangs and "get-by-name" not in self.path:
            faulty.over.wait()
            return
        content = faulty.body.encode()
        self.send_response(faulty.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _handle  # noqa: N815 - the base class's names

    def log_message(self, *arguments) -> None:
        pass


def self_signed(folder: Path) -> Path:
    """A certificate for this host that nobody has reason to trust, with its key in the same file."""
    path = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", f"subjectAltName=IP:{HOST}", "-keyout", str(path), "-out", str(folder / "public.pem")]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (folder / "public.pem").read_text())
    return path
