"""Recorded inputs and outputs of released code on random weights, with those weights loaded by our own converter."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.mesh import make_mesh
from avatar_jax.models.audio_projector import AudioProjector, frame_windows
from avatar_jax.weights.families import FAMILIES, sized
from avatar_jax.weights.load import Request, load
from tests.parity.dit_running import relative_error, velocity

DATA = Path(__file__).parent / "data"


class Golden:
    """The files of one model; `folder` receives them in the form of a checkpoint."""

    def __init__(self, family: str, name: str, folder: Path):
        config = json.loads((DATA / f"{name}.json").read_text())
        (folder / "config.json").write_text(json.dumps(config))
        shutil.copy(DATA / f"{name}.safetensors", folder / "model.safetensors")
        self.params = load(Request(family, str(folder)), make_mesh(), np.float32).params
        self.family = sized(FAMILIES[family], config)
        with np.load(DATA / f"{name}.npz") as arrays:
            self.arrays = dict(arrays)

    def audio_tokens(self) -> jax.Array:
        """Our projector's output for the recorded features of the speech encoder."""
        assert self.family.audio is not None
        windows = frame_windows(jnp.asarray(self.arrays["audio_features"]))
        np.testing.assert_array_equal(windows, self.arrays["audio_windows"])
        with jax.default_matmul_precision("highest"):
            return AudioProjector(self.family.audio).apply({"params": self.params["audio_projector"]}, windows)

    def audio_error(self) -> float:
        return relative_error(self.audio_tokens(), self.arrays["audio_context"])

    def velocity_error(self, recorded: str) -> float:
        """Of the whole model, from speech features to velocity, against one of the recorded outputs."""
        a = self.arrays
        video = np.concatenate([a["latents"], a["y"]], axis=1)
        ours = velocity(self.family, self.params, video, a["timestep"], a["text"], self.audio_tokens(), a["clip"])
        return relative_error(ours, a[recorded])
