"""Phonemes: IPA strings to a fixed inventory of base letters, and those to coarticulated mouth shapes (visemes).

A `Phone` is one base letter with its time. Diphthongs and affricates are split into their letters, stress, length,
tone and palatalisation marks are dropped, so 64 classes serve English, Chinese, Japanese and Korean.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

SILENCE = "_"


class Phone(NamedTuple):
    """One base letter of the IPA and the time, in seconds, during which it is spoken."""

    ipa: str
    start: float
    end: float


# letters: (open, spread, teeth, tongue), weight of open, weight of spread. Openings are those of a calm face.
_SHAPES: dict[str, tuple[tuple[float, float, float, float], float, float]] = {
    SILENCE: ((0.0, 0.0, 0.0, 0.0), 0.5, 0.3),
    "a": ((1.0, 0.10, 0.35, 0.15), 1.0, 0.6),
    "ɑ": ((1.0, 0.0, 0.30, 0.15), 1.0, 0.6),
    "æ": ((0.90, 0.45, 0.45, 0.15), 1.0, 0.8),
    "ɐ": ((0.85, 0.10, 0.35, 0.15), 1.0, 0.6),
    "ʌ": ((0.65, 0.05, 0.30, 0.10), 0.9, 0.5),
    "ɛ": ((0.62, 0.45, 0.45, 0.15), 0.9, 0.8),
    "e": ((0.50, 0.60, 0.50, 0.15), 0.9, 0.9),
    "ə": ((0.40, 0.05, 0.25, 0.10), 0.6, 0.3),
    "ɜ": ((0.42, -0.15, 0.25, 0.10), 0.8, 0.5),
    "ɚ": ((0.38, -0.25, 0.25, 0.15), 0.7, 0.6),
    "ɪ": ((0.35, 0.60, 0.45, 0.10), 0.8, 0.8),
    "i": ((0.25, 0.90, 0.55, 0.10), 0.9, 1.0),
    "y": ((0.22, -0.85, 0.15, 0.05), 0.9, 1.0),
    "ɨ": ((0.28, 0.30, 0.45, 0.10), 0.7, 0.6),
    "ɯ": ((0.28, 0.10, 0.35, 0.05), 0.8, 0.6),
    "ɤ": ((0.42, 0.05, 0.30, 0.05), 0.8, 0.5),
    "ɔ": ((0.66, -0.50, 0.20, 0.05), 0.9, 0.9),
    "ɒ": ((0.80, -0.35, 0.25, 0.05), 0.9, 0.9),
    "o": ((0.50, -0.70, 0.15, 0.05), 0.9, 1.0),
    "ø": ((0.45, -0.60, 0.20, 0.05), 0.9, 1.0),
    "ʊ": ((0.30, -0.65, 0.15, 0.05), 0.8, 1.0),
    "u": ((0.20, -0.95, 0.10, 0.05), 0.9, 1.0),
    "p": ((0.0, 0.0, 0.0, 0.0), 1.3, 0.2),
    "b": ((0.0, 0.0, 0.0, 0.0), 1.3, 0.2),
    "m": ((0.0, 0.0, 0.0, 0.0), 1.3, 0.2),
    "f": ((0.10, 0.10, 0.90, 0.0), 1.1, 0.5),
    "v": ((0.12, 0.10, 0.90, 0.0), 1.1, 0.5),
    "ɸ": ((0.12, -0.10, 0.10, 0.0), 1.0, 0.4),
    "β": ((0.12, -0.10, 0.10, 0.0), 1.0, 0.4),
    "θ": ((0.26, 0.20, 0.60, 1.0), 0.9, 0.4),
    "ð": ((0.26, 0.20, 0.60, 1.0), 0.8, 0.4),
    "t": ((0.20, 0.20, 0.60, 0.45), 0.6, 0.3),
    "d": ((0.20, 0.20, 0.60, 0.45), 0.6, 0.3),
    "n": ((0.22, 0.15, 0.50, 0.50), 0.6, 0.3),
    "ɲ": ((0.22, 0.40, 0.50, 0.30), 0.6, 0.5),
    "ɳ": ((0.22, 0.10, 0.50, 0.40), 0.6, 0.3),
    "ʈ": ((0.20, 0.0, 0.60, 0.35), 0.6, 0.3),
    "ɖ": ((0.20, 0.0, 0.60, 0.35), 0.6, 0.3),
    "l": ((0.32, 0.10, 0.40, 0.80), 0.6, 0.3),
    "ɫ": ((0.32, -0.10, 0.35, 0.70), 0.6, 0.3),
    "ɬ": ((0.25, 0.20, 0.50, 0.60), 0.6, 0.3),
    "ɾ": ((0.25, 0.10, 0.40, 0.55), 0.5, 0.2),
    "r": ((0.27, 0.0, 0.40, 0.45), 0.6, 0.3),
    "ɹ": ((0.25, -0.45, 0.35, 0.20), 0.7, 0.8),
    "ɻ": ((0.25, -0.45, 0.35, 0.20), 0.7, 0.8),
    "s": ((0.14, 0.45, 0.95, 0.05), 1.0, 0.6),
    "z": ((0.14, 0.45, 0.95, 0.05), 1.0, 0.6),
    "ʃ": ((0.20, -0.50, 0.85, 0.05), 0.9, 0.9),
    "ʒ": ((0.20, -0.50, 0.85, 0.05), 0.9, 0.9),
    "ʂ": ((0.20, -0.30, 0.85, 0.05), 0.9, 0.7),
    "ʐ": ((0.20, -0.30, 0.80, 0.10), 0.9, 0.7),
    "ɕ": ((0.18, 0.35, 0.85, 0.05), 0.9, 0.6),
    "ʑ": ((0.18, 0.35, 0.85, 0.05), 0.9, 0.6),
    "ç": ((0.24, 0.50, 0.60, 0.05), 0.7, 0.6),
    "k": ((0.30, 0.05, 0.35, 0.05), 0.3, 0.15),
    "ɡ": ((0.30, 0.05, 0.35, 0.05), 0.3, 0.15),
    "ŋ": ((0.30, 0.05, 0.30, 0.05), 0.3, 0.15),
    "x": ((0.34, 0.05, 0.35, 0.05), 0.3, 0.15),
    "h": ((0.40, 0.05, 0.30, 0.05), 0.15, 0.1),
    "ʔ": ((0.30, 0.0, 0.25, 0.05), 0.12, 0.1),
    "j": ((0.26, 0.75, 0.50, 0.10), 0.6, 0.9),
    "w": ((0.14, -0.95, 0.10, 0.05), 0.9, 1.2),
}

PHONES: tuple[str, ...] = tuple(_SHAPES)
"""The inventory: class index -> letter; class 0 is silence."""

CLASSES = 64
"""Width of the audio encoder's phone head; the inventory leaves spare rows."""

