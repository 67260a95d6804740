"""The cascade of one clip in memory, once up to its key frames, then on under any number of configs."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh
from PIL import Image

from avatar_jax.sampling.clips import sub_clips
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.drafts import blueprint
from avatar_jax.sampling.finder import face_finder
from avatar_jax.sampling.folder import OutputFolder
from avatar_jax.sampling.insertion import insert_frames, plan_insertion
from avatar_jax.sampling.keyframes import select_keyframes
from avatar_jax.sampling.report import Stopwatch, progress_bar
from avatar_jax.sampling.request import FASTEST, Request, decode, prepare
from avatar_jax.sampling.seams import repair_seams
from avatar_jax.sampling.segments import Segment, assemble, plan_segments
from avatar_jax.sampling.work import Models, Work, begin
from data_pipeline.synthetic.clip import Clip
from data_pipeline.synthetic.preview import write_sound


class Cascade:
    """`folder` holds inputs and sub-clips while it is used. `spent` is processor seconds by stage and config."""

    def __init__(self, clip: Clip, folder: Path, models: Models, config: SampleConfig, mesh: Mesh) -> None:
        self.clip, self.folder, self.models, self.config, self.mesh = clip, folder, models, config, mesh
        self.spent: dict[tuple[str, Any], float] = {}
        self.tracks: dict[Any, np.ndarray] = {}
        self.clips: dict[Any, dict[int, np.ndarray]] = {}

    def timed(self, stage: str, key: Any, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        done = work()
        self.spent[stage, key] = self.spent.get((stage, key), 0.0) + time.process_time() - began
        return done

    @cached_property
    def work(self) -> Work:
        """Everything up to the blueprint, with the clip's own storyline."""
        inputs = self.folder / "inputs"
        inputs.mkdir()
        Image.fromarray(self.clip.portrait(self.config.size)).save(inputs / "portrait.png")
        write_sound(inputs / "speech.wav", self.clip)
        self.clip.storyline.save(inputs / "wanted.json")
        out = OutputFolder(self.folder / "default")
        # Planned for the highest rate, whose last instant is the latest: at every other one the track is long enough.
        request = Request(
            image=inputs / "portrait.png",
            audio=inputs / "speech.wav",
            out=out.path,
            storyline=inputs / "wanted.json",
            fps=str(FASTEST),
        )
        finder = face_finder(self.models.reader, self.models.reader_params)
        prepared = prepare(decode(request), "", self.models.director, finder)
        out.open("default")
        return begin(request, prepared, self.models, self.config, self.mesh, out, Stopwatch(progress_bar(True)))

    @cached_property
    def keys(self) -> dict[int, np.ndarray]:
        """Latents of the key frames, by model frame."""

        def draft() -> dict[int, np.ndarray]:
            latents, scores = blueprint(self.work)
            stride = self.config.blueprint.stride
            chosen = select_keyframes(scores, stride, self.config.keyframes)
            return {moment: latents[moment // stride] for moment in chosen.model_frames}

        return self.timed("blueprint", None, draft)

    @cached_property
    def segments(self) -> list[Segment]:
        return plan_segments(sorted(self.keys))

    def sub_clips(self, config: SampleConfig) -> dict[int, np.ndarray]:
        """Latents of the sub-clips; configs that differ in the seams alone share them."""
        if config.segment not in self.clips:
            out = OutputFolder(self.folder / f"clips_{len(self.clips)}")
            out.open("clips")
            work, todo = replace(self.work, config=config, folder=out), [0] * len(self.segments)
            made, _ = self.timed("sub-clips", config.segment, lambda: sub_clips(work, self.segments, self.keys, todo))
            self.clips[config.segment] = made
        return self.clips[config.segment]

    def track(self, config: SampleConfig) -> np.ndarray:
        """Latents at the model's rate, joined."""
        key = (config.segment, config.seams)
        if key not in self.tracks:
            made = assemble(self.segments, self.sub_clips(config))
            self.tracks[key] = self.timed(
                "seams",
                key,
                lambda: repair_seams(self.work.denoise, self.work.noise, made, self.segments, config.seams),
            )
        return self.tracks[key]

    def frames(self, config: SampleConfig, fps: str) -> Iterator[np.ndarray]:
        """The frames that the encoder would get."""
        timeline = replace(self.work.prepared.timeline, fps=Fraction(fps))
        track = self.track(config)
        plan = plan_insertion(timeline, self.segments, config.seams.width, config.insertion)
        stream = insert_frames(self.work.denoise, self.work.noise, track, timeline, plan, config.insertion)
        moved = self.work.camera.along(stream, timeline.model_fps / timeline.fps)
        latents = self.timed("insertion", (config, fps), lambda: list(moved))
        if len(latents) != timeline.frames:
            raise RuntimeError(f"{len(latents)} frames instead of {timeline.frames}")
        shown = self.work.pictures.decode(latents)
        while (frame := self.timed("pictures", (config, fps), lambda: next(shown, None))) is not None:
            yield frame

    def seams(self, config: SampleConfig, fps: str) -> tuple[int, ...]:
        """The frames of the video at which sub-clips meet."""
        ratio = Fraction(fps) / self.work.prepared.timeline.model_fps
        return tuple(round(segment.last * ratio) for segment in self.segments[:-1])

    def cost(self, config: SampleConfig, fps: str) -> float:
        """Processor seconds of all stages that this config's frames needed, those shared with others included."""
        stages = {
            "blueprint": None,
            "sub-clips": config.segment,
            "seams": (config.segment, config.seams),
            "insertion": (config, fps),
            "pictures": (config, fps),
        }
        return sum(self.spent.get(stage, 0.0) for stage in stages.items())
