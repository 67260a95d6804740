"""Makes cases of the evaluation: held-out clips, the videos that `sample.py` makes of them, and what is read there."""

import contextlib
import io
import json
import shutil
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from avatar_jax.director.camera import CAMERA
from avatar_jax.evaluation.case import Case, ShotSpan
from avatar_jax.evaluation.eyes import Eyes
from avatar_jax.evaluation.sheets import contact_sheet
from avatar_jax.media import BadInput, read_frames
from avatar_jax.metrics import quality
from avatar_jax.metrics.judging import recognise
from avatar_jax.models.judge import COLUMNS, FRAME
from avatar_jax.sampling.request import MODEL_FPS
from avatar_jax.weights import ship
from data_pipeline.synthetic import latents, render
from data_pipeline.synthetic.clip import FPS, HELD_OUT_IDENTITIES, SAMPLE_RATE, Clip, make_clip
from data_pipeline.synthetic.identity import make_identity, with_background
from data_pipeline.synthetic.judged import labels, viseme_classes
from data_pipeline.synthetic.layers import hand_poses
from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS

CLOSED = 0.12
"""A true mouth opening below this is a shut mouth."""
LIPS = ("p", "b", "m")
SILENCE_S = 0.2
"""Seconds from any phone at which a mouth has come to rest."""
FIRST_SEED, FLITE_SEED, GALLERY_SEED = 5000, 7000, 20_000
STATES_AT_ONCE = 32
CHUNK = 10
"""Frames that the codec takes at once."""


@dataclass(frozen=True)
class EmbeddedConfig:
    """`cases` clips of `seconds` each, and `flite` more with a voice of another family; `out` keeps inputs and videos;
    `weights` is a folder of exported networks, `judge` another file for the judge; `overrides` go to sample.py as they
    are, for comparisons; `by` names the tables to make."""

    cases: int = 16
    seconds: float = 4.0
    flite: int = 4
    out: Path = Path("out/evaluation")
    weights: Path = ship.SHIPPED
    judge: Path | None = None
    overrides: tuple[str, ...] = ()
    still: bool = False
    """No shot moves the camera, so that drift can be told from a move."""
    sheets: bool = False
    """Beside every video a contact sheet of it, true frames above the made ones."""
    by: tuple[str, ...] = ()
    portraits: int = 256
    """In the gallery among which faces are recognised."""


def held_out_clips(count: int, seconds: float, still: bool = False) -> Iterator[Clip]:
    """Clips of characters and voices that nothing was trained on; `still`: without camera moves."""
    for number in range(count):
        clip = make_clip(FIRST_SEED + number, "heldout", (seconds, seconds))
        yield without_camera(clip) if still else clip


def without_camera(clip: Clip) -> Clip:
    """The same clip seen by a camera that stands still; nobody leans towards it either."""
    shots = [
        shot.model_copy(update={"camera": "static"} | ({"action": "none"} if shot.action == "lean_in" else {}))
        for shot in clip.storyline.shots
    ]
    states_TS = clip.states_TS.copy()
    states_TS[:, [COLUMN[name] for name in CAMERA]] = 0
    states_TS[:, COLUMN["occlude"]] = render.occlusion(clip.identity, states_TS)
    return replace(clip, storyline=clip.storyline.model_copy(update={"shots": shots}), states_TS=states_TS)


def flite_clips(count: int, seconds: float) -> Iterator[Clip]:
    """The same with slt of flite, a family of voices of which nothing was trained on this one."""
    seed = FLITE_SEED
    while count:
        clip = make_clip(seed, "heldout", (seconds, seconds), flite_share=1.0)
        seed += 1
        if clip.speech.voice.startswith("flite"):
            count -= 1
            yield clip


def gallery(eyes: Eyes, identities: list[int], size: int) -> np.ndarray:
    """Identities [size, 64] read from portraits before random backgrounds: the characters of the cases first."""
    seeds = (identities + [HELD_OUT_IDENTITIES + GALLERY_SEED + i for i in range(size)])[:size]
    pictures = (render.portrait(with_background(make_identity(seed), seed + 1), FRAME) for seed in seeds)
    return recognise(eyes.params, eyes.config, pictures)


