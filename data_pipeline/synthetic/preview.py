"""The ground truth to look at: contact sheets of clips, and clips as videos with their sound."""

import tempfile
import wave
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from avatar_jax.director.plan import local_prompt
from avatar_jax.media.video import write_video
from data_pipeline.synthetic.clip import FPS, Clip
from data_pipeline.synthetic.speech import SAMPLE_RATE


def contact_sheet(clip: Clip, columns: int = 10, every: int = 5, size: int = 128) -> UInt8[np.ndarray, "H W 3"]:
    """The portrait, then every `every`-th frame, row by row."""
    frames = [clip.portrait(size), *clip.frames(size)[::every]]
    frames += [np.full_like(frames[0], 255)] * (-len(frames) % columns)
    return np.concatenate(
        [np.concatenate(frames[i : i + columns], axis=1) for i in range(0, len(frames), columns)], axis=0
    )


def write_sound(path: Path, clip: Clip) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes(clip.speech.wave.tobytes())


def write_preview(out: Path, clip: Clip, size: int = 256) -> list[str]:
    """NAME.png, NAME.mp4 and NAME.json of a clip in `out`; returns what each shot asks for."""
    name = f"{clip.split}-{clip.seed:05d}"
    out.mkdir(parents=True, exist_ok=True)
    Image.fromarray(contact_sheet(clip)).save(out / f"{name}.png")
    clip.storyline.save(out / f"{name}.json")
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.wav"
        write_sound(sound, clip)
        write_video(out / f"{name}.mp4", clip.frames(size), FPS, len(clip.states_TS), sound)
    return [f"{shot.start} to {shot.end} s: {local_prompt(shot)}" for shot in clip.storyline.shots]
