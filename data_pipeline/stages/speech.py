"""Speech: whether there is a voice, whether it speaks or sings, how clean it is, and in what language it may be."""

from operator import attrgetter
from pathlib import Path

import numpy as np

from avatar_jax.director.experts.audio import hear
from avatar_jax.media import Recording
from data_pipeline.chain import Build, Stage
from data_pipeline.records import SOUND_RATE, Record, Result
from data_pipeline.stages.normalise import clip_of
from data_pipeline.stages.sound import FULL

VERSION = "1"


def recording_of(mono: np.ndarray) -> Recording:
    """A clip's sound as the director hears it."""
    return Recording(mono, len(mono), SOUND_RATE, Path())


def speech(record: Record, build: Build) -> list[Record]:
    """Adds what the director's audio expert hears; the language is the container's or the source list's."""
    limits, mono = build.settings.speech, clip_of(record, build).mono
    heard = hear(recording_of(mono))
    share = float(heard.voiced.mean())
    voice, rest = heard.level_db[heard.voiced], heard.level_db[~heard.voiced]
    clipped = max(float((np.abs(mono) > FULL).mean()), float(record.facts("normalise").get("clipped", 0.0)))
    facts = {
        "voice": round(share, 4),
        "kind": "singing" if heard.singing else "noise" if heard.noise else "speech",
        "above_noise_db": round(float(voice.mean() - rest.mean()), 1) if len(voice) and len(rest) else None,
        "syllables_per_second": round(heard.rate, 2),
        "clipped": round(clipped, 6),
        "language": record.source.language or "other",
    }
    reason = ""
    if heard.noise:
        reason = "sound without a voice"
    elif share < limits.least:
        reason = f"a voice in {share:.0%} of the clip; {limits.least:.0%} or more is wanted"
    elif clipped > limits.clipped:
        reason = f"{clipped:.1%} of the samples are clipped"
    status = "rejected" if reason else "passed"
    return [record.plus(Result("speech", VERSION, status, reason, round(share, 4), limits.least, facts=facts))]


SPEECH = Stage("speech", VERSION, speech, attrgetter("speech"))
