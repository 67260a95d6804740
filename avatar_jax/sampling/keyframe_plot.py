"""keyframes.png: the four scores over time, the candidates near each split point, and which of them were chosen."""

import io
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from avatar_jax.sampling.keyframes import KeyframeConfig, Keyframes
from avatar_jax.sampling.request import MODEL_FPS
from avatar_jax.timeline import seconds_of

SHOWN = 12
"""Pictures of key frames below the plot."""


def draw_keyframes(
    keyframes: Keyframes, pictures: Sequence[np.ndarray], config: KeyframeConfig, fps: Fraction = MODEL_FPS
) -> bytes:
    """PNG of the selection; `pictures` are the chosen frames (at most `SHOWN` are drawn); `fps`: the model's."""
    # Importing it takes a good part of a warm start, and the plot is drawn long after the first step.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    seconds = seconds_of(np.arange(len(keyframes.scores.identity)) * keyframes.stride, fps)
    chosen = list(keyframes.chosen)
    motion = [np.nan] + [keyframes.scores.motion(i - 1, i) for i in range(1, len(seconds))]
    rows = [
        ("identity", keyframes.scores.identity, config.identity, config.identity_floor),
        ("motion", np.array(motion), config.motion, None),
        ("occlusion (1 free)", keyframes.scores.occlusion, config.occlusion, config.occlusion_floor),
        ("clarity", keyframes.scores.clarity, config.clarity, config.clarity_floor),
    ]
    figure = Figure(figsize=(12, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(5, SHOWN, height_ratios=[1, 1, 1, 1, 1.1])
    for row, (name, values, weight, floor) in enumerate(rows):
        axes = figure.add_subplot(grid[row, :])
        axes.plot(seconds, values, color="0.5", linewidth=1)
        for options in keyframes.candidates[1:-1]:
            axes.axvspan(seconds[options[0]], seconds[options[-1]], color="tab:blue", alpha=0.12, linewidth=0)
            axes.plot(seconds[list(options)], values[list(options)], ".", color="tab:blue", markersize=4)
        axes.plot(seconds[chosen], values[chosen], "o", color="tab:red", markersize=5)
        if floor is not None:
            axes.axhline(floor, color="tab:red", linewidth=0.7, linestyle=":")
        axes.set(
            xlim=(-0.02 * seconds[-1], 1.02 * seconds[-1]), ylim=(-0.05, 1.05), ylabel=f"{name}\nweight {weight:g}"
        )
        axes.set_xlabel("seconds" if row == len(rows) - 1 else "")
    figure.suptitle("Key frames (red) among the candidates (blue) near each split point of the blueprint")
    for place, i in enumerate(np.unique(np.linspace(0, len(chosen) - 1, min(SHOWN, len(chosen))).round().astype(int))):
        axes = figure.add_subplot(grid[4, place])
        axes.imshow(pictures[i])
        axes.set_title(f"{seconds[chosen[i]]:.2f} s", fontsize=8)
        axes.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
