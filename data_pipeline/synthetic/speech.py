"""Labelled synthetic speech: `speak(seed, split)` is a clip with its phones; sung and silent clips are among them.

The same seed and split give the same clip, whatever was spoken before it and in whichever process.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import resample_poly

from data_pipeline.synthetic import text_corpus, voice
from data_pipeline.synthetic.phonemes import Phone

SAMPLE_RATE = 16000

_LANGUAGE_SHARES = {"en": 0.46, "zh": 0.2, "ja": 0.17, "ko": 0.17}
_SILENT_SHARE = 0.03
_SUNG_SHARE = 0.08
_RESEED = 1_000_003
_SPOKEN_RATES, _SUNG_RATES = (115, 231), (85, 120)
"""Words a minute, from the slowest up to below the fastest."""
_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)


@dataclass(frozen=True)
class Speech:
    """A clip: int16 mono at 16 kHz, phones in seconds, and what was said by whom.

    `language` is en, zh, ja or ko; `voice` names the synthesiser's voice; `mode` is speech, song or silence.
    """

    wave: np.ndarray
    phones: list[Phone]
    language: str
    voice: str
    mode: str
    text: str

    @property
    def seconds(self) -> float:
        return len(self.wave) / SAMPLE_RATE


@dataclass(frozen=True)
class Manner:
    """What a caller wants to have fixed instead of drawn: language, mode (speech or song), and `pace`, the part of the
    range of speaking rates (0 slowest, 1 fastest) that the rate is taken from."""

    language: str
    mode: str
    pace: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class _Speaker:
    """One speaker's way of talking: `say` turns a text and a pitch (None: own) into an utterance."""

    name: str
    say: Callable[[str, int | None], voice.Utterance]


def speak(
    seed: int,
    split: str = "train",
    seconds: tuple[float, float] = (4.0, 8.0),
    flite_share: float = 0.0,
    manner: Manner | None = None,
) -> Speech:
    """The clip of `seed`, its length drawn from `seconds`. Held-out voices are f5 and m8 (and slt of flite).

    `flite_share` of the English clips is spoken by flite voices; keep 0 where flite may be missing. Without a `manner`
    language, mode and rate are drawn.
    """
    if split not in ("train", "heldout"):
        raise ValueError(f"split must be train or heldout, got {split!r}")
    for attempt in range(5):
        try:
            return _clip(
                np.random.default_rng([seed + attempt * _RESEED, zlib.crc32(split.encode())]),
                split,
                seconds,
                flite_share,
                manner,
            )
        except voice.SynthesisCrash:
            continue
    raise voice.SynthesisCrash(f"five other seeds crashed in a row after seed {seed}")


def _clip(
    rng: np.random.Generator, split: str, seconds: tuple[float, float], flite_share: float, manner: Manner | None
) -> Speech:
    count = round(rng.uniform(*seconds) * SAMPLE_RATE)
    language = str(rng.choice(list(_LANGUAGE_SHARES), p=list(_LANGUAGE_SHARES.values())))
    mode = str(
        rng.choice(["silence", "song", "speech"], p=[_SILENT_SHARE, _SUNG_SHARE, 1 - _SILENT_SHARE - _SUNG_SHARE])
    )
    if manner is not None:
        language, mode = manner.language, manner.mode
    if mode == "silence":
        hiss = rng.normal(size=count) * 10 ** rng.uniform(-0.5, 2)
        return Speech(hiss.astype(np.int16), [], language, "none", mode, "")
    if mode == "speech" and language == "en" and rng.random() < flite_share:
        speaker = _flite_speaker(rng, split)
    else:
        speaker = _espeak_speaker(rng, language, split, mode == "song", manner.pace if manner else None)
    track = _sing(rng, speaker, language) if mode == "song" else _talk(rng, speaker, language)
    pieces, phones, texts, now = [], [], [], 0
    for text, utterance, pause in track:
        rate = utterance.sample_rate
        sound = resample_poly(utterance.wave.astype(np.float32), 320, 441) if rate == 22050 else _to_16k(utterance)
        pieces.append(sound)
        texts.append(text)
        phones += [Phone(p.ipa, p.start + now / SAMPLE_RATE, p.end + now / SAMPLE_RATE) for p in utterance.phones]
        gap = round(pause * SAMPLE_RATE)
        pieces.append(np.zeros(gap, np.float32))
        now += len(sound) + gap
        if now >= count:
            break
    speech = Speech(np.concatenate(pieces), phones, language, speaker.name, mode, " ".join(t for t in texts if t))
    if mode == "song":
        speech = _hold_notes(rng, speech)
    return _cut(rng, speech, count)


