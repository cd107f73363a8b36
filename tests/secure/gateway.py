"""A stand-in of a gateway such as Knox: one address with a path before it, which passes on what it is asked.

It leads to the NameNode, and its redirects to DataNodes lead through the gateway, too.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local_hadoop.secure import SecureCluster


class _Keep(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **kwargs):
        return None


@contextmanager
def gateway(secure: SecureCluster, path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a gateway with a path, and the list of what it was asked."""
    asked: list[str] = []
    https = urllib.request.HTTPSHandler(context=secure.tls)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Keep, https)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if not self.path.startswith(path):
                self.send_error(404)
                return
            inner = self.path.removeprefix(path)
            datanode = inner.startswith("/data/")
            asked.append(inner)
            target = f"https://{inner.removeprefix('/data/')}" if datanode else f"{secure.web('namenode')}{inner}"
            try:
                answer = opener.open(target, timeout=60)
            except urllib.error.HTTPError as error:
                answer = error
            body = answer.read()
            self.send_response(answer.code)
            if place := answer.headers["Location"]:
                self.send_header("Location", f"{address}/data/{place.removeprefix('https://')}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}{path}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address, asked
    finally:
        server.shutdown()
        server.server_close()
