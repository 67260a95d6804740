"""Synthetic speakers: espeak-ng in a child process that may crash, and Debian's flite where it is installed.

Both give 16-bit sound and its phones with exact times.
"""

import atexit
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import wave
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data_pipeline.synthetic import espeak
from data_pipeline.synthetic.phonemes import Phone, close_before_burst, split_phones

LANGUAGES = {"en": ("en-us", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc"), "zh": ("cmn",), "ja": ("ja",), "ko": ("ko",)}

HELDOUT_VARIANTS = ("f5", "m8")
_VARIANT_NAMES = """
Alex Alicia Andrea Andy Annie AnxiousAndy Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike
Nguyen Reed RicishayMax RicishayMax2 RicishayMax3 Storm Tweaky adam anika anikaRobot announcer antonio aunty belinda
benjamin boris caleb croak david ed edward edward2 f1 f2 f3 f4 fast grandma grandpa gustave ian iven iven2 iven3 iven4
john kaukovalta klatt klatt2 klatt3 klatt4 klatt5 klatt6 linda m1 m2 m3 m4 m5 m6 m7 marcelo max michel miguel mike2
norbert pablo paul pedro quincy rob robert robosoft robosoft2 robosoft3 robosoft4 robosoft5 robosoft6 robosoft7
robosoft8 sandro shelby steph steph2 steph3 travis victor zac
"""
TRAIN_VARIANTS = tuple(_VARIANT_NAMES.split())

FLITE_TRAIN = ("kal", "kal16", "awb", "rms")
FLITE_HELDOUT = ("slt",)

_ANSWER_WITHIN_S = 30
_ARPABET_PAIRS = """
aa:ɑ ae:æ ah:ʌ ao:ɔ aw:aʊ ax:ə axr:ɚ ay:aɪ b:b ch:tʃ d:d dh:ð dx:ɾ eh:ɛ el:əl em:əm en:ən er:ɜ ey:eɪ f:f g:ɡ hh:h hv:h
ih:ɪ iy:i jh:dʒ k:k l:l m:m n:n ng:ŋ nx:n ow:oʊ oy:ɔɪ p:p r:ɹ s:s sh:ʃ t:t th:θ uh:ʊ uw:u v:v w:w y:j z:z zh:ʒ
"""
_ARPABET: dict[str, str] = {pair.split(":")[0]: pair.split(":")[1] for pair in _ARPABET_PAIRS.split()}


class SynthesisCrash(RuntimeError):
    """The synthesiser died on this request: take another one."""


@dataclass(frozen=True)
class Request:
    """One utterance. `rate` in words a minute (80..450), `pitch` and `pitch_range` 0..99, as espeak takes them."""

    text: str
    voice: str
    rate: int = 160
    pitch: int = 50
    pitch_range: int = 50
    seed: int = 0


@dataclass(frozen=True)
class Utterance:
    """int16 sound at `sample_rate` and its base-letter phones."""

    wave: np.ndarray
    sample_rate: int
    phones: list[Phone]


class EspeakChild:
    """A child process that runs `espeak.py`; started at the first request, and again if it ever dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def say(self, request: Request) -> Utterance:
        """Sound and phones of one request. SynthesisCrash where espeak-ng dies on it; ValueError: unknown voice."""
        answer = self._ask(request)
        if answer is None:
            self.close()
            raise SynthesisCrash(f"the espeak-ng child died or went silent on {request}")
        head, sound = answer
        if "error" in head:
            raise ValueError(head["error"])
        if "crash" in head:
            raise SynthesisCrash(f"espeak-ng died (status {head['crash']}) on {request}")
        phones = close_before_burst(split_phones((m[0], m[1], m[2]) for m in head["marks"]))
        return Utterance(np.frombuffer(sound, np.int16), espeak.SAMPLE_RATE, phones)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ask(self, request: Request) -> tuple[dict, bytes] | None:
        """The child's answer, or None where it died or went silent."""
        if self._process is None:
            command = [sys.executable, espeak.__file__]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        writer, reader = self._process.stdin, self._process.stdout
        assert writer is not None and reader is not None
        try:
            writer.write(json.dumps(asdict(request)).encode() + b"\n")
            writer.flush()
        except BrokenPipeError:
            return None
        if not select.select([reader], [], [], _ANSWER_WITHIN_S)[0]:
            return None
        line = reader.readline()
        if not line.endswith(b"\n"):
            return None
        head = json.loads(line)
        sound = reader.read(head["bytes"])
        return (head, sound) if len(sound) == head["bytes"] else None


_children: dict[int, EspeakChild] = {}


def espeak_child() -> EspeakChild:
    """This process's child; a forked worker gets its own."""
    if os.getpid() not in _children:
        _children.clear()
        _children[os.getpid()] = child = EspeakChild()
        atexit.register(child.close)
    return _children[os.getpid()]


def flite_installed() -> bool:
    return shutil.which("flite") is not None


def flite_say(text: str, voice: str, stretch: float = 1.0) -> Utterance:
    """An utterance of a flite voice (built from a person's recordings) with flite's own phone times."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        options = ["-voice", voice, "-psdur", "--setf", f"duration_stretch={stretch}"]
        run = subprocess.run(["flite", *options, "-t", text, "-o", str(path)], capture_output=True, timeout=60)
        if run.returncode or not path.exists():
            raise SynthesisCrash(f"flite failed on {text!r}: {run.stderr.decode()[:200]}")
        with wave.open(str(path)) as sound:
            rate = sound.getframerate()
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    marks, now = [], 0.0
    for mark in run.stdout.decode().split():
        name, _, end = mark.rpartition(":")
        if name in _ARPABET:
            marks.append((_ARPABET[name], now, float(end)))
        now = float(end)
    return Utterance(samples, rate, split_phones(marks))
