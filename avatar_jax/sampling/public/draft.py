"""The blueprint and its key frames: one window of the model that stands for the whole recording.

SkyReels-V3's way: blueprint frame i of n shows what happens at the instant i (N - 1) / (n - 1) of a recording of N
frames, so its cost does not grow with the recording. Key frames are chosen on the grid of latents, by the scores of the
blueprint frame that stands for each grid point.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import jax
import numpy as np

from avatar_jax.sampling.folder import read_arrays, write_arrays, write_video, write_whole
from avatar_jax.sampling.keyframe_plot import draw_keyframes
from avatar_jax.sampling.keyframes import FrameScores, Keyframes, select_keyframes
from avatar_jax.sampling.public.clock import BlueprintMap, grid_points, lengths
from avatar_jax.sampling.public.config import GRID
from avatar_jax.sampling.public.known import known_frames, to_unit
from avatar_jax.sampling.public.pictures import colour_matched, picture_tokens
from avatar_jax.sampling.public.scores import score_frames
from avatar_jax.sampling.public.windows import Windows, decode_windows, make_windows, shots_of
from avatar_jax.sampling.public.work import Work


@dataclass(frozen=True)
class Chosen:
    """Key frames and what they show, by model frame. The first shows the portrait itself."""

    keyframes: Keyframes
    pictures: dict[int, np.ndarray]


def draw_blueprint(work: Work) -> np.ndarray:
    """uint8 frames [F, H, W, 3] of the blueprint; blueprint.mp4 shows it over the recording's length."""
    config = work.config.blueprint
    path = work.folder.segments / "blueprint.npz"
    index = BlueprintMap(config.frames, work.frames)
    saved = read_arrays(path)
    if saved is None:
        work.watch.expect(config.solve.steps)
        latents_THWC = make_windows(work, work.suite.draft, config.solve, blueprint_window(work, index))[0]
        write_arrays(path, latents=latents_THWC)
    else:
        latents_THWC = saved["latents"]
    frames = colour_matched(decode_windows(work, latents_THWC[None])[0], work.portrait, config.colour)
    rate = work.fps * Fraction(config.frames - 1, max(1, work.frames - 1))
    write_video(work.folder.path / "blueprint.mp4", frames, rate, config.frames)
    return frames


def blueprint_window(work: Work, index: BlueprintMap) -> Windows:
    config = work.config.blueprint
    times = np.array([float(time) for time in index.times()])
    heard = np.arange(index.made) if config.hears == "first" else np.floor(times + 0.5).astype(int)
    nothing = np.zeros((1, index.made), bool)
    known = known_frames(to_unit(work.portrait)[None, None], None, nothing, index.made)
    portrait = [work.portrait]
    shots = shots_of(work, times[None], config.shots)
    return Windows("blueprint", [(0, 0)], times[None], heard[None], known, portrait, portrait, shots)


def choose_keyframes(work: Work, blueprint_FHW3: np.ndarray) -> Chosen:
    """The best chain of key frames; keyframes/ and keyframes.png show it."""
    index = BlueprintMap(len(blueprint_FHW3), work.frames)
    points = grid_points(work.frames)
    limits = lengths(work.config, points)
    with jax.set_mesh(work.mesh):
        tokens_FIE = picture_tokens(work.suite.image, list(blueprint_FHW3))
    scores = score_frames(blueprint_FHW3, tokens_FIE, work.portrait, work.portrait_IE)
    shown = np.array([index.frame_at(GRID * point) for point in range(points)])
    at_points = FrameScores(
        scores.identity[shown], scores.occlusion[shown], scores.clarity[shown], scores.look_ND[shown]
    )
    keyframes = select_keyframes(at_points, GRID, limits)
    pictures = {frame: blueprint_FHW3[index.frame_at(frame)] for frame in keyframes.model_frames}
    pictures[0] = work.portrait
    for number, picture in enumerate(pictures.values()):
        ok, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if ok:
            write_whole(work.folder.path / "keyframes" / f"{number:03d}.png", png.tobytes())
    plot = draw_keyframes(keyframes, list(pictures.values()), limits, work.fps)
    write_whole(work.folder.path / "keyframes.png", plot)
    return Chosen(keyframes, pictures)


def keyframe_report(work: Work, chosen: Chosen) -> list[dict[str, Any]]:
    """For report.json: when, from which blueprint frame, and how good."""
    index, scores = BlueprintMap(work.config.blueprint.frames, work.frames), chosen.keyframes.scores
    return [
        {
            "seconds": round(float(GRID * point / work.fps), 4),
            "blueprint_frame": index.frame_at(GRID * point),
            "identity": round(float(scores.identity[point]), 4),
            "occlusion": round(float(scores.occlusion[point]), 4),
            "clarity": round(float(scores.clarity[point]), 4),
        }
        for point in chosen.keyframes.chosen
    ]
