"""Encoder of recorded people for the public video models: `--encode.encoder=public`.

A clip is cut into windows of `frames` frames, each encoded by itself (the VAE is causal: its first latent is unlike
the others), together with the videos that training shows beside the noise, tokens of pictures, speech features of
every frame and the text of every shot. What sampling does with a request is done here with a clip.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.director.plan import shot_prompt
from avatar_jax.director.storyline import parse
from avatar_jax.media import BadInput
from avatar_jax.mesh import make_mesh
from avatar_jax.models.clip_vision import clip_pixels, encode_pictures
from avatar_jax.models.umt5 import encode_prompts
from avatar_jax.models.vae_stages import TIME_FACTOR, VAEConfig
from avatar_jax.models.vae_stream import encode_stream
from avatar_jax.models.video_model import PATCH
from avatar_jax.models.video_vae import VideoVAE
from avatar_jax.models.wav2vec2 import encode_recording
from avatar_jax.weights.encoders import Encoders, open_encoders
from avatar_jax.weights.ship import WeightsError
from avatar_jax.weights.suite import NUMBERS
from data_pipeline.buckets import buckets, nearest
from data_pipeline.protocol import Clip, Unencodable
from data_pipeline.records import FPS, digest
from data_pipeline.settings import Encode
from data_pipeline.transforms import Borders, Placement, place

AT_ONCE = 4
"""Prompts that are read together."""


@partial(jax.jit, static_argnums=0)
def _latents(config: VAEConfig, params: Any, frames_BFHW3: jax.Array) -> jax.Array:
    return encode_stream(VideoVAE(config), params, frames_BFHW3)


def instants(count: int, fps: int) -> np.ndarray:
    """Numbers of the clip's frames that lie nearest to those of a video of `fps`."""
    return (np.arange(count * fps // FPS) * FPS + fps // 2) // fps


def window_starts(count: int, frames: int) -> np.ndarray:
    """First frames of as many windows as fit into `count` frames without overlap, evenly spread."""
    return np.linspace(0, count - frames, count // frames).astype(int)


@dataclass(frozen=True)
class PublicEncoder:
    """The encoders of `settings.family`, read when the first clip comes and kept."""

    settings: Encode
    encoders: Encoders = field(repr=False)

    @property
    def version(self) -> str:
        cfg = self.settings
        files = sorted((name, *file) for name, some in self.encoders.files.items() for file in some)
        return f"public-1 {digest(cfg.family, cfg.frames, cfg.area, cfg.fps, cfg.numbers, files)}"

    def encode(self, clip: Clip, storyline: str) -> dict[str, Any]:
        """Arrays of a `LatentExample`.

        Raises:
            Unencodable: the clip is shorter than a window.
        """
        cfg, rows = self.settings, instants(clip.count, self.settings.fps)
        if len(rows) < cfg.frames:
            raise Unencodable(f"{len(rows)} frames at {cfg.fps} fps, a window has {cfg.frames} (--encode.frames)")
        at = self.placed(clip)
        wanted = set(rows.tolist())
        frames = np.stack([at.picture(frame) for number, frame in enumerate(clip.frames()) if number in wanted])
        starts = window_starts(len(rows), cfg.frames)
        windows = [self.window(frames[start : start + cfg.frames], mid) for start, mid in self.mids(clip, starts)]
        canvas = (at.canvas.height, at.canvas.width)
        empty = self.latents(np.full((1, *canvas, 3), -1.0))
        found = {name: np.stack([w[name] for w in windows]) for name in windows[0]}
        joined = {name: x.reshape(-1, *x.shape[2:]) for name, x in found.items() if name.endswith("TPC")}
        cell = self.encoders.vae.config.cell
        tracks = clip.tracks
        boxes = {} if tracks is None else {"faces_T4": tracks.heads_TB, "mouths_T4": tracks.mouths_TB}
        return {
            **{name: x for name, x in found.items() if name not in joined},
            **joined,
            "empty_C": empty.mean((0, 1)),
            "grid": np.array(canvas) // cell,
            "frames_per_latent": np.array(TIME_FACTOR),
            "starts": starts / cfg.fps,
            "size": np.array(canvas),
            "fps": np.array(float(cfg.fps)),
            "frames": np.array(len(rows)),
            "texts_SLE": self.texts(storyline),
            **self.heard(clip.mono, len(rows)),
            **{name: at.boxes(x[rows]).astype(np.float32) for name, x in boxes.items()},
        }

    def placed(self, clip: Clip) -> Placement:
        """Where the picture lies on the canvas of the nearest shape, its head in view."""
        width, height = clip.size
        among = buckets(self.settings.area, multiple=self.encoders.vae.config.cell * PATCH)
        face = None if clip.tracks is None else clip.tracks.heads_TB.mean(0).tolist()
        size = (height, width)
        return place(np.random.default_rng(0), size, nearest(size, among), Borders(), face)

    def mids(self, clip: Clip, starts: np.ndarray) -> list[tuple[int, int]]:
        """(first frame, known frame in the middle) of every window; the latter is always the same for a clip."""
        room = self.settings.frames - 2
        return [(start, 1 + int(digest("mid", clip.record.id, start), 16) % room) for start in starts.tolist()]

    def window(self, frames_FHW3: np.ndarray, mid: int) -> dict[str, np.ndarray]:
        """One window: latents of its own, of what is known of it, of its last frame; tokens of its ends."""
        video = frames_FHW3.astype(np.float32) / 127.5 - 1
        last = len(video) - 1

        def shown(*known: int) -> np.ndarray:
            kept = np.isin(np.arange(len(video)), known)
            return self.latents(video * kept[:, None, None, None])

        made = {
            "latents_TPC": self.latents(video),
            "shown_first_TPC": shown(0),
            "shown_ends_TPC": shown(0, last),
            "shown_mid_TPC": shown(0, mid),
            "last_WPC": self.latents(video[-1:])[0],
            "mids_W": np.array(mid),
        }
        image = self.encoders.image
        if image is not None:
            pictures = [frames_FHW3[0], frames_FHW3[-1]][: self.encoders.pictures]
            pixels = jnp.asarray(clip_pixels(pictures, image.config.side))
            tokens = np.asarray(encode_pictures(image.config, image.params, pixels), np.float16)
            made["pictures_WIE"] = tokens.reshape(-1, tokens.shape[-1])
        return made

    def latents(self, video_FHW3: np.ndarray) -> np.ndarray:
        """Frames in [-1, 1] -> latents [T, P, C] float16."""
        vae = self.encoders.vae
        found = _latents(vae.config, vae.params, jnp.asarray(video_FHW3, jnp.float32)[None])
        x = np.asarray(found[0], np.float16)
        return x.reshape(len(x), -1, x.shape[-1])

    def texts(self, storyline: str) -> np.ndarray:
        """[S, L, E] float16: every shot's prompt, up to the end of the longest."""
        story, part, tokenizer = parse(storyline), self.encoders.text, self.encoders.tokenizer
        prompts, found = [shot_prompt(story, shot) for shot in story.shots], []
        for first in range(0, len(prompts), AT_ONCE):
            some = prompts[first : first + AT_ONCE]
            made = encode_prompts(part.config, part.params, tokenizer, some + [""] * (AT_ONCE - len(some)))
            found.append(np.asarray(made.astype(jnp.float32), np.float16)[: len(some)])
        longest = int(tokenizer(prompts)[1].sum(-1).max())
        return np.concatenate(found)[:, :longest]

    def heard(self, mono: np.ndarray, frames: int) -> dict[str, np.ndarray]:
        """Every frame's features, all layers of the speech encoder side by side; {} where nothing hears."""
        speech = self.encoders.speech
        if speech is None:
            return {}
        states_FLC = encode_recording(speech.config, speech.params, mono, frames)[:, 1:]
        return {
            "audio_FM": states_FLC.reshape(frames, -1).astype(np.float16),
            "audio_layers": np.array(states_FLC.shape[1]),
            "audio_rate": np.array(float(self.settings.fps)),
        }


def public_encoder(settings: Encode) -> PublicEncoder:
    """The encoders below `settings.weights`, on the first device of this process.

    Raises:
        BadInput: a window that no video model has, or a rate of frames that is none.
        WeightsError: a part of the weights is missing or of another model.
    """
    if settings.frames < 1 + TIME_FACTOR or settings.frames % TIME_FACTOR != 1:
        rule = f"{TIME_FACTOR} n + 1 frames, 5 or more"
        raise BadInput("--encode.frames", settings.frames, rule, "--encode.frames=81")
    if not 1 <= settings.fps <= FPS:
        raise BadInput("--encode.fps", settings.fps, f"1 to {FPS}: normalised clips have no more", "--encode.fps=16")
    mesh, numbers = make_mesh(), NUMBERS[settings.numbers]
    try:
        return PublicEncoder(settings, open_encoders(settings.family, Path(settings.weights), mesh, numbers))
    except WeightsError:
        raise
    except ValueError as error:
        got, rule, fix = (line.partition(": ")[2] for line in str(error).splitlines())
        raise BadInput("tokenizer", got, rule, fix) from error
