"""A page and where it listens: in the foreground for people, in a thread for tests."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from avatar_jax.media import BadInput
from avatar_jax.web.access import Guard, require_token


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket, so that a mistake is told before anything starts."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, number)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        raise BadInput(
            "--host and --port", f"{host}:{port} ({error})", "a free port of this machine", "--port 0"
        ) from error
    return opened


def _address(opened: socket.socket, token: str) -> str:
    host, port = opened.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={token}" if token else "")


def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 8080, token: str = "") -> None:
    """Until interrupted; prints the address to open.

    Raises:
        BadInput: another host than loopback without a token, or a port that is taken.
    """
    require_token(host, token)
    opened = _listening(host, port)
    print(f"open {_address(opened, token)}   (Ctrl-C ends it; every vote is on disk already)", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(Guard(app, token), log_level="warning")).run(sockets=[opened])


@contextmanager
def running(app: ASGIApp, token: str = "") -> Iterator[str]:
    """Serve on a free loopback port within the block; its address."""
    opened = _listening("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(Guard(app, token), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield _address(opened, token)
    finally:
        server.should_exit = True
        thread.join(10)
        opened.close()
