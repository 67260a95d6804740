"""Step distillation: a student that walks the guided teacher's path in a few steps, without guidance.

The path from noise to data is cut into as many phases as the student takes steps. Within a phase the student learns to
jump from any point to the phase's end, such that points of one path land in one place: the teacher goes one small
guided step down its path, and where the student jumps from there is where it must jump from here (Wang et al. 2024,
arXiv 2405.18407, phased consistency; Song et al. 2023, arXiv 2303.01469). The end points are the teacher's own, so the
path is kept, unlike in distribution matching. Guidance is in the teacher's steps (Meng et al. 2023, arXiv 2210.03142),
so the student needs one pass where the teacher needs two or three.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from avatar_jax.diffusion.flow import noised, spread, velocity_from_x0
from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.diffusion.schedule import sigmas
from avatar_jax.diffusion.stages import UNGUIDED
from avatar_jax.mesh import placed, replicated
from avatar_jax.models.low_rank import change_of, changed
from avatar_jax.models.segment import GRID_CHANNELS, WindowConditions, WindowConfig, WindowModel
from avatar_jax.training.dit_stage import DitStage, conditions
from avatar_jax.training.losses import window_loss
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.stage import Batch, Params, Stage
from avatar_jax.training.window_scores import Making, scores
from avatar_jax.training.window_tricks import last_frame_as


@dataclass(frozen=True)
class DistilConfig:
    """Values of the stage; data, losses and the model are the generator's (`model` is filled in by train.py)."""

    optimiser: OptimConfig = field(default_factory=lambda: OptimConfig(steps=700, rate=5e-4, warmup=0.02, decay=0.6))
    model: WindowConfig = field(default_factory=WindowConfig)
    student_steps: int = 4
    substeps: int = 1
    """Steps of the teacher in each of the student's."""
    shift: float = 1.0
    """Of the noise levels, as in sampling."""
    guidance: Guidance = field(default_factory=lambda: Guidance(text=1.5, audio=1.0))
    """Of the teacher at adjacent frames, as in sub-clips: what the student learns to do without."""
    sparse: Guidance = field(default_factory=lambda: Guidance(text=2.5, audio=1.5))
    """Of the teacher at frames further apart, as in blueprints. One student serves both: spacing tells it which."""
    teacher_steps: int = 4
    """Steps of the teacher that the student is measured against."""
    rank: int = 8
    """Of the exported change of each matrix: what is written and scored is the teacher and a low-rank change."""
    teacher: str = ""
    """SHA-256 of the teacher's file (filled in by train.py)."""
    keep: float = 0.95
    """Least share of the teacher's correlation of the mouth that the student keeps."""

    def __post_init__(self) -> None:
        if min(self.student_steps, self.substeps, self.teacher_steps, self.rank) < 1:
            raise ValueError("student_steps, substeps, teacher_steps and rank are 1 or more")
        if self.guidance.negative or self.sparse.negative:
            raise ValueError("a student has no negative branch: guidance.negative and sparse.negative are 0")


SPARSE = 2.0
"""Model frames between two frames from which on a window counts as one of a blueprint (three, by default)."""


def path_of(
    config: DistilConfig, params: Params, cond: WindowConditions
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(x, t) -> the teacher's velocity, each window guided by the scales of its spacing; three passes in one batch."""
    sparse_B = cond.times_BT[:, 1] - cond.times_BT[:, 0] >= SPARSE
    text_B, audio_B = (
        jnp.where(sparse_B, sparse, near)
        for sparse, near in ((config.sparse.text, config.guidance.text), (config.sparse.audio, config.guidance.audio))
    )
    # The rule of diffusion.guidance.branches, row by row: with a text scale of one the silent pass keeps the prompt.
    spoken_B = text_B == 1
    full_B = jnp.where(spoken_B, audio_B, text_B)
    wordless_B = jnp.where(spoken_B, 0.0, jnp.where(audio_B == 1, 1 - text_B, audio_B - text_B))
    weights_3B = jnp.stack([full_B, wordless_B, 1 - full_B - wordless_B])
    wordless, silent = cond.without_text(), cond.without_audio()
    silent = silent.replace(text_ids_BSL=jnp.where(spoken_B[:, None, None], cond.text_ids_BSL, wordless.text_ids_BSL))
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), cond, wordless, silent)

    def velocity(x: jax.Array, t_B: jax.Array) -> jax.Array:
        x_3, t_3 = jnp.concatenate([x] * 3), jnp.tile(t_B, 3)
        v = velocity_from_x0(x_3, WindowModel(config.model).denoise(params, x_3, t_3, joined), t_3)
        return jnp.einsum("nb,nb...->b...", weights_3B, v.reshape(3, *x.shape))

    return velocity


