"""The embedded edition: drawn avatars that nobody was trained on, voices likewise, every frame's truth beside them.

`SET/truth/CASE.mp4` is the render of the truth: a system folder like any other. Cases are made in parallel and each
appears whole; the manifest is written when all are there, so a stopped run goes on where it was.
"""

import json
import multiprocessing
import sys
import wave
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from tqdm import tqdm

from avatar_jax.director.storyline import Language, Shot, Sound, Storyline, milliseconds
from avatar_jax.director.wording import phrase
from avatar_jax.evaluation.benchmark.composition import CASES, length_of
from avatar_jax.evaluation.benchmark.manifest import MANIFEST, SetCase, read_set, sha256, write_set, write_whole
from avatar_jax.evaluation.benchmark.recipes import SHOT_S, Recipe, recipes
from avatar_jax.evaluation.making import shut_and_silent, without_camera
from avatar_jax.media import BadInput, unwritable, write_video
from avatar_jax.models.judge import COLUMNS
from avatar_jax.sampling.folder import hash_of, write_arrays
from data_pipeline.synthetic import render, story
from data_pipeline.synthetic.clip import FPS, HELD_OUT_IDENTITIES, Clip, animated
from data_pipeline.synthetic.identity import Identity, make_identity
from data_pipeline.synthetic.judged import labels
from data_pipeline.synthetic.speech import SAMPLE_RATE, Manner, Speech, speak

VERSION = 1
"""Of what a recipe means; a set made by another one is made anew."""
FIRST_SEED = 40_000
"""Seeds of the edition's characters and voices are far from those of other evaluations."""
TRIES = 100
"""Characters looked at for one of the wanted kind: all kinds are among so many."""
SIDE = 512
AT_ONCE = 16
LICENCE = "Apache-2.0 (drawn and synthesised by this project)"
TOLD = 4
"""Shots that a prompt tells; the storyline has them all."""


@dataclass(frozen=True)
class EditionConfig:
    """`seconds`: of every case, or None for 8 s to 2 min; `still`: no shot moves the camera, so that drift can be told
    from a move."""

    out: Path
    cases: int = CASES
    seconds: float | None = None
    still: bool = False
    workers: int = 2


def build(config: EditionConfig) -> list[SetCase]:
    """Make, or finish making, the edition.

    Raises:
      BadInput: the folder holds another set, or cannot be written.
    """
    wanted = recipes(config.cases, config.seconds)
    require_same(config, wanted)
    made: dict[str, SetCase] = {}
    todo = []
    for recipe in wanted:
        one = kept(config, recipe)
        if one is None:
            todo.append(recipe)
        else:
            made[recipe.name] = one
    with tqdm(total=len(wanted), initial=len(made), desc="cases", disable=not sys.stderr.isatty()) as bar:
        for one in made_now(config, todo):
            made[one.case] = one
            bar.update()
    cases = [made[recipe.name] for recipe in wanted]
    write_set(config.out, cases)
    return cases


def made_now(config: EditionConfig, todo: list[Recipe]) -> Iterator[SetCase]:
    if config.workers <= 1 or len(todo) <= 1:
        yield from (make_case(config, recipe) for recipe in todo)
        return
    # Fresh processes: a forked one would share the synthesiser's child and JAX's threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(config.workers, len(todo)), context) as pool:
        for future in as_completed([pool.submit(make_case, config, recipe) for recipe in todo]):
            yield future.result()


def key_of(config: EditionConfig, recipe: Recipe) -> str:
    return hash_of([VERSION, asdict(recipe), config.still])


def record_of(config: EditionConfig, recipe: Recipe) -> Path:
    return config.out / ".cases" / f"{recipe.name}.json"


def require_same(config: EditionConfig, wanted: list[Recipe]) -> None:
    """A frozen set may grow; its cases never change."""
    if not (config.out / MANIFEST).is_file():
        return
    frozen = [case.case for case in read_set(config.out)]
    same = frozen == [recipe.name for recipe in wanted][: len(frozen)]
    if not same or any(kept(config, recipe) is None for recipe in wanted[: len(frozen)]):
        got = f"a frozen set of {len(frozen)} other cases"
        raise BadInput(f"--out {config.out}", got, "a frozen set never changes", "choose another --out")


