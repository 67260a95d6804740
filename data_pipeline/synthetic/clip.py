"""One synthetic clip: a character, what it says, how it moves and why, all from one seed.

Frames are rendered from the states when asked for; a clip itself is a few kilobytes beside its sound.
"""

import zlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8

from avatar_jax.director.storyline import Storyline
from avatar_jax.timeline import frame_count
from data_pipeline.synthetic import motion, render, story
from data_pipeline.synthetic.augment import augment
from data_pipeline.synthetic.identity import Identity, make_identity
from data_pipeline.synthetic.phonemes import Phone, visemes
from data_pipeline.synthetic.speech import SAMPLE_RATE, Speech, speak
from data_pipeline.synthetic.state import COLUMN

FPS = 25
AUGMENTED, WAITING, LONGER = 0.4, 0.18, 1.5
"""Shares of clips with augmented sound and with a silent start or end; factor that covers a hastened voice."""
SPOKEN_LEAST = SAMPLE_RATE // 2
"""Samples that a waiting clip keeps for the voice, however short it is."""
HELD_OUT_IDENTITIES = 10_000_000
"""Held-out characters have seeds from here on, training characters below."""


@dataclass(frozen=True)
class Clip:
    """A talking clip: frame i shows the instant i / 25 s."""

    seed: int
    split: str
    identity: Identity
    speech: Speech
    storyline: Storyline
    states_TS: Float[np.ndarray, "T state"]
    spans_S2: Float[np.ndarray, "S 2"]
    """Start and end of every shot, in seconds; outer shots may reach beyond the clip."""

    @cached_property
    def times(self) -> np.ndarray:
        """Seconds of the frames."""
        return np.arange(len(self.states_TS)) / FPS

    def frames(self, size: int = 128) -> UInt8[np.ndarray, "T size size 3"]:
        return render.render(self.identity, self.states_TS, size)

    def portrait(self, size: int = 128) -> UInt8[np.ndarray, "size size 3"]:
        return render.portrait(self.identity, size)


def identity_seed(seed: int, split: str) -> int:
    return seed + (HELD_OUT_IDENTITIES if split == "heldout" else 0)


def recording(rng: np.random.Generator, seed: int, split: str, seconds: float, flite_share: float = 0.0) -> Speech:
    """Exactly `seconds` of sound; 40 % of training clips come through another vocal tract, room and microphone.

    In 18 % of clips the voice begins late or ends early, so that listening is seen often enough.
    """
    total = round(seconds * SAMPLE_RATE)
    quiet = round(rng.uniform(1.0, 2.2) * SAMPLE_RATE) if rng.random() < WAITING else 0
    quiet = min(quiet, max(0, total - SPOKEN_LEAST))
    count = total - quiet
    if split == "heldout" or rng.random() >= AUGMENTED:
        speech = speak(seed, split, (count / SAMPLE_RATE, count / SAMPLE_RATE), flite_share)
    else:
        speech = speak(seed, split, (LONGER * seconds, LONGER * seconds), flite_share)
        sound, phones = augment(speech.wave, speech.phones, rng)
        speech = replace(speech, wave=(sound[:count] * 32767).astype(np.int16), phones=phones)
    lead = quiet if rng.random() < 0.5 else 0
    silence = rng.normal(0, 10 ** rng.uniform(-0.5, 1.2), total)
    silence[lead : lead + count] += speech.wave[:count]
    wave = np.clip(silence, -32768, 32767).astype(np.int16)
    end, late = count / SAMPLE_RATE, lead / SAMPLE_RATE
    phones = [Phone(p.ipa, p.start + late, min(p.end, end) + late) for p in speech.phones if p.start < end]
    return replace(speech, wave=wave, phones=phones)


def make_clip(
    seed: int, split: str = "train", seconds: tuple[float, float] = (4.0, 4.0), flite_share: float = 0.0
) -> Clip:
    """The clip of a seed (below 10 million), its length drawn from `seconds`.

    `heldout` clips share no character and no voice with `train` clips. `flite_share`: see `speech.speak`.
    """
    identity = make_identity(identity_seed(seed, split))
    rng = np.random.default_rng([seed, zlib.crc32(split.encode()), 73])
    speech = recording(rng, seed, split, rng.uniform(*seconds), flite_share)
    return animated(rng, seed, split, identity, speech, story.make_storyline(rng, speech, identity))


def animated(
    rng: np.random.Generator, seed: int, split: str, identity: Identity, speech: Speech, storyline: Storyline
) -> Clip:
    """The clip in which this character says this and does what the storyline asks."""
    times = np.arange(frame_count(len(speech.wave), SAMPLE_RATE, FPS)) / FPS
    camera = story.camera_spans(rng, storyline)
    spans = story.shot_spans(storyline, camera)
    states_TS = motion.states(
        rng,
        storyline.shots,
        camera,
        spans,
        speech.phones,
        speech.wave,
        visemes(speech.phones, times),
        times,
        identity.handed,
    )
    states_TS[:, COLUMN["occlude"]] = render.occlusion(identity, states_TS)
    return Clip(seed, split, identity, speech, storyline, states_TS, np.array(spans))
