"""Networks of the real shapes with random weights, and small inputs: for tests of everything but the picture."""

import wave
from pathlib import Path

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.director.storyline import Storyline, one_shot
from avatar_jax.media import Recording
from avatar_jax.models.audio_encoder import BANDS, AudioEncoder, AudioEncoderConfig
from avatar_jax.models.avatar_codec import PATCH_CHANNELS, PATCHES, PICTURE, AvatarCodec, CodecConfig
from avatar_jax.models.portrait_layers import LayersConfig
from avatar_jax.models.reader import Reader, ReaderConfig
from avatar_jax.models.segment import WindowConfig, init_window_model
from avatar_jax.sampling.work import Models
from avatar_jax.weights import ship

QUICK = (
    "--size=128", "--rows=8", "--segment.wave=4", "--seams.wave=4", "--insertion.wave=8", "--blueprint.solver.steps=1",
    "--segment.solver.steps=1", "--seams.solver.steps=1", "--insertion.solver.steps=1", "--gate.retries=0",
)  # fmt: skip
"""Arguments of sample.py for the least work that goes through every stage."""


def drawn(shapes: dict, scale: float = 0.7) -> dict:
    """Random arrays of these shapes, about as large as an initialiser makes them; far faster than running one."""
    rng = np.random.default_rng(0)

    def draw(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if len(leaf.shape) < 2:
            return np.full(leaf.shape, 0.5, np.float32)
        fan_in = np.prod(leaf.shape[:-1]) / (leaf.shape[0] if len(leaf.shape) > 3 else 1)
        return (scale * rng.standard_normal(leaf.shape) / np.sqrt(fan_in)).astype(np.float32)

    return jax.tree.map(draw, nn.unbox(shapes))


def plain_director(recording: Recording, picture: np.ndarray, prompt: str, box: object) -> Storyline:
    return one_shot(recording.samples, recording.sample_rate, emotion="joy", intensity=0.6)


def untrained_models() -> Models:
    key = jax.random.key(0)
    codec, reader, audio, window = (
        AvatarCodec(CodecConfig(), LayersConfig()),
        Reader(ReaderConfig()),
        AudioEncoderConfig(),
        WindowConfig(),
    )
    picture = jnp.zeros((1, PICTURE, PICTURE, 3))
    latents = jnp.zeros((1, 1, PATCHES, PATCH_CHANNELS))

    def whole_codec(module: AvatarCodec, x: jax.Array, z: jax.Array) -> jax.Array:
        return module.decode(z, x)

    return Models(
        director=plain_director,
        audio=audio,
        audio_params=drawn(jax.eval_shape(lambda: AudioEncoder(audio).init(key, jnp.zeros((1, 64, BANDS)))["params"])),
        window=window,
        window_params=drawn(jax.eval_shape(lambda: init_window_model(window, key)), 0.3),
        codec=codec,
        codec_params=drawn(jax.eval_shape(lambda: codec.init(key, picture, latents, method=whole_codec)["params"])),
        reader=reader,
        reader_params=drawn(jax.eval_shape(lambda: reader.init(key, picture)["params"])),
        hashes={"dit": "untrained"},
    )


def write_weights(folder: Path) -> Path:
    """A folder for --weights."""
    models = untrained_models()
    codec = dict(models.codec_params)
    parts = {
        "audio": models.audio_params,
        "layers": codec.pop("layers"),
        "codec": codec,
        "gate": models.reader_params,
        "dit": models.window_params,
    }
    for name, params in parts.items():
        ship.export(params, folder / f"{name}.safetensors", {})
    return folder


def write_portrait(path: Path, size: int = 256) -> Path:
    """A head, two eyes and a mouth in the canonical framing."""
    image = np.full((size, size, 3), (190, 160, 120), np.uint8)
    head, axes = (size // 2, int(0.45 * size)), (int(0.19 * size), int(0.245 * size))
    cv2.ellipse(image, head, axes, 0, 0, 360, (150, 190, 240), -1)
    cv2.ellipse(image, head, axes, 0, 200, 340, (30, 40, 60), -1)
    cv2.rectangle(image, (size // 4, int(0.75 * size)), (3 * size // 4, size), (90, 50, 40), -1)
    for x in (0.42, 0.58):
        cv2.circle(image, (int(x * size), int(0.42 * size)), size // 40, (30, 20, 20), -1)
    cv2.ellipse(image, (size // 2, int(0.58 * size)), (size // 14, size // 50), 0, 0, 360, (60, 40, 160), -1)
    cv2.imwrite(str(path), image)
    return path


def write_speech(path: Path, seconds: float, rate: int = 16_000) -> Path:
    """A buzz with syllables, 16-bit mono."""
    t = np.arange(round(seconds * rate)) / rate
    sound = 0.3 * np.sign(np.sin(2 * np.pi * 140 * t)) * np.clip(np.sin(2 * np.pi * 4 * t), 0, 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path