CHANNELS = ("open", "spread", "teeth", "tongue")

_INDEX = {letter: i for i, letter in enumerate(PHONES)}
_TARGETS = np.array([_SHAPES[p][0] for p in PHONES], np.float32)
_WEIGHTS = np.array([(o, s, o, o) for _, o, s in _SHAPES.values()], np.float32)
_ALIKE = str.maketrans(
    {"g": "ɡ", "ɝ": "ɚ", "œ": "ø", "ɵ": "ø", "ʉ": "u", "q": "k", "χ": "x", "ɣ": "x", "ʁ": "x", "ħ": "h", "ɦ": "h"}
    | {
        "ʰ": "h",
        "ɱ": "m",
        "c": "k",
        "ɟ": "ɡ",
        "ʋ": "v",
        "ɭ": "l",
        "ɽ": "ɾ",
        "ɴ": "ŋ",
        "ɘ": "ə",
        "ɞ": "ɜ",
        "ᵻ": "ɪ",
        "ɥ": "y",
    }
)
_VOWELS = frozenset("aɑæɐʌɛeəɜɚɪiyɨɯɤɔɒoøʊu")
_BILABIAL = "pbm"
_VOICELESS_STOPS = frozenset("ptkʈ")
_REACH = 0.055
_LIPS_CLOSE_IN = 0.045


def letters(ipa: str) -> list[str]:
    """Base letters of one IPA string: "ˈoʊ" -> [o, ʊ], "tɕh" -> [t, ɕ, h], "(en)" -> []."""
    if ipa.startswith("("):
        return []
    kept_cedilla = ipa.replace("ç", "\ue000")
    plain = "".join(c for c in unicodedata.normalize("NFD", kept_cedilla) if not unicodedata.combining(c))
    return [c for c in plain.replace("\ue000", "ç").translate(_ALIKE) if c in _INDEX and c != SILENCE]


