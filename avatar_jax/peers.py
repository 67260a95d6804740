"""The processes of one run, known to each other by plain sockets: who is missing at the start, who is gone later.

JAX itself waits without a word for a process that never comes, and aborts minutes after one has died. Here process 0
listens, every other process keeps one connection to it open for as long as it lives, and the operating system closes
the connections of a process that is killed.
"""

import contextlib
import json
import os
import selectors
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

GRACE = 10.0
"""Seconds that a process has to end by itself once another one has ended with an error."""


class PeerLost(RuntimeError):
    """A process of the run never came, or is gone; `str()` has three lines, entry points exit with status 1."""

    def __init__(self, what: str, got: object, rule: str, fix: str):
        super().__init__(f"{what}: {got}\nrule: {rule}\nfix: {fix}")


@dataclass
class Line:
    """One connection that carries JSON objects, one a line."""

    socket: socket.socket
    waiting: bytes = b""

    def send(self, **message: Any) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]] | None:
        """Messages that have come whole; None once the other side is gone."""
        try:
            some = self.socket.recv(4096)
        except OSError:
            some = b""
        if not some:
            return None
        *whole, self.waiting = (self.waiting + some).split(b"\n")
        try:
            return [dict(json.loads(line)) for line in whole]
        except (ValueError, TypeError):
            # Whoever this is, it is none of ours.
            return None


@dataclass
class Peers:
    """Connections of this process: of process 0 to all others, of the others to process 0."""

    index: int
    count: int
    lines: dict[int, Line]
    names: dict[int, str] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    steps: dict[int, int] = field(default_factory=dict)
    """The last step that each other process has told of."""

    def watch(self) -> None:
        """From now on, this process ends with a message when another one is gone."""
        threading.Thread(target=self._watch, name="peers", daemon=True).start()

    def leave(self, status: int) -> None:
        """Tell the others that this process ends in good order."""
        for line in self.lines.values():
            line.send(bye=status)

    def report(self, step: int) -> None:
        """Tell process 0 how far this process has come."""
        if self.index:
            self.lines[0].send(step=step)

    def _watch(self) -> None:
        with selectors.DefaultSelector() as ready:
            for index, line in self.lines.items():
                ready.register(line.socket, selectors.EVENT_READ, index)
            while ready.get_map():
                for key, _ in ready.select():
                    if not self._heard(key.data, self.lines[key.data].receive()):
                        ready.unregister(key.fileobj)

    def _heard(self, index: int, messages: list[dict[str, Any]] | None) -> bool:
        """Whether there is more to hear from this process."""
        if messages is None:
            if index not in self.ended:
                self._stop(index, "is gone")
            return False
        for message in messages:
            if "step" in message:
                self.steps[index] = message["step"]
            if "gone" in message:
                self._stop(message["gone"], message["why"])
            if "bye" in message:
                self.ended.add(index)
                if message["bye"]:
                    why = f"ended with status {message['bye']}; its own output says why"
                    threading.Timer(GRACE, self._stop, (index, why)).start()
        return True

    def _stop(self, index: int, why: str) -> None:
        for line in self.lines.values():
            line.send(gone=index, why=why)
        rule = "the processes of a run live and end together"
        fix = f"start all {self.count} again with the same commands; what was finished or saved is kept"
        print(PeerLost(f"process {index} of {self.count} {self.names.get(index, '')}", why, rule, fix), file=sys.stderr)
        sys.stderr.flush()
        # The main thread waits inside a collective that will never end: no exception can reach it.
        os._exit(1)


def gather(host: str, port: int, count: int, index: int, patience: float) -> Peers:
    """Connect the processes of a run; returns when all are here.

    Raises:
        PeerLost: somebody has not come within `patience` seconds, or does not belong to this run.
    """
    if index == 0:
        return _receive_all(port, count, time.monotonic() + patience, patience)
    return _report(host, port, count, index, time.monotonic() + patience, patience)


def _receive_all(port: int, count: int, deadline: float, patience: float) -> Peers:
    here = Peers(0, count, {})
    try:
        server = socket.create_server(("", port), backlog=count)
    except OSError as error:
        rule = "process 0 listens on the coordinator's port and on the next one"
        raise PeerLost(f"port {port}", error.strerror, rule, "choose another port for --coordinator") from error
    with server:
        while len(here.lines) < count - 1:
            server.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection, address = server.accept()
            except TimeoutError as error:
                missing = ", ".join(str(i) for i in range(1, count) if i not in here.lines)
                raise PeerLost(
                    f"processes of this run, {count} in all",
                    f"no word from {missing} within {patience:g} s",
                    "each is started with the same --coordinator and --processes and its own --process",
                    "start them, or look at their output and at the network between the hosts",
                ) from error
            connection.settimeout(10)
            line = Line(connection)
            for hello in line.receive() or []:
                who = int(hello.get("index", -1))
                if hello.get("count") != count or who in here.lines or who not in range(1, count):
                    line.send(refused=f"process {who} of {hello.get('count')}, where process 0 knows {count} in all")
                else:
                    here.lines[who], here.names[who] = line, f"({hello.get('name', address[0])})"
    for line in here.lines.values():
        _keep_alive(line.socket)
        line.send(go=True)
    return here


def _report(host: str, port: int, count: int, index: int, deadline: float, patience: float) -> Peers:
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=5)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                raise PeerLost(
                    f"process 0 at {host}:{port}",
                    f"no answer within {patience:g} s ({error.strerror or error})",
                    "process 0 runs on the host of --coordinator; its port and the next one are open",
                    "start process 0, or correct --coordinator",
                ) from error
            time.sleep(0.2)
    line = Line(connection)
    line.send(index=index, count=count, name=socket.gethostname())
    connection.settimeout(max(1.0, deadline - time.monotonic()) + 5)
    answer = (line.receive() or [{"refused": "process 0 gave up waiting for the others"}])[0]
    if "refused" in answer:
        rule = "each process has its own --process from 0 to N - 1, and all have the same --processes"
        raise PeerLost("not taken into the run", answer["refused"], rule, "look at the commands of all processes")
    _keep_alive(connection)
    return Peers(index, count, {0: line}, {0: f"({host})"})


def _keep_alive(connection: socket.socket) -> None:
    """A host that vanishes without a word is noticed within half a minute."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
