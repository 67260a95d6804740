"""Motion of a talking avatar as smooth functions of time: head, camera, eyes, hands and the change of emotions.

Every track is a closed form in seconds (sums of sines, eased ramps, bell-shaped pulses), so it can be read at any
frame rate and is at least once continuously differentiable: the DiT has to learn it, and a jerk in the data becomes
jitter in the model. Magnitudes follow the codec's training poses (docs/embedded.md): at motion 0.5 the head moves by
about 0.02/0.015 picture widths, rolls 0.06 rad and turns 0.5/0.42 (yaw/pitch).

Signs are the viewer's: look_left and pan_left mean the left edge of the picture (gaze_x, yaw, pan_x negative).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from avatar_jax.director.camera import LEAN_IN, LIMITS, MOVES, ease, way
from avatar_jax.director.storyline import Shot
from data_pipeline.synthetic.phonemes import Phone
from data_pipeline.synthetic.state import COLUMN, RANGES, STATE, bound, emotion_face, open_gain

Track = np.ndarray
"""A float array over the asked times."""

HEAD_SD = {"head_x": 0.02, "head_y": 0.015, "roll": 0.06, "yaw": 0.5, "pitch": 0.42}
HOP = 160
BOUNDARY_S = 0.4
"""Seconds that a change of emotion or gaze takes at a shot boundary."""
LIVELY = {
    "excitement": 1.35,
    "joy": 1.15,
    "anger": 1.15,
    "surprise": 1.1,
    "calm": 0.7,
    "sadness": 0.6,
    "confusion": 0.9,
}
"""How much an emotion of intensity 1 scales the head's movement."""
CARRIAGE: dict[str, dict[str, float]] = {
    "sadness": {"pitch": 0.35, "head_y": 0.008},
    "anger": {"pitch": 0.2},
    "surprise": {"pitch": -0.25, "head_y": -0.006},
    "confusion": {"roll": 0.07, "yaw": 0.12},
    "joy": {"pitch": -0.1},
    "excitement": {"pitch": -0.12, "head_y": -0.004},
}
"""How an emotion of intensity 1 carries the head."""


def pulse(times: Track, centre: float, rise: float, hold: float, fall: float) -> Track:
    """A bump of height 1: up during `rise`, flat for `hold` (centred), down during `fall`, all in seconds."""
    return ease((times - centre + hold / 2 + rise) / rise) * (1 - ease((times - centre - hold / 2) / fall))


def drift(rng: np.random.Generator, times: Track, sd: float, low: float = 0.08, high: float = 0.7) -> Track:
    """Slow wandering of standard deviation `sd`: sines between `low` and `high` Hz, the slow ones larger."""
    frequency = np.exp(rng.uniform(np.log(low), np.log(high), 8))
    power = rng.gamma(2.0, 1.0, 8) / frequency**1.2
    amplitude = sd * np.sqrt(2 * power / power.sum())
    phase = rng.uniform(0, 2 * np.pi, 8)
    return (amplitude * np.sin(2 * np.pi * frequency * times[:, None] + phase)).sum(-1)


def shot_weights(shots: Sequence[Shot], times: Track) -> np.ndarray:
    """[T, S] shares of the shots, each row summing to 1, cross-faded over `BOUNDARY_S` around a boundary."""
    after = [np.ones_like(times), *(ease((times - float(s.start)) / BOUNDARY_S + 0.5) for s in shots[1:])]
    after.append(np.zeros_like(times))
    return np.stack([now - later for now, later in pairwise(after)], axis=-1)


