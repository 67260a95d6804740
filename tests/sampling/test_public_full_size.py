"""The compiled loop of every public config at its released size and window, traced without any memory."""

import runpy
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from avatar_jax.models.video_model import MASK_CHANNELS, VideoModelConfig
from avatar_jax.sampling.public.clock import require_grid
from avatar_jax.sampling.public.config import PublicConfig
from avatar_jax.sampling.public.solving import Given, solve_windows
from avatar_jax.weights.families import FAMILIES, abstract_params
from avatar_jax.weights.suite import video_model_config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PUBLIC = ("skyreels_a2v_19b", "infinitetalk_14b", "echomimic_v3_flash", "wan_flf2v_14b", "wan_t2v_1_3b")
ROWS, COLUMNS, WORDS, SHOTS = 60, 104, 512, 2


def given(model: VideoModelConfig, frames: int, rows: int = 1) -> Given:
    """Shapes of everything that windows of 480 x 832 are made from."""
    T = 1 + (frames - 1) // 4
    cells = (rows, T, ROWS, COLUMNS)

    def shape(*sizes: int, dtype: type = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sizes, dtype)

    text = shape(rows, SHOTS, WORDS, model.dit.text_width, dtype=jnp.bfloat16)
    image = shape(rows, 257 * model.pictures, model.dit.image_width or 0) if model.pictures else None
    known = shape(*cells, model.channels + MASK_CHANNELS) if model.sees_frames else None
    heard = shape(rows, frames + 4, 12, 768) if model.audio else None
    fields = (text, text, shape(rows, T, SHOTS), known, image, heard, known, image)
    return Given(*fields, shape(*cells, model.channels), shape(rows, T), shape(rows, T))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_config_traces_at_full_size(name: str) -> None:
    config: PublicConfig = runpy.run_path(str(CONFIGS / f"{name}.py"))["CONFIG"].sample
    require_grid(config)
    assert config.family == name and config.window == 81
    for family, frames, solve in (
        (config.draft_family or name, config.blueprint.frames, config.blueprint.solve),
        (name, config.window, config.clips.solve),
    ):
        model = video_model_config(family, {}, jnp.bfloat16)
        params = nn.unbox(abstract_params(FAMILIES[family].dit, FAMILIES[family].audio))
        noise = jax.ShapeDtypeStruct((1, 1 + (frames - 1) // 4, ROWS, COLUMNS, model.channels), jnp.float32)
        made = jax.eval_shape(
            lambda p, x, g, model=model, solve=solve: solve_windows(model, solve, p, x, g),
            params,
            noise,
            given(model, frames),
        )
        assert made == noise