def split_phones(marks: Iterable[tuple[str, float, float]]) -> list[Phone]:
    """(ipa, start, end) marks as base-letter phones; a mark's time is shared out, vowels get double."""
    phones = []
    for ipa, start, end in marks:
        parts = letters(ipa)
        shares = np.cumsum([0.0] + [2.0 if p in _VOWELS else 1.0 for p in parts])
        for part, low, high in zip(parts, shares[:-1], shares[1:], strict=True):
            span = (end - start) / shares[-1]
            phones.append(Phone(part, float(start + low * span), float(start + high * span)))
    return [p for p in phones if p.end > p.start]


def close_before_burst(phones: Sequence[Phone], closure: float = 0.045) -> list[Phone]:
    """Start each voiceless stop where its closure starts: espeak marks the burst, `closure` seconds later."""
    out: list[Phone] = []
    for phone in phones:
        earlier = out[-1] if out else None
        adjoining = earlier is not None and phone.start - earlier.end < closure
        if phone.ipa in _VOICELESS_STOPS:
            free = 0.45 * (earlier.end - earlier.start) if adjoining and earlier else phone.start
            start = phone.start - min(closure, free)
            if adjoining and earlier:
                out[-1] = earlier._replace(end=min(earlier.end, start))
            phone = phone._replace(start=start)
        out.append(phone)
    return out


def _with_silence(phones: Sequence[Phone]) -> list[Phone]:
    """The phones with every gap, and the time before and after, filled by silence."""
    filled, now = [], -1e3
    for phone in phones:
        if phone.start - now > 1e-3:
            filled.append(Phone(SILENCE, now, phone.start))
        filled.append(phone)
        now = max(now, phone.end)
    return [*filled, Phone(SILENCE, now, 1e6)]


def phone_classes(phones: Sequence[Phone], times_s: np.ndarray) -> np.ndarray:
    """Class index [T] of the phone spoken at each instant."""
    filled = _with_silence(phones)
    starts = np.array([p.start for p in filled])
    ids = np.array([_INDEX[p.ipa] for p in filled])
    return ids[np.searchsorted(starts, np.asarray(times_s), side="right") - 1].astype(np.int32)


def visemes(phones: Sequence[Phone], times_s: np.ndarray) -> np.ndarray:
    """Mouth shape [T, 4] (open, spread, teeth, tongue) at each instant, without any emotion.

    Coarticulation by dominance (Cohen and Massaro 1993): each phone pulls towards its shape with a weight that is
    full while it sounds and falls off within about 55 ms around it; /k/ and /h/ hardly pull. /p b m/ always close
    the lips fully, whatever their neighbours are.
    """
    filled = _with_silence(phones)
    time_T1 = np.asarray(times_s, np.float64)[:, None]
    start_N = np.array([p.start for p in filled])
    end_N = np.array([p.end for p in filled])
    ids_N = np.array([_INDEX[p.ipa] for p in filled])
    outside_TN = np.maximum(np.maximum(start_N - time_T1, time_T1 - end_N), 0)
    pull_TN = np.exp(-((outside_TN / _REACH) ** 1.5))
    weight_TN4 = pull_TN[:, :, None] * _WEIGHTS[ids_N]
    shape_T4 = (weight_TN4 * _TARGETS[ids_N]).sum(1) / np.maximum(weight_TN4.sum(1), 1e-6)
    shut_T = np.zeros(len(shape_T4))
    for phone in filled:
        if phone.ipa in _BILABIAL:
            # The lips part at the burst, which is the last third of a stop; /m/ stays shut.
            end = phone.end if phone.ipa == "m" else phone.start + 0.65 * (phone.end - phone.start)
            away = np.maximum(np.maximum(phone.start - time_T1[:, 0], time_T1[:, 0] - end), 0) / _LIPS_CLOSE_IN
            shut_T = np.maximum(shut_T, 1 - np.clip(away, 0, 1) ** 2)
    shape_T4[:, (0, 2, 3)] *= (1 - shut_T)[:, None]
    return shape_T4.astype(np.float32)
