"""Character, background, style and language of a storyline, and what the experts found, as its evidence."""

from collections.abc import Mapping

import numpy as np

from avatar_jax.director.experts.audio import Heard
from avatar_jax.director.experts.image import Seen
from avatar_jax.director.experts.text import Wish
from avatar_jax.director.notes import Notes
from avatar_jax.media import Recording


def describe(
    wish: Wish, seen: Seen, notes: Notes, transcript: str = "", told: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The fields that hold for the whole video: the user's words, or a model's (`told`), or what the portrait shows."""
    scene = {"character": seen.character, "background": seen.background, "style": seen.style}
    for name, value in scene.items():
        if name in wish.settings:
            notes.saw("text", f"$.{name}", wish.settings[name])
            if name != "character":
                notes.clash(f"$.{name}", wish.settings[name], value, "the user's words win over the portrait")
            scene[name] = wish.settings[name]
        elif told is not None and told[name].strip():
            scene[name] = told[name].strip()
            notes.saw("model", f"$.{name} = {scene[name]}", f"measured: {value}")
        else:
            notes.saw("image", f"$.{name} = {value}", "palette and edges of the portrait")
    return {**scene, "language": _language(wish, notes, transcript, told), "transcript": transcript}


def _language(wish: Wish, notes: Notes, transcript: str, told: Mapping[str, str] | None) -> str:
    if told is not None:
        notes.saw("model", f"$.language = {told['language']}", transcript or "the recording")
        return told["language"]
    if wish.text:
        notes.saw("text", f"$.language = {wish.language}", f"script of the wish: {wish.text}")
        # People may well ask in one language and speak in another.
        notes.infer("$.language")
    return wish.language


def note_experts(recording: Recording, heard: Heard, seen: Seen, notes: Notes) -> None:
    """What was measured over the whole recording and the whole portrait."""
    seconds = float(recording.seconds)
    pauses = sum(float(end - start) for start, end in heard.silences)
    if not heard.voiced.any():
        kind = "steady noise without pitch" if heard.noise else "below the level of a voice"
        notes.saw("audio", "no voice: the avatar listens", f"{kind} for {seconds:.2f} s")
    else:
        level = float(heard.level_db[heard.voiced].mean())
        notes.saw("audio", f"voice in {seconds - pauses:.2f} of {seconds:.2f} s", f"{len(heard.silences)} pauses")
        steady = f"{heard.pitch.steadiness():.0%} of the voice are held notes"
        notes.saw("audio", "a song" if heard.singing else "speech", f"{steady}, pitch spread {heard.pitch_sd:.1f} st")
        notes.saw("audio", f"{heard.rate:.1f} syllables per second", f"peaks of loudness; level {level:.0f} dB")
    bright = heard.pitch.brightness_db[np.isfinite(heard.pitch.brightness_db)]
    if len(bright) and heard.pressed(recording.seconds * 0, recording.seconds):
        notes.saw("audio", "the voice is pressed", f"1.5-4 kHz is {np.median(bright):+.0f} dB of 0.2-1 kHz")
    notes.saw("image", seen.framing, "boxes of heads in the portrait")
    notes.saw("image", f"palette: {', '.join(seen.palette)}", "8 x 8 patches of the portrait")
