"""Who makes which job, agreed among any number of workers through a shared folder alone; no server, no locks.

OUT/.jobs/NAME.claim-0, NAME.claim-1 ...    who made or makes this job; the highest number is in force
OUT/.jobs/NAME.done                         what came of it, and under which claim

Relied on: of several workers that create the same new file at the same time one succeeds (at `open`, or at the latest
when it is written back), and a rename replaces a file whole. POSIX folders, NFS and a mounted bucket give both. Clocks
are not compared: a claim is alive while its content changes, seen by the watcher's own clock.

A claim is taken over, by creating the next number, when its holder is known to be dead (the same worker started again,
or a process of this machine that no longer runs), when it let go of it, or when it has given no sign of life for a
lease's time.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEASE = 120.0
"""Seconds without a sign of life after which another host's job is taken over."""
BEATS = 6
"""Signs of life in a lease's time."""


@dataclass(frozen=True)
class Worker:
    """Which of the workers this is. `count` > 1: the user's word that `index` runs once only at any time."""

    index: int = 0
    count: int = 1
    lease: float = LEASE
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def card(self) -> dict[str, Any]:
        """What a claim says about its holder."""
        name = f"{self.index}/{self.count}" if self.count > 1 else ""
        return {"token": self.token, "worker": name, "machine": machine(), "pid": os.getpid()}

    def outlived(self, card: dict[str, Any]) -> bool:
        """Whether the holder of this card is dead for certain."""
        if card.get("token") == self.token:
            return False
        mine = self.card()
        if mine["worker"] and card.get("worker") == mine["worker"]:
            return True
        return bool(mine["machine"]) and card.get("machine") == mine["machine"] and not runs(card.get("pid"))


def machine() -> str:
    """This boot of this machine, seen from inside this container; empty where it cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def runs(pid: Any) -> bool:
    """Whether this process of this machine is alive; a number that is this process's own now has been another's."""
    if not isinstance(pid, int) or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class Lost(RuntimeError):
    """Another worker has taken this job over."""


@dataclass
class Claims:
    """The claims of one folder, as this worker sees them."""

    folder: Path
    worker: Worker
    seen: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Claim -> its last content, and when this worker first saw that."""

    def done(self, name: str) -> dict[str, Any] | None:
        """The record of what came of a job, None where there is none."""
        return read(self.folder / f"{name}.done")

    def take(self, name: str, redo: int | None = None) -> int | None:
        """The number of this worker's new claim on a job, or None where another holds it or has finished it.

        `redo`: the claim whose result is to be replaced.
        """
        number = self.highest(name)
        if number >= 0:
            record = self.done(name)
            finished = record is not None and record.get("claim", -1) >= number
            if finished and (record or {}).get("claim") != redo:
                return None
            if not finished and not self.dead(name, number):
                return None
        card = json.dumps(self.worker.card() | {"beat": 0})
        return number + 1 if create(self.path(name, number + 1), card) else None

    def path(self, name: str, number: int) -> Path:
        return self.folder / f"{name}.claim-{number}"

    def highest(self, name: str) -> int:
        """Number of the claim in force; -1 where there is none. Numbers have no gaps."""
        number = -1
        while self.path(name, number + 1).exists():
            number += 1
        return number

    def dead(self, name: str, number: int) -> bool:
        """Whether the holder of an open claim will never finish."""
        path = self.path(name, number)
        try:
            text = path.read_text()
        except OSError:
            text = ""
        try:
            card = json.loads(text)
        except ValueError:
            card = {}
        if card.get("released") or self.worker.outlived(card):
            return True
        before, since = self.seen.get(path.name, ("", 0.0))
        if path.name not in self.seen or text != before:
            self.seen[path.name] = (text, time.monotonic())
            return False
        return time.monotonic() - since > self.worker.lease

    @contextmanager
    def held(self, name: str, number: int) -> Iterator["Claim"]:
        """Within: the claim shows signs of life. Left with an exception that no result records, it is let go of.

        Raises:
            Lost: at `commit`, if the claim was taken over.
        """
        claim = Claim(self, name, number)
        ended = threading.Event()

        def beat() -> None:
            count = 0
            while not ended.wait(self.worker.lease / BEATS):
                count += 1
                # A network that is away for a moment must not end the thread: the next beat counts as well.
                with contextlib.suppress(OSError):
                    if self.path(name, number + 1).exists():
                        return
                    replace(self.path(name, number), json.dumps(self.worker.card() | {"beat": count}))

        thread = threading.Thread(target=beat, name=f"claim {name}", daemon=True)
        thread.start()
        try:
            yield claim
        finally:
            ended.set()
            thread.join()
            if not claim.committed:
                with contextlib.suppress(OSError):
                    replace(self.path(name, number), json.dumps(self.worker.card() | {"released": True}))


@dataclass
class Claim:
    """A job that this worker makes."""

    claims: Claims
    name: str
    number: int
    committed: bool = False

    def commit(self, record: dict[str, Any]) -> None:
        """Make the result known, whole.

        Raises:
            Lost: another worker has the job by now; what it records will count.
        """
        if self.claims.path(self.name, self.number + 1).exists():
            raise Lost(self.name)
        replace(self.claims.folder / f"{self.name}.done", json.dumps(record | {"claim": self.number}))
        self.committed = True


def create(path: Path, text: str) -> bool:
    """Whether this call, and nobody else's, made the file. Mounted buckets tell of a collision only at the end."""
    try:
        with path.open("x") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    except OSError:
        if not path.exists():
            raise
        return False
    return path.read_text() == text


def replace(path: Path, text: str, folder: Path | None = None) -> None:
    """Write a file whole, under a name of this process's own (in `folder`, or beside it), then rename it."""
    part = (folder or path.parent) / f"{path.name}.{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