def make_case(clip: Clip, number: int, eyes: Eyes, config: EmbeddedConfig, coded: bool = True) -> Case:
    """Sample the video of a clip, then read it, the truth and, if `coded`, what the codec makes of the truth."""
    folder = config.out / f"case_{number:03d}"
    began = time.monotonic()
    report = sampled(clip, folder, config)
    elapsed = time.monotonic() - began
    portrait = clip.portrait(FRAME)
    made = eyes.look(read_frames(folder / "video" / "video.mp4"), portrait)
    case = known_case(clip, number, eyes, Fraction(report["fps"]), len(made.colour_T3), seams_of(report))
    if config.sheets:
        true = drawn(clip, states_at(clip, np.arange(case.length) / case.fps))
        sheet = contact_sheet(read_frames(folder / "video" / "video.mp4"), true)
        Image.fromarray(sheet).save(folder / "sheet.png")
    looks = case.looks | {"made": made}
    frames = codec_frames(clip, config.weights) if coded else None
    if frames is None:
        return replace(case, looks=looks, seconds=elapsed)
    psnr = quality.psnr(frames, clip.frames(frames.shape[1]))
    return replace(case, looks=looks | {"coded": eyes.look(frames, portrait)}, codec_psnr=psnr, seconds=elapsed)


def seams_of(report: dict[str, Any]) -> tuple[int, ...]:
    """The frames at which sub-clips meet, from report.json."""
    return tuple(round(part["end"] * float(Fraction(report["fps"]))) for part in report["segments"][:-1])


def known_case(clip: Clip, number: int, eyes: Eyes, fps: Fraction, count: int, seams: tuple[int, ...]) -> Case:
    """A case of `count` frames at `fps` with all that is known before a video is made of it."""
    portrait = clip.portrait(FRAME)
    times = np.arange(count) / float(fps)
    states_TS = states_at(clip, times)
    values = labels(clip.identity, states_TS)
    truth = {name: values[:, i] for i, name in enumerate(COLUMNS)}
    shut, silent = shut_and_silent(clip, times, truth)
    on_grid = [(Fraction(i) * MODEL_FPS / fps).denominator == 1 for i in range(count)]
    return Case(
        groups=groups_of(clip),
        number=number,
        fps=float(fps),
        truth=truth,
        viseme_T2=viseme_classes(states_TS),
        closed_T=shut,
        silent_T=silent,
        inserted_T=~np.array(on_grid),
        seams=seams,
        shots=tuple(spans(clip, times)),
        looks={"true": eyes.look(drawn(clip, states_TS), portrait)},
        portrait_D=recognise(eyes.params, eyes.config, [portrait])[0],
        codec_psnr=float("nan"),
        seconds=float("nan"),
    )