def kept(config: EditionConfig, recipe: Recipe) -> SetCase | None:
    """The case where an earlier run finished it and its files are there."""
    try:
        record = json.loads(record_of(config, recipe).read_text(encoding="utf-8"))
        case = SetCase(**record["case"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    there = all((config.out / path).is_file() for _, path in case.files())
    return case if record.get("key") == key_of(config, recipe) and there else None


def make_case(config: EditionConfig, recipe: Recipe) -> SetCase:
    """Write the files of a case, then its record."""
    clip = clip_of(recipe)
    clip = without_camera(clip) if config.still else clip
    name, out = recipe.name, config.out
    paths = {
        "portrait": f"portraits/{name}.png",
        "audio": f"audio/{name}.wav",
        "storyline": f"storylines/{name}.json",
        "labels": f"labels/{name}.npz",
        "truth": f"truth/{name}.mp4",
    }
    write_whole(out / paths["portrait"], png_of(clip.portrait(SIDE)))
    write_sound(out / paths["audio"], clip.speech.wave)
    write_whole(out / paths["storyline"], clip.storyline.to_json().encode())
    write_arrays(out / paths["labels"], **truth_of(clip))
    write_video(out / paths["truth"], drawn(clip), FPS, len(clip.states_TS), out / paths["audio"])
    case = SetCase(
        case=name,
        prompt=prompt_of(recipe, clip),
        seconds=round(len(clip.speech.wave) / SAMPLE_RATE, 3),
        licence=LICENCE,
        tags=tags_of(recipe, clip),
        sha256={what: sha256(out / path) for what, path in paths.items()},
        **paths,
    )
    record = {"key": key_of(config, recipe), "case": asdict(case)}
    write_whole(record_of(config, recipe), json.dumps(record, ensure_ascii=False).encode())
    return case


def clip_of(recipe: Recipe) -> Clip:
    """Character, voice, plan and movement of a recipe."""
    seed = FIRST_SEED + recipe.number
    rng = np.random.default_rng([FIRST_SEED, recipe.number])
    manner = Manner(recipe.language, recipe.voice, recipe.pace)
    speech = speak(seed, "heldout", (recipe.seconds, recipe.seconds), manner=manner)
    identity = identity_of(recipe)
    return animated(rng, seed, "heldout", identity, speech, storyline_of(rng, recipe, speech, identity))


def identity_of(recipe: Recipe) -> Identity:
    """The first character of the wanted kind among the recipe's own held-out seeds."""
    first = HELD_OUT_IDENTITIES + FIRST_SEED + TRIES * recipe.number
    return next(who for who in map(make_identity, range(first, first + 10 * TRIES)) if who.kind == recipe.kind)


def storyline_of(rng: np.random.Generator, recipe: Recipe, speech: Speech, who: Identity) -> Storyline:
    """A shot every few seconds, at uneven places; the first asks for what the recipe is tagged with."""
    sound = Sound(samples=len(speech.wave), sample_rate=SAMPLE_RATE)
    count = max(1, round(speech.seconds / SHOT_S))
    inner = (np.arange(1, count) + rng.uniform(-0.25, 0.25, count - 1)) * speech.seconds / count
    edges = [Decimal(0), *(milliseconds(float(at)) for at in inner), milliseconds(sound.seconds)]
    first, *others = (story.random_shot(rng, speech, start, end) for start, end in pairwise(edges))
    wish = {"emotion": recipe.emotion, "intensity": recipe.intensity, "action": recipe.action, "camera": recipe.camera}
    return Storyline(
        sound=sound,
        language=cast(Language, speech.language),
        transcript=speech.text[:2000],
        character=f"a drawn {who.species}",
        background=who.background,
        style=f"{who.style} drawing",
        shots=[Shot.model_validate(first.model_dump() | wish), *others],
    )


def prompt_of(recipe: Recipe, clip: Clip) -> str:
    """The first shots in a person's words, in the language of the recording."""
    rng = np.random.default_rng(recipe.number)
    return "; ".join(phrase(shot, recipe.language, rng) for shot in clip.storyline.shots[:TOLD])


def tags_of(recipe: Recipe, clip: Clip) -> dict[str, str]:
    first = clip.storyline.shots[0]
    return {
        "origin": "generated",
        "kind": "human" if recipe.kind == "human" else "non-human",
        "ethnicity": "drawn",
        "framing": "head-and-shoulders",
        "aspect": "square",
        "language": recipe.language,
        "voice": recipe.voice,
        "rate": recipe.rate,
        "length": length_of(recipe.seconds),
        "emotion": first.emotion,
        "intensity": recipe.strength,
        "action": first.action,
        "camera": first.camera,
        "background": clip.identity.background,
        "style": clip.identity.style,
    }


def truth_of(clip: Clip) -> dict[str, np.ndarray]:
    """Labels of every frame at 25 a second: each reading of the judge as NAME_T, and where lips must be shut."""
    values = labels(clip.identity, clip.states_TS)
    truth = {name: values[:, i] for i, name in enumerate(COLUMNS)}
    closed, silent = shut_and_silent(clip, clip.times, truth)
    named = {f"{name}_T": value for name, value in truth.items()}
    return {"fps": np.array(float(FPS)), **named, "closed_T": closed, "silent_T": silent}


def drawn(clip: Clip) -> Iterator[np.ndarray]:
    """True frames, a few at a time."""
    for i in range(0, len(clip.states_TS), AT_ONCE):
        yield from render.render(clip.identity, clip.states_TS[i : i + AT_ONCE], SIDE)


def png_of(picture: np.ndarray) -> bytes:
    ok, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise RuntimeError("the portrait could not be written as PNG")
    return png.tobytes()


def write_sound(path: Path, samples: np.ndarray, rate: int = SAMPLE_RATE) -> None:
    """Mono 16-bit sound; appears whole."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(part), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(samples.astype(np.int16).tobytes())
        part.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
