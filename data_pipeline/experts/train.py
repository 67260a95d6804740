"""Training and calibration of the experts on rendered characters; joins what the rest of the house keeps apart."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from avatar_jax.media import BadInput
from avatar_jax.mesh import fetched, make_mesh
from avatar_jax.metrics.roc import auc
from avatar_jax.models.classifier import CONTINUITY, MOUTH, classify
from avatar_jax.training import loop
from avatar_jax.training.classifier_stage import ClassifierStage, ClassifierStageConfig
from avatar_jax.training.hooks import MetricsFile
from avatar_jax.training.optim import OptimConfig
from avatar_jax.training.run_folder import described
from avatar_jax.training.stage import Params, Stage
from avatar_jax.training.syncnet_stage import SyncNetStage, SyncNetStageConfig
from avatar_jax.weights import ship
from data_pipeline.experts import held_out
from data_pipeline.experts.calibration import Example, calibrate, measured, write
from data_pipeline.experts.camera import CameraExpert
from data_pipeline.experts.mouth import MouthExpert
from data_pipeline.experts.mouth_set import Mouths, held_out_crops
from data_pipeline.experts.pool import Pool
from data_pipeline.experts.splices import SPLICES, Splices, recorded
from data_pipeline.experts.sync import SyncExpert, small_reader
from data_pipeline.experts.sync_set import SyncWindows, shifted_clips
from data_pipeline.experts.trained import FALSE_POSITIVE, version
from data_pipeline.protocol import Expert

IDENTITIES, EACH = 800, 5
"""Drawn characters, and mouths of each, on which the mouth expert trains."""
HELD_OUT = 40
"""Held-out characters or clips after training; `experts roc` measures on more."""
CHECKED = 2
"""The part of the held-out seeds that ends a training; `held_out` measures on parts 0 and 1."""


@dataclass(frozen=True)
class Recipe:
    """How an expert is trained, opened and measured. `file`: its weights; `pool`: whether it trains on `pool` clips."""

    file: str
    stage: Callable[[Path, int | None], Stage]
    open: Callable[[Params, float, str], Expert]
    examples: Callable[[int, int], Iterator[Example]]
    clips: int
    """Good, and as many bad, clips of each of the two held-out sets."""


def mouth_stage(data: Path, steps: int | None) -> Stage:
    del data
    config = ClassifierStageConfig(MOUTH, with_steps(ClassifierStageConfig().optimiser, steps))
    return ClassifierStage("mouth", config, Mouths.draw(IDENTITIES, EACH).batch, mouth_scores)


def mouth_scores(params: Params) -> dict[str, float]:
    """Areas under the curve over single crops of held-out characters, of all kinds and of each."""
    crops, good, kinds = held_out_crops(CHECKED, HELD_OUT)
    scores = classify(MOUTH, params, crops)
    out = {"auc": auc(good, scores)}
    for kind in sorted(set(kinds) - {"clear"}):
        some = good | (np.array(kinds) == kind)
        out[kind] = auc(good[some], scores[some])
    return out


def camera_stage(data: Path, steps: int | None) -> Stage:
    config = ClassifierStageConfig(CONTINUITY, with_steps(ClassifierStageConfig().optimiser, steps))
    splices = Splices(opened(data))
    return ClassifierStage("camera", config, splices.batch, partial(window_scores, splices))


def window_scores(splices: Splices, params: Params) -> dict[str, float]:
    """Areas under the curve over single windows, kind by kind; held-out clips are measured by `experts roc`."""
    rng = np.random.default_rng([CHECKED, 16])
    going_on = [recorded(rng, splices.continuous(rng)) for _ in range(8 * HELD_OUT)]
    out = {}
    for kind, make in SPLICES.items():
        cut = [recorded(rng, make(splices, rng)) for _ in range(4 * HELD_OUT)]
        windows = np.stack([*going_on, *cut]).transpose(0, 2, 3, 1)
        good = np.arange(len(windows)) < len(going_on)
        out[kind] = auc(good, classify(CONTINUITY, params, np.ascontiguousarray(windows)))
    return {"auc": float(np.mean(list(out.values())))} | out


def sync_stage(data: Path, steps: int | None) -> Stage:
    config = SyncNetStageConfig(optimiser=with_steps(SyncNetStageConfig().optimiser, steps))
    return SyncNetStage(config, SyncWindows(opened(data)).batch, partial(offset_scores, CHECKED, HELD_OUT))


def offset_scores(part: int, count: int, params: Params) -> dict[str, float]:
    """Share of held-out clips whose offset is read exactly, and within one frame; mean confidence with the clip's own
    sound and with another's."""
    reader, missed, confidence = small_reader(params), [], {"moved": [], "dubbed": []}
    for clip, shift, kind in tqdm(shifted_clips(held_out.APART * (part + 1), count), total=2 * count, desc="offsets"):
        assert clip.tracks is not None
        read = reader.read(clip, clip.tracks)
        confidence[kind].append(read.confidence)
        if kind == "moved":
            missed.append(abs(read.offset - shift))
    return {
        "exact": float(np.mean(np.array(missed) <= 1)),
        "same_frame": float(np.mean(np.array(missed) == 0)),
        "own": float(np.mean(confidence["moved"])),
        "dubbed": float(np.mean(confidence["dubbed"])),
    }