def speech_energy(wave_16k: np.ndarray) -> Track:
    """Loudness 0 to 1 every 10 ms from 5 ms on, relative to the loud parts, smoothed over about a syllable."""
    samples = wave_16k.astype(np.float32) / 32768.0
    blocks = samples[: len(samples) // HOP * HOP].reshape(-1, HOP)
    decibels = 20 * np.log10(np.sqrt((blocks**2).mean(-1)) + 1e-5)
    level = np.clip((decibels - max(np.percentile(decibels, 95), -35.0)) / 30 + 1, 0, 1)
    taps = np.exp(-0.5 * (np.arange(-48, 49) / 12.0) ** 2)
    return np.convolve(np.pad(level, 48, mode="edge"), taps / taps.sum(), mode="valid")


def beats(energy: Track) -> Track:
    """Seconds of the loudest instants of syllables, where heads tend to dip."""
    middle = energy[1:-1]
    return (np.flatnonzero((middle > energy[:-2]) & (middle >= energy[2:]) & (middle > 0.35)) + 1.5) * HOP / 16000


def silences(phones: Sequence[Phone], seconds: float, least: float = 0.5) -> list[tuple[float, float]]:
    """Stretches of at least `least` seconds in which nothing is spoken."""
    gaps, at = [], 0.0
    for start, end in [*((p.start, p.end) for p in phones), (seconds, seconds)]:
        if start - at >= least:
            gaps.append((at, start))
        at = max(at, end)
    return gaps


def camera(
    rng: np.random.Generator, shots: Sequence[Shot], spans: Sequence[tuple[float, float]], times: Track
) -> dict[str, Track]:
    """Camera path: each shot adds an eased move that lasts for its span, within `LIMITS`.

    `spans` are the shots' (start, end) in seconds; those of the outer shots may reach beyond the clip, which then
    shows part of a longer, slower move.
    """
    here = {"log_zoom": 0.0, "pan_x": 0.0, "pan_y": 0.0}
    if rng.random() < 0.4:
        here = {
            "log_zoom": rng.uniform(-0.12, 0.25),
            "pan_x": rng.uniform(-0.08, 0.08),
            "pan_y": rng.uniform(-0.04, 0.04),
        }
    for shot in shots[:1]:  # room for the move to come
        if shot.camera in MOVES:
            column, full = MOVES[shot.camera]
            here[column] = -full * rng.uniform(0.0, 0.8) * (rng.random() < 0.5)
    tracks = {column: np.full_like(times, value) for column, value in here.items()}
    for shot, (start, end) in zip(shots, spans, strict=True):
        if shot.camera in MOVES:
            column, move = way(shot)
            goal = float(np.clip(here[column] + move, *LIMITS[column]))
            tracks[column] += (goal - here[column]) * ease((times - start) / (end - start))
            here[column] = goal
    return tracks


def head(
    rng: np.random.Generator, shots: Sequence[Shot], weights_TS: np.ndarray, energy: Track, times: Track
) -> dict[str, Track]:
    """Wandering that grows with the voice, beats on loud syllables, swaying in song, the carriage of the emotion."""
    lively = np.array([(0.12 + 1.76 * s.motion) * LIVELY.get(s.emotion, 1.0) ** s.intensity for s in shots])
    amount = weights_TS @ lively
    voice = 0.55 + 0.6 * np.interp(times, (np.arange(len(energy)) + 0.5) * HOP / 16000, energy)
    tracks = {name: amount * voice * drift(rng, times, 0.8 * sd) for name, sd in HEAD_SD.items()}
    for name in HEAD_SD:
        side = rng.choice([-1, 1]) if name in ("roll", "yaw") else 1
        carried = np.array([side * s.intensity * CARRIAGE.get(s.emotion, {}).get(name, 0.0) for s in shots])
        tracks[name] += weights_TS @ carried
    aside = {"left": ("yaw", -0.2), "right": ("yaw", 0.2), "up": ("pitch", -0.2), "down": ("pitch", 0.2)}
    for shot, weight in zip(shots, weights_TS.T, strict=True):
        if shot.gaze in aside:
            name, turn = aside[shot.gaze]
            tracks[name] += turn * weight
        if shot.voice == "singing":
            swing = np.sin(2 * np.pi * (rng.uniform(0.5, 0.8) * times + rng.random())) * weight * amount
            tracks["roll"] += 0.03 * swing
            tracks["head_x"] += 0.008 * swing
    for beat in beats(energy):
        bump = amount * pulse(times, beat, 0.24, 0.02, 0.34)
        for name, size in (("pitch", rng.uniform(0.05, 0.28)), ("yaw", rng.normal(0, 0.08))):
            tracks[name] += size * bump
    return tracks


def swing(times: Track, start: float, end: float, hertz: float, cycles: float, wait: float = 0.0) -> Track:
    """A few swings under a smooth bell, from `wait` seconds after `start` on, or sooner where there is no time; 1 is
    the first and largest."""
    length = min(cycles / hertz + 0.5, end - start)
    centre = start + length / 2 + min(wait, end - start - length)
    bell = pulse(times, centre, length / 3, length / 3, length / 3)
    return bell * np.sin(2 * np.pi * hertz * (times - centre + length / 2))


def act(rng: np.random.Generator, shot: Shot, span: tuple[float, float], times: Track) -> dict[str, Track]:
    """What a shot's action adds to the state columns during its span; (the place of a raised hand is the clip's).

    Its course follows the shot's clock with little chance in it: what is asked for happens when its shot begins.
    """
    start, end = span
    length = end - start
    edge = min(0.5, length / 3)
    held = pulse(times, (start + end) / 2, edge, max(length - 2 * edge - 0.1, 0.05), edge)
    size = rng.uniform(0.9, 1.1)
    match shot.action:
        case "nod":
            nod = swing(times, start, end, rng.uniform(1.55, 1.65), 3, rng.uniform(0, 0.1))
            return {"pitch": 0.55 * size * nod, "head_y": 0.007 * size * nod}
        case "shake_head":
            shake = swing(times, start, end, rng.uniform(1.35, 1.45), 3, rng.uniform(0, 0.1))
            return {"yaw": 0.75 * size * shake, "head_x": 0.006 * size * shake}
        case "tilt_head":
            # One side for all: the wish names none, and a model that is shown both makes the mean, which is no tilt.
            return {"roll": 0.15 * size * held}
        case "look_left" | "look_right":
            side = -1 if shot.action == "look_left" else 1
            return {"yaw": 0.7 * side * size * held, "head_x": 0.008 * side * held}
        case "lean_in":
            return {"log_zoom": LEAN_IN * size * held, "pitch": 0.15 * held, "head_y": 0.008 * held}
        case "raise_hand" | "wave":
            wave = swing(times, start, end, rng.uniform(1.77, 1.83), 1.8 * length) if shot.action == "wave" else 0.0
            return {"hand": held, "hand_x": 0.05 * wave * held}
    return {}


def listening_nods(rng: np.random.Generator, gaps: Sequence[tuple[float, float]], times: Track) -> Track:
    """Small nods of someone who listens, in silences long enough for one."""
    pitch = np.zeros_like(times)
    for start, end in gaps:
        if end - start > 1.0 and rng.random() < 0.6:
            pitch += rng.uniform(0.15, 0.3) * swing(times, start, end, 1.4, 2, rng.uniform(0, end - start))
    return pitch


def blinks(rng: np.random.Generator, times: Track, seconds: float, extra: Sequence[float] = ()) -> Track:
    """Eyelids, 1 closed: about one blink in three seconds, plus likely ones at `extra` instants (gaze shifts)."""
    closed, at = np.zeros_like(times), rng.exponential(1.5)
    centres = [t for t in extra if rng.random() < 0.3]
    while at < seconds:
        centres.append(at)
        at += 0.7 + rng.exponential(2.2)
    for centre in centres:
        closed = np.maximum(closed, pulse(times, centre, 0.09, rng.uniform(0.02, 0.06), 0.15))
    return closed


GAZE = {"viewer": (0.0, 0.0), "left": (-0.8, 0.0), "right": (0.8, 0.0), "up": (0.0, -0.7), "down": (0.0, 0.7)}


def gaze(rng: np.random.Generator, shots: Sequence[Shot], times: Track) -> tuple[dict[str, Track], list[float]]:
    """Eyes that rest on a target and jump (80 ms) to the next: the two columns, and the instants of large jumps."""
    here, at, jumps = np.zeros(2), -1.0, []
    track_T2 = np.zeros((len(times), 2))
    while at < float(shots[-1].end):
        index = max((i for i, s in enumerate(shots) if float(s.start) <= at), default=0)
        looks = {"look_left": "left", "look_right": "right"}.get(shots[index].action, shots[index].gaze)
        wander = 0.1 if rng.random() < 0.7 else 0.35
        there = np.clip(np.array(GAZE[looks]) + rng.normal(0, wander, 2) * (1.0, 0.6), -1, 1)
        track_T2 += ease((times - at) / 0.08)[:, None] * (there - here)
        if np.hypot(*(there - here)) > 0.5:
            jumps.append(at)
        cut = float(shots[index + 1].start) if index + 1 < len(shots) else np.inf
        here, at = there, min(at + 0.5 + rng.exponential(1.0), max(cut, at + 0.15))
    return {"gaze_x": track_T2[:, 0], "gaze_y": track_T2[:, 1]}, jumps


def face(shots: Sequence[Shot], weights_TS: np.ndarray, visemes_T4: np.ndarray) -> dict[str, Track]:
    """Mouth and brows: visemes with the emotion's gain, plus the emotion's offsets, ramped at the boundaries."""
    gain = weights_TS @ np.array([open_gain(s.emotion, s.intensity) for s in shots])
    columns: dict[str, Track] = {name: visemes_T4[:, i].astype(np.float64) for i, name in enumerate(STATE[:4])}
    columns["open"] = columns["open"] * gain
    for shot, weight in zip(shots, weights_TS.T, strict=True):
        for name, offset in emotion_face(shot.emotion, shot.intensity).items():
            columns[name] = columns.get(name, np.zeros(len(gain))) + offset * weight
    return columns


def states(
    rng: np.random.Generator,
    shots: Sequence[Shot],
    spans: Sequence[tuple[float, float]],
    actions: Sequence[tuple[float, float]],
    phones: Sequence[Phone],
    wave_16k: np.ndarray,
    visemes_T4: np.ndarray,
    times: Track,
    handed: int = 1,
) -> np.ndarray:
    """[T, len(STATE)] states of one clip at `times` seconds; `visemes_T4` are those of `phones` at these times.

    `shots` cover the clip; `spans` are their starts and ends for the camera (see `camera`), `actions` those for what
    the body does. `occlude` is left 0: it depends on who is drawn.
    """
    times = np.asarray(times, np.float64)
    seconds = len(wave_16k) / 16000
    weights_TS, energy = shot_weights(shots, times), speech_energy(wave_16k)
    eyes, jumps = gaze(rng, shots, times)
    parts = [camera(rng, shots, spans, times), head(rng, shots, weights_TS, energy, times), eyes]
    parts += [face(shots, weights_TS, visemes_T4), {"blink": blinks(rng, times, seconds, jumps)}]
    parts += [{"hand_x": 0 * times + handed * rng.uniform(0.24, 0.32), "hand_y": 0 * times + rng.uniform(-0.06, 0.12)}]
    parts += [{"pitch": listening_nods(rng, silences(phones, seconds), times)}]
    parts += [act(rng, shot, span, times) for shot, span in zip(shots, actions, strict=True)]
    out = np.zeros((len(times), len(STATE)))
    for part in parts:
        for name, track in part.items():
            out[:, COLUMN[name]] += track
    for name in HEAD_SD:
        limit = RANGES[name][1]
        out[:, COLUMN[name]] /= (1 + (out[:, COLUMN[name]] / limit) ** 4) ** 0.25  # a soft stop, without a jerk
    return bound(out)