def shut_and_silent(clip: Clip, times: np.ndarray, truth: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """[T] frames in which a sound has the lips closed and it can be seen, and those far from any sound, at rest."""
    shut, silent = np.zeros(len(times), bool), np.ones(len(times), bool)
    for phone in clip.speech.phones:
        silent &= (times < phone.start - SILENCE_S) | (times > phone.end + SILENCE_S)
        if phone.ipa in LIPS:
            shut |= (times >= phone.start) & (times < phone.end)
    at_rest = truth["open"] < CLOSED
    return shut & at_rest & (truth["occlude"] < 0.5), silent & at_rest


def groups_of(clip: Clip) -> dict[str, str]:
    return {
        "language": clip.speech.language,
        "style": clip.identity.style,
        "kind": clip.identity.kind,
        "voice": "flite" if clip.speech.voice.startswith("flite") else "espeak",
    }


def states_at(clip: Clip, times: np.ndarray) -> np.ndarray:
    """States at any instants; the clip's own where they are its frames'."""
    own = np.arange(len(clip.states_TS)) / FPS
    columns = [np.interp(times, own, clip.states_TS[:, i]) for i in range(clip.states_TS.shape[1])]
    return np.stack(columns, axis=-1).astype(np.float32)


def drawn(clip: Clip, states_TS: np.ndarray) -> Iterator[np.ndarray]:
    """True frames, a few at a time."""
    for i in range(0, len(states_TS), STATES_AT_ONCE):
        yield from render.render(clip.identity, states_TS[i : i + STATES_AT_ONCE], FRAME)


def spans(clip: Clip, times: np.ndarray) -> Iterator[ShotSpan]:
    for shot in clip.storyline.shots:
        first, stop = np.searchsorted(times, [float(shot.start), float(shot.end)])
        if stop > first:
            yield ShotSpan(int(first), int(stop), shot.emotion, shot.intensity, shot.action, shot.camera)


def sampled(clip: Clip, folder: Path, config: EmbeddedConfig) -> dict[str, Any]:
    """Write the inputs of a clip, let the command line make its video, and return the report."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(clip.portrait(512)).save(folder / "portrait.png")
    with wave.open(str(folder / "speech.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes(clip.speech.wave.tobytes())
    clip.storyline.save(folder / "wanted.json")
    story = ("--storyline", str(folder / "wanted.json"), "--weights", str(config.weights))
    return ask(folder, (*story, *config.overrides))


def ask(folder: Path, options: tuple[str, ...]) -> dict[str, Any]:
    """Let the command line make a video of the portrait and the speech in a folder; returns the report.

    Raises:
      BadInput: it refused the options.
    """
    import sample

    # Made anew every time: a finished folder would be returned as it is, in no time.
    shutil.rmtree(folder / "video", ignore_errors=True)
    arguments = ["--image", str(folder / "portrait.png"), "--audio", str(folder / "speech.wav")]
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        status = sample.main([*arguments, "--out", str(folder / "video"), *options])
    if status == 2:
        what, *_ = told.getvalue().strip().splitlines()[-3:]
        raise BadInput("sample.py refused a case", what, "overrides name values of its config", "correct the override")
    if status != 0:
        raise RuntimeError(f"sample.py ended with {status} in {folder}: {told.getvalue()[-500:]}")
    return json.loads((folder / "video" / "report.json").read_text())


def codec_frames(clip: Clip, weights: Path) -> np.ndarray | None:
    """uint8 frames of 128 px that the codec gives back for the clip's true frames, seen and shown at twice that size;
    None where no codec is there to ask."""
    from avatar_jax.models.avatar_codec import AvatarCodec
    from avatar_jax.models.portrait_layers import SIZE, LayersConfig

    if not (weights / "codec.safetensors").is_file():
        return None
    encoders = latents.load_encoders(weights / "codec.safetensors", weights / "audio.safetensors")
    layers, note = ship.load(weights / "layers.safetensors")
    codec = AvatarCodec(encoders.codec_config, LayersConfig(**note["config"]["model"]))
    params = encoders.codec | {"layers": layers}
    portrait = clip.portrait(SIZE)[None].astype(np.float32) / 127.5 - 1
    poses = np.concatenate([clip.states_TS[:, POSE_COLUMNS], hand_poses(clip.identity, clip.states_TS)], axis=-1)

    @jax.jit
    def back(frames: jax.Array, poses: jax.Array) -> jax.Array:
        stored = codec.apply({"params": params}, frames, poses, portrait, method="encode")
        shown: Any = codec.apply({"params": params}, stored, portrait, SIZE, method="decode")
        return shown[0].reshape(-1, SIZE // 2, 2, SIZE // 2, 2, 3).mean((2, 4))

    parts, frames = [], clip.frames(SIZE)
    for i in range(0, len(frames), CHUNK):
        rows = np.minimum(np.arange(i, i + CHUNK), len(frames) - 1)
        parts.append(np.asarray(back(frames[None, rows].astype(np.float32) / 127.5 - 1, poses[None, rows])))
    made = np.concatenate(parts)[: len(frames)]
    return np.clip(made * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
