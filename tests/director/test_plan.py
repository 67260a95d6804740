"""Local prompts and the weights of shots in time."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from avatar_jax.director.experts.text import read_wish
from avatar_jax.director.plan import local_prompt, paraphrase, shots_at
from avatar_jax.director.storyline import ACTIONS, CAMERAS, EMOTIONS, GAZES, Shot, Sound, Storyline


def storyline(*edges: float) -> Storyline:
    shots = [Shot(start=a, end=b) for a, b in pairwise(edges)]
    return Storyline(sound=Sound(samples=round(edges[-1] * 1000), sample_rate=1000), shots=shots)


def test_one_shot_always_weighs_one() -> None:
    assert (shots_at(storyline(0, 3), [-1, 0, Fraction(1, 3), 3, 9]) == 1).all()


def test_a_cut_is_a_ramp_centred_on_it() -> None:
    weights = shots_at(storyline(0, 2, 4), [0, 1.8, 2, 2.08, 2.2, 4], blend=0.16)
    np.testing.assert_allclose(weights[:, 1], [0, 0, 0.5, 0.75, 1, 1], atol=1e-6)


def test_rows_add_up_and_short_shots_reach_full_weight() -> None:
    times = np.linspace(-0.5, 3.5, 801)
    weights = shots_at(storyline(0, 0.4, 0.5, 0.55, 2, 3), times)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert (weights >= 0).all() and ((weights > 0).sum(1) <= 2).all()
    np.testing.assert_allclose(weights.max(0), 1, atol=0.06)


def random_shot(rng: np.random.Generator) -> Shot:
    return Shot.model_validate(
        {
            "start": 0,
            "end": 1,
            "emotion": rng.choice(EMOTIONS),
            "intensity": round(float(rng.uniform(0.1, 1)), 1),
            "action": rng.choice(ACTIONS),
            "camera": rng.choice(CAMERAS),
            "camera_amount": round(float(rng.uniform(0.1, 1)), 1),
            "gaze": rng.choice(GAZES),
            "motion": round(float(rng.uniform(0, 1)), 1),
            "voice": rng.choice(["speaking", "singing", "listening"]),
        }
    )


def test_local_prompts_tell_shots_apart() -> None:
    rng = np.random.default_rng(0)
    shots = [random_shot(rng) for _ in range(300)]
    told = {local_prompt(s): s.model_copy(update={"camera_amount": 0.5}) if s.camera == "static" else s for s in shots}
    assert len(told) == len({str(s) for s in told.values()})
    assert max(len(prompt.replace(",", "").split()) for prompt in told) <= 40


def test_paraphrases_are_many_and_mean_the_shot() -> None:
    """The text expert, written apart from the wording, reads emotion, action and camera back."""
    rng = np.random.default_rng(1)
    right, said = 0, set()
    for _ in range(300):
        shot = random_shot(rng)
        text = paraphrase(shot, rng)
        said.add(text)
        assert len(text) <= 120
        findings = {f.kind: f for f in reversed(read_wish(text).steps[0].findings) if not f.negated}
        wanted = {"emotion": shot.emotion}
        wanted |= {"action": shot.action} if shot.action != "none" else {}
        wanted |= {"camera": shot.camera} if shot.camera != "static" else {}
        right += all(kind in findings and findings[kind].value == value for kind, value in wanted.items())
    assert right >= 285 and len(said) > 250


@pytest.mark.parametrize("intensity", [0.1, 0.4, 0.6, 0.8, 1.0])
def test_strength_is_told(intensity: float) -> None:
    shot = Shot(start=0, end=1, emotion="anger", intensity=intensity)
    assert f"angry {intensity:.1f}" in local_prompt(shot)