def _to_16k(utterance: voice.Utterance) -> np.ndarray:
    sound = utterance.wave.astype(np.float32)
    divisor = int(np.gcd(SAMPLE_RATE, utterance.sample_rate))
    return resample_poly(sound, SAMPLE_RATE // divisor, utterance.sample_rate // divisor)


def _espeak_speaker(
    rng: np.random.Generator, language: str, split: str, sung: bool, pace: tuple[float, float] | None
) -> _Speaker:
    variants = voice.TRAIN_VARIANTS if split == "train" else voice.HELDOUT_VARIANTS
    dialects = voice.LANGUAGES[language]
    dialect = dialects[0] if rng.random() < 0.5 else dialects[rng.integers(len(dialects))]
    name = f"{dialect}+{variants[rng.integers(len(variants))]}"
    slowest, fastest = _SUNG_RATES if sung else _SPOKEN_RATES
    drawn = rng.integers(slowest, fastest)
    if pace is not None:
        drawn = slowest + (fastest - slowest) * rng.uniform(*pace)
    request = voice.Request(
        text="",
        voice=name,
        rate=int(drawn),
        pitch=int(rng.integers(5, 96)),
        pitch_range=int(rng.integers(0, 12) if sung else rng.integers(5, 91)),
        seed=int(rng.integers(2**31)),
    )

    def say(text: str, pitch: int | None) -> voice.Utterance:
        return voice.espeak_child().say(replace(request, text=text, pitch=request.pitch if pitch is None else pitch))

    return _Speaker(name, say)


def _flite_speaker(rng: np.random.Generator, split: str) -> _Speaker:
    names = voice.FLITE_TRAIN if split == "train" else voice.FLITE_HELDOUT
    name = names[rng.integers(len(names))]
    stretch = float(rng.uniform(0.75, 1.3))
    return _Speaker(f"flite:{name}", lambda text, _: voice.flite_say(text, name, stretch))


def _pause(rng: np.random.Generator) -> float:
    """Seconds between sentences: mostly short, now and then a long silence."""
    return float(rng.uniform(0.8, 2.5) if rng.random() < 0.12 else min(rng.exponential(0.2), 0.8))


def _talk(rng: np.random.Generator, speaker: _Speaker, language: str):
    """Endless (text, utterance, pause after it); the first entry is a lead-in."""
    yield "", voice.Utterance(np.zeros(0, np.int16), SAMPLE_RATE, []), float(rng.uniform(0, 0.5))
    while True:
        text = text_corpus.utterance_text(rng, language)
        yield text, speaker.say(text, None), _pause(rng)


def _sing(rng: np.random.Generator, speaker: _Speaker, language: str):
    """Like `_talk`, one word a note: pitches wander over a scale, and the pause after a word is cut away."""
    root = int(rng.integers(15, 50))
    step = int(rng.integers(len(_SCALE)))
    while True:
        for word in text_corpus.phrase(rng, language, 3, 7):
            step = int(np.clip(step + rng.integers(-2, 3), 0, len(_SCALE) - 1))
            note = speaker.say(word, root + 3 * _SCALE[step])
            if not note.phones:
                continue
            end = round((note.phones[-1].end + 0.02) * note.sample_rate)
            yield word, replace(note, wave=note.wave[:end]), 0.0
        yield "", voice.Utterance(np.zeros(0, np.int16), SAMPLE_RATE, []), _pause(rng)


def _hold_notes(rng: np.random.Generator, speech: Speech) -> Speech:
    """Stretch time so that vowels are held, and add vibrato as a slow wobble of time (labels move by < 2 ms)."""
    from librosa.effects import time_stretch

    stretch = float(rng.uniform(1.0, 1.7))
    sound = time_stretch(speech.wave, rate=1 / stretch)
    seconds = np.arange(len(sound)) / SAMPLE_RATE
    speed, depth = rng.uniform(4.5, 6.5), rng.uniform(0.0, 0.02)
    wobble = depth / (2 * np.pi * speed) * np.sin(2 * np.pi * speed * seconds)
    sound = np.interp(seconds + wobble, seconds, sound).astype(np.float32)
    phones = [Phone(p.ipa, p.start * stretch, p.end * stretch) for p in speech.phones]
    return replace(speech, wave=sound, phones=phones)


def _cut(rng: np.random.Generator, speech: Speech, count: int) -> Speech:
    """Exactly `count` samples at a random loudness; a phone that the cut meets ends there, faded over 10 ms."""
    sound = np.pad(speech.wave, (0, max(0, count - len(speech.wave))))[:count].copy()
    fade = SAMPLE_RATE // 100
    sound[-fade:] *= np.linspace(1, 0, fade)
    peak = max(float(np.abs(sound).max()), 1.0)
    sound *= rng.uniform(0.25, 0.9) * 32767 / peak
    end = count / SAMPLE_RATE
    phones = [p._replace(end=min(p.end, end)) for p in speech.phones if p.start < end]
    return replace(speech, wave=sound.astype(np.int16), phones=phones)
