"""A company's proxy that looks into TLS, for tests: it answers for every host itself, with a certificate of its own authority."""

from __future__ import annotations

import datetime
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answers = Callable[[str, str], object]
"""What is answered for a host and a path: bytes as they are, anything else as JSON."""


class InspectingProxy:
    """Listens until it is closed. `authority`: the file that a machine of the company trusts; `asked`: what was asked of it."""

    def __init__(self, folder: Path, hosts: list[str], answers: Answers) -> None:
        self.authority = folder / "company-authority.pem"
        self.asked: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificates(self.authority, folder / "server.pem", hosts))
        handler = type(
            "Handler", (_Handler,), {"context": context, "answers": staticmethod(answers), "asked": self.asked}
        )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    context: ssl.SSLContext
    answers: Answers
    asked: list[str]
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        self.send_response(200)
        self.end_headers()
        self.close_connection = False  # CONNECT comes as HTTP/1.0, and what follows is the tunnel
        try:
            inside = self.context.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):
            self.close_connection = True  # the client does not trust the company, and has gone
            return
        self.connection, self.rfile, self.wfile = inside, inside.makefile("rb"), inside.makefile("wb")

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(f"{self.command} {self.host}{self.path}")
        answer = self.answers(self.host, self.path)
        kind = "application/octet-stream" if isinstance(answer, bytes) else "application/json"
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        return


def _certificates(authority: Path, server: Path, hosts: list[str]) -> Path:
    """Writes the authority's certificate, and a server's with its key; returns the latter's file."""
    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    company, name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in ("A company", hosts[0]))

    def begun(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder(company, subject, key.public_key(), x509.random_serial_number())
        return made.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(
            now + datetime.timedelta(days=1)
        )

    root = begun(company, keys[0]).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    leaf = begun(name, keys[1]).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(each) for each in hosts]), critical=False
    )
    authority.write_bytes(root.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server.write_bytes(key + leaf.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return server
