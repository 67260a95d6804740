"""The event file: known checksums, records that can be read back, and a part of a run that voids what was after it."""

import struct
from pathlib import Path

import pytest

from avatar_jax.training.events import EventFile, checksum


def unmasked(crc: int) -> int:
    crc = (crc - 0xA282EAD8) & 0xFFFFFFFF
    return (crc >> 17 | crc << 15) & 0xFFFFFFFF


def records(path: Path) -> list[bytes]:
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == checksum(data[:8])
        found.append(data[12 : 12 + length])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == checksum(found[-1])
        data = data[16 + length :]
    return found


@pytest.mark.parametrize(
    ("data", "crc"), [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (bytes([255] * 32), 0x62A8AB43)]
)
def test_checksums_of_rfc_3720(data: bytes, crc: int) -> None:
    assert unmasked(checksum(data)) == crc


def test_scalars_are_written(tmp_path: Path) -> None:
    file = EventFile(tmp_path, 2)
    file.write(300, {"loss": 0.5, "rate": 1.0})
    file.close()
    version, start, scalars = records(next(tmp_path.iterdir()))
    assert b"brain.Event:2" in version and start.endswith(b"\x10\x03\x3a\x02\x08\x01"), "step 3, session_log START"
    assert b"\x10\xac\x02" in scalars, "step 300"
    assert b"\x0a\x04loss\x15" + struct.pack("<f", 0.5) in scalars


def test_the_reference_reader_agrees(tmp_path: Path) -> None:
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    file = EventFile(tmp_path, 7)
    file.write(8, {"a": 2.0, "b/c": -1.5})
    file.close()
    version, start, scalars = (event_pb2.Event.FromString(data) for data in records(next(tmp_path.iterdir())))
    assert version.file_version == "brain.Event:2" and (start.step, start.session_log.status) == (8, 1)
    assert scalars.step == 8 and {v.tag: v.simple_value for v in scalars.summary.value} == {"a": 2.0, "b/c": -1.5}


def test_a_full_disk_is_no_reason_to_stop() -> None:
    file = EventFile.__new__(EventFile)
    with Path("/dev/full").open("ab") as file.file:
        file.write(1, {"loss": 1.0})
        file.close()
