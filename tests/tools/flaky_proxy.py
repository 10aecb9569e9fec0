"""A bad connection to a tracking server, for tests: an HTTP proxy that delays, resets, cuts, refuses and hangs.

    with FlakyProxy(upstream_port) as proxy:
        ...                                         # http://127.0.0.1:<proxy.port> is the server
        proxy.faults = Faults(reset=0.1, error=0.1)   # from now on; drawn from one fixed seed
        proxy.faults = HANG

A reset and an error come at random before the server gets the request or after it has done what was asked: only the
answer is lost then. It can be run by hand too: ``python -m tests.tools.flaky_proxy UPSTREAM_PORT [PORT]``.
"""

import argparse
import base64
import http.client
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.tools.waiting import HANGING

HOST = "127.0.0.1"
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "host")


@dataclass(frozen=True)
class Faults:
    """What happens to a request: probabilities of a reset and of a 500, seconds of delay at most, or nothing ever.

    `cut` is the probability that of an upload only half is passed on before both connections are closed. Uploads whose
    name ends with `too_large` are refused, each time.
    """

    reset: float = 0.0
    error: float = 0.0
    cut: float = 0.0
    delay: float = 0.0
    least_delay: float = 0.0
    hang: bool = False
    too_large: str | None = None


NO_FAULTS, HANG, REFUSE, SLOW = Faults(), Faults(hang=True), Faults(error=1.0), Faults(delay=10.0, least_delay=10.0)


class FlakyProxy:
    """Forwards every request to a server on the loopback address, with the faults that are set."""

    def __init__(
        self, upstream: int, *, faults: Faults = NO_FAULTS, seed: int = 0, port: int = 0, login: str = ""
    ) -> None:
        self.upstream, self.faults = upstream, faults
        self.login = "Basic " + base64.b64encode(login.encode()).decode() if login else None
        self.requests = self.lost = self.cut = 0
        self.seen: list[tuple[str, str]] = []
        self._random, self._lock = random.Random(seed), threading.Lock()
        self.over = threading.Event()
        self._server = _Server((HOST, port), _Handler)
        self._server.proxy = self
        self.port = self._server.server_address[1]

    @property
    def uri(self) -> str:
        return f"http://{HOST}:{self.port}"

    def next_fault(self, *, is_upload: bool = False) -> tuple[str, str, float]:
        """What becomes of the next request: none, reset, error or cut; before or after the server; seconds of delay."""
        with self._lock:
            chance, moment = self._random.random(), self._random.random()
            delay = self._random.uniform(self.faults.least_delay, self.faults.delay)
            self.requests += 1
            what = "none"
            if chance < self.faults.reset:
                what = "reset"
            elif chance < self.faults.reset + self.faults.error:
                what = "error"
            elif is_upload and chance < self.faults.reset + self.faults.error + self.faults.cut:
                what = "cut"
            self.lost += what != "none"
            self.cut += what == "cut"
            return what, "before" if moment < 0.5 else "after", delay

    def __enter__(self) -> "FlakyProxy":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: FlakyProxy

    def handle_error(self, request, client_address) -> None:
        pass  # clients go away when they please


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        proxy = self.server.proxy
        body = self._body()
        proxy.seen.append((self.command, self.path))
        if proxy.login and self.headers.get("Authorization") != proxy.login:
            self._send(401, [("WWW-Authenticate", "Basic")], b"who are you?")
            return
        if proxy.faults.hang:
            proxy.over.wait()
            return
        if self.command == "PUT" and proxy.faults.too_large and self.path.endswith(proxy.faults.too_large):
            self._send(413, [("Content-Type", "text/plain")], b"too large")
            return
        what, moment, delay = proxy.next_fault(is_upload=self.command == "PUT")
        if proxy.over.wait(delay):
            return
        if what == "cut":
            self._pass_on_half(body)
            self._reset()
            return
        if what != "none" and moment == "before":
            self._lose(what)
            return
        try:
            upstream = http.client.HTTPConnection(HOST, proxy.upstream, timeout=HANGING)
            headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP}
            upstream.request(self.command, self.path, body=body, headers=headers)
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
        except OSError:
            self._reset()
            return
        if what != "none":
            self._lose(what)
            return
        self._send(answer.status, answer.getheaders(), content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle  # noqa: N815 - the base class's names

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().strip(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _pass_on_half(self, body: bytes) -> None:
        headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP}
        lines = [f"{self.command} {self.path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(body)}"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        with socket.create_connection((HOST, self.server.proxy.upstream), timeout=HANGING) as upstream:
            upstream.sendall("\r\n".join([*lines, "", ""]).encode() + body[: len(body) // 2])

    def _lose(self, what: str) -> None:
        if what == "reset":
            self._reset()
        else:
            self._send(500, [("Content-Type", "text/plain")], b"a fault")

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _send(self, status: int, headers, content: bytes) -> None:
        self.send_response(status)
        for key, value in headers:
            if key.lower() not in (*HOP_BY_HOP, "date", "server"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("upstream", type=int)
    parser.add_argument("port", type=int, nargs="?", default=0)
    for name in ("reset", "error", "cut", "delay", "least_delay"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=0.0)
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    upstream, port, seed = given.pop("upstream"), given.pop("port"), given.pop("seed")
    with FlakyProxy(upstream, faults=Faults(**given), seed=seed, port=port) as proxy:
        print(proxy.uri, flush=True)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            print(f"{proxy.requests} requests, {proxy.lost} of them lost")


if __name__ == "__main__":
    main()
