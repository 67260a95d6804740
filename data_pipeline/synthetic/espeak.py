"""espeak-ng by ctypes: one utterance to 22 kHz sound and phoneme marks. Run as a child process (`voice.py` starts it).

The child reads one JSON request a line and answers with a JSON line of marks, then the raw 16-bit sound. It forks for
each request: espeak-ng crashes now and then, and it carries phases from one utterance to the next, so this way a crash
costs one utterance and a request's sound never depends on earlier ones. GPL-3 code, a tool of data making, not shipped.
"""

import ctypes
import json
import os
import sys
from typing import NoReturn

SAMPLE_RATE = 22050
_SYNCHRONOUS, _PHONEME_EVENTS, _IPA, _UTF8 = 2, 1, 2, 1
_PHONEME = 7
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; the union is read as 8 characters."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The library, initialised once; `say` is one utterance."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._libc = ctypes.CDLL(None)
        data = espeakng_loader.get_data_path().encode()
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _IPA) != SAMPLE_RATE:
            raise RuntimeError("espeak-ng did not start")
        self._sound: list[bytes] = []
        self._events: list[tuple[str, int]] = []
        self._callback = _Callback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, sound, count: int, events) -> int:
        if sound and count:
            self._sound.append(ctypes.string_at(sound, 2 * count))
        i = 0
        while events[i].type:
            if events[i].type == _PHONEME:
                self._events.append((bytes(events[i].name).decode("utf-8", "ignore"), events[i].sample))
            i += 1
        return 0

    def say(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int, seed: int):
        """Marks [(ipa, start s, end s)] and the 16-bit sound at 22,050 Hz. ValueError for an unknown voice."""
        self._sound.clear()
        self._events.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in ((_RATE, rate), (_VOLUME, 100), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, int(value), 0)
        self._libc.srand(seed & 0x7FFFFFFF)  # breath noise: the same request gives the same sound
        raw = text.encode()
        self._library.espeak_Synth(raw, ctypes.c_size_t(len(raw) + 1), 0, 1, 0, _UTF8, None, None)
        sound = b"".join(self._sound)
        starts = [s for _, s in self._events] + [len(sound) // 2]
        marks = [
            (name, starts[i] / SAMPLE_RATE, starts[i + 1] / SAMPLE_RATE)
            for i, (name, _) in enumerate(self._events)
            if name and starts[i + 1] > starts[i]
        ]
        return marks, sound


def serve() -> None:
    """Answer requests on standard input until it closes."""
    speaker = Espeak()
    for line in sys.stdin:
        worker = os.fork()
        if worker == 0:
            _answer(speaker, line)
        _, status = os.waitpid(worker, 0)
        if status:
            _write({"crash": status, "bytes": 0}, b"")


def _answer(speaker: Espeak, line: str) -> NoReturn:
    try:
        marks, sound = speaker.say(**json.loads(line))
        _write({"marks": marks, "bytes": len(sound)}, sound)
    except ValueError as problem:
        _write({"error": str(problem), "bytes": 0}, b"")
    os._exit(0)


def _write(head: dict, sound: bytes) -> None:
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + sound)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()