@dataclass(frozen=True)
class DistilStage(Stage):
    """Trains a student of the same sizes as the teacher, beginning as its copy."""

    config: DistilConfig
    base: DitStage
    """Whose data, loss weights and scores are used."""
    read: Callable[[], Params]
    """The teacher's parameters."""
    name = "distil"

    @cached_property
    def teacher(self) -> Params:
        return self.read()

    def init(self, key: jax.Array) -> Params:
        return self.base.init(key)

    def start(self, mesh: Mesh) -> Params:
        del mesh
        return self.teacher

    def fixed(self, mesh: Mesh) -> Params:
        return placed(self.teacher, replicated(mesh))

    def whole(self, params: Params, fixed: Params) -> Params:
        return {"student": params, "teacher": fixed}

    def wanted(self) -> Mapping[str, tuple[int | None, ...]]:
        return self.base.wanted()

    def batches(self, start: int) -> Iterator[Batch]:
        return self.base.batches(start)

    def share(self, start: int, index: int, count: int) -> Iterator[Batch]:
        return self.base.share(start, index, count)

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Distance of where the student jumps to from where it should, as clean latents, weighted as in training."""
        cfg, dit = self.config, self.base.config
        clean_BTPC = jnp.asarray(batch["latents_BTPC"], jnp.float32)
        B = clean_BTPC.shape[0]
        step_key, noise_key = jax.random.split(key)
        cond = last_frame_as(conditions(batch), dit.last_frame, dit.last_shift)
        levels = jnp.asarray(sigmas(cfg.student_steps * cfg.substeps, cfg.shift))
        at_B = jax.random.randint(step_key, (B,), 0, cfg.student_steps * cfg.substeps)
        here_B, next_B = levels[at_B], levels[at_B + 1]
        end_B = levels[(at_B // cfg.substeps + 1) * cfg.substeps]
        x_BTPC = noised(clean_BTPC, jax.random.normal(noise_key, clean_BTPC.shape), here_B)

        def student(params: Params, x: jax.Array, t_B: jax.Array) -> jax.Array:
            return WindowModel(cfg.model).denoise(params, x, t_B, cond)

        velocity = jax.lax.stop_gradient(path_of(cfg, params["teacher"], cond)(x_BTPC, here_B))
        lower = x_BTPC + spread(next_B - here_B, x_BTPC) * velocity
        # At the end of a phase there is nothing left to jump; the level there may be zero.
        from_next = student(jax.lax.stop_gradient(params["student"]), lower, next_B)
        onward = velocity_from_x0(lower, from_next, jnp.maximum(next_B, 1e-3))
        first = spread((here_B - next_B) / (here_B - end_B), x_BTPC)
        wanted = jax.lax.stop_gradient(x_BTPC - spread(here_B, x_BTPC) * (first * velocity + (1 - first) * onward))
        predicted = student(params["student"], x_BTPC, here_B)
        readout = jnp.asarray(self.base.readout[:-1] / self.base.spread)
        return window_loss(
            predicted, wanted, cond.known_mask_BT, batch["face_points_B32"], dit.loss, GRID_CHANNELS, readout
        )

    def finish(self, params: Params) -> Params:
        """The student as its low-rank change of the teacher."""
        return change_of(self.teacher, params, self.config.rank)

    def evaluate(self, params: Params) -> dict[str, float]:
        """The generator's scores of the student, given as its change of the teacher, in its few steps, of the teacher
        with guidance in its own number of steps and in the student's, and `kept`: the share of the teacher's mouth."""
        if self.base.heldout is None:
            return {}
        cfg, dit, params = self.config, self.base.config, changed(self.teacher, params)
        ways: dict[str, tuple[Any, Making]] = {
            "": (params, Making(cfg.student_steps, UNGUIDED, dit.eval_gain, dit.last_frame, dit.last_shift)),
            "halved_": (params, Making(max(1, cfg.student_steps // 2), UNGUIDED)),
            "teacher_": (self.teacher, Making(cfg.teacher_steps, cfg.guidance, dit.eval_gain)),
            "teacher_few_": (self.teacher, Making(cfg.student_steps, cfg.guidance, dit.eval_gain)),
        }
        found = {
            f"{way}{name}": value
            for way, (weights, making) in ways.items()
            for name, value in scores(
                cfg.model, weights, self.base.held_out_batch, self.base.readout, making, dit.seed
            ).items()
            if not way or name in ("mouth", "mouth_amplitude", "face_smile")
        }
        return found | {"kept": float(found["mouth"] / np.maximum(found["teacher_mouth"], 1e-6))}

    def gate(self, scores: dict[str, float]) -> bool:
        return scores.get("kept", 0.0) >= self.config.keep
