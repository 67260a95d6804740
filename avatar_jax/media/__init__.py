"""Files in, files out: portraits, recordings and videos, with every user's mistake told as one `BadInput`."""

from avatar_jax.media.audio import Recording, load_audio
from avatar_jax.media.errors import BadInput, nameable, unwritable
from avatar_jax.media.face import Framing, frame_portrait, locate_face, parse_box
from avatar_jax.media.image import load_portrait
from avatar_jax.media.video import read_frames, write_video

__all__ = [
    "BadInput",
    "Framing",
    "Recording",
    "frame_portrait",
    "load_audio",
    "load_portrait",
    "locate_face",
    "nameable",
    "parse_box",
    "read_frames",
    "unwritable",
    "write_video",
]
