"""Scalars for TensorBoard: its event file, written without TensorFlow and without a thread of its own.

A file is a row of records (length, checksum, bytes, checksum), each an `Event` message: wall_time = 1 (double),
step = 2, file_version = 3, summary = 5 {value = 1 {tag = 1, simple_value = 2}}, session_log = 7 {status = 1}.
"""

import contextlib
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

POLYNOMIAL = 0x82F63B78
"""CRC-32C (Castagnoli), bits reversed."""
MASK = 0xA282EAD8
DOUBLE, FLOAT, BYTES, VARINT = 1, 5, 2, 0
"""Wire types of protocol buffers."""


def _row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    return byte


TABLE = [_row(byte) for byte in range(256)]


def checksum(data: bytes) -> int:
    """The masked CRC-32C of TensorFlow's records."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, wire: int, value: bytes) -> bytes:
    """One field of a message; `value` is encoded but for the length of bytes."""
    return varint(number << 3 | wire) + (varint(len(value)) if wire == BYTES else b"") + value


def record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    parts = (length, struct.pack("<I", checksum(length)), message, struct.pack("<I", checksum(message)))
    return b"".join(parts)


def summary(scalars: Mapping[str, float]) -> bytes:
    values = (
        field(1, BYTES, name.encode()) + field(2, FLOAT, struct.pack("<f", value)) for name, value in scalars.items()
    )
    return b"".join(field(1, BYTES, value) for value in values)


class EventFile:
    """One file of a run below `folder`; what was logged after `step` by an earlier part of the run is hidden.

    It never stops a run: `metrics.jsonl` is the record, and a disk that is full is told of there.
    """

    def __init__(self, folder: Path, step: int):
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self.file = (folder / name).open("ab")
        self._write(0, field(3, BYTES, b"brain.Event:2"))
        # A session's start says from which step on earlier values are void.
        self._write(step + 1, field(7, BYTES, field(1, VARINT, varint(1))))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        self._write(step, field(5, BYTES, summary(scalars)))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()

    def _write(self, step: int, what: bytes) -> None:
        head = field(1, DOUBLE, struct.pack("<d", time.time())) + field(2, VARINT, varint(step))
        with contextlib.suppress(OSError):
            self.file.write(record(head + what))
            self.file.flush()