def with_steps(optimiser: OptimConfig, steps: int | None) -> OptimConfig:
    return optimiser if steps is None else replace(optimiser, steps=steps)


def opened(data: Path) -> Pool:
    try:
        return Pool.open(data)
    except FileNotFoundError as error:
        fix = f"python -m data_pipeline experts data --out {data}"
        raise BadInput("no clips to train on", data, "a folder that `experts data` wrote", fix) from error


RECIPES: dict[str, Recipe] = {
    "mouth": Recipe("mouth", mouth_stage, lambda p, t, v: MouthExpert(t, v, p), held_out.mouths, 150),
    "camera": Recipe("camera", camera_stage, lambda p, t, v: CameraExpert(t, v, p), held_out.cameras, 80),
    "sync": Recipe("syncnet", sync_stage, lambda p, t, v: SyncExpert(t, v, small_reader(p)), held_out.syncs, 80),
}


def train(name: str, out: Path, data: Path, steps: int | None = None, config: loop.LoopConfig | None = None) -> Path:
    """Train an expert in OUT/FILE, going on where a stopped run was; its weights are written to OUT/FILE.safetensors.

    They have no threshold yet: that is what `measure` is for.
    """
    recipe = RECIPES[name]
    stage = recipe.stage(data, steps)
    state = loop.run(stage, out / recipe.file, make_mesh(), config or loop.LoopConfig())
    params = fetched(state.ema)
    scores = stage.evaluate(params)
    took = MetricsFile(out / recipe.file / "metrics.jsonl", int(state.step)).clock.read()
    passed = stage.gate(scores)
    shown = ", ".join(f"{key} {value:.4g}" for key, value in scores.items())
    print(f"{name}: {int(state.step)} steps, {took['cpu_seconds']:.0f} CPU-s; {shown}")
    print(f"{name}: gate {'passed' if passed else 'NOT passed'}")
    path = out / f"{recipe.file}.safetensors"
    result = {"steps": int(state.step), "scores": scores, "gate_passed": passed} | took
    ship.export(params, path, {"stage": recipe.file, "config": described(stage.config), "result": result})
    return path


def measure(
    name: str, weights: Path, out: Path, clips: int | None = None, false_positive: float = FALSE_POSITIVE
) -> dict[str, Any]:
    """Calibrate on held-out set 0, report on set 1: OUT/NAME.roc.json and .png."""
    recipe = RECIPES[name]
    params, note = ship.load(weights)
    if note.get("stage") != recipe.file:
        got = f"{weights} holds {note.get('stage')}"
        raise ship.WeightsError("weights of another network", got, f"weights of {recipe.file}", "give the right file")
    expert, count = recipe.open(params, 0.0, version(recipe.file, weights)), clips or recipe.clips
    sets = [
        list(measured(expert, tqdm(recipe.examples(part, count), total=2 * count, desc=f"{name}, set {part}")))
        for part in (0, 1)
    ]
    report = {"expert": name, "version": expert.version} | calibrate(sets[0], sets[1], false_positive)
    for path in write(out, name, report):
        print(path)
    return report


def keep_threshold(weights: Path, report: dict[str, Any]) -> None:
    """Write the measured threshold into the note of the weights."""
    params, note = ship.load(weights)
    kept = ("wanted_false_positive", "threshold", "calibration", "test", "offsets")
    ship.export(params, weights, note | {"calibration": {key: report[key] for key in kept}})
