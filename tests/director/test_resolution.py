"""Conflicts: what could not hold together, what was done about it, and that the storyline says so."""

from fractions import Fraction

import pytest

from avatar_jax.director import direct
from avatar_jax.director.cases import HEADS, PORTRAIT
from avatar_jax.director.experts.audio import hear
from avatar_jax.director.experts.image import look
from avatar_jax.director.negative import negative_prompt
from avatar_jax.director.storyline import EMOTIONS, Shot, Storyline
from avatar_jax.director.voices import recording

SPEECH = [("speech", 9)]


def plan(prompt: str, head: str = "half", parts: object = SPEECH) -> Storyline:
    return direct(recording(parts), PORTRAIT, prompt, HEADS[head])  # pyright: ignore[reportArgumentType]


FIRST = "$.shots[0]"
CONFLICTS = {
    "an angry voice": ("cheerful", "half", [("angry", 9)], f"{FIRST}.emotion", "joy", "angry", "words win"),
    "two emotions": ("happy and furious", "half", SPEECH, f"{FIRST}.emotion", "joy", "anger", "two at once"),
    "a hand outside": ("wave", "close", SPEECH, f"{FIRST}.action", "none", "wave", "no hand can be seen"),
    "a move too long": ("pan left over 30 s", "half", SPEECH, f"{FIRST}.camera", "9.000 s", "30 s", "lasts"),
    "a move in no time": ("push in", "half", [("speech", 0.6)], f"{FIRST}.camera", "static", "push_in", "takes 1 s"),
    "more moves than room": (
        "quickly push in, then quickly push in, then quickly push in", "half", SPEECH, "$.shots[1].camera", "shortened",
        "push_in", "room",
    ),
    "two things at one time": ("at 3 s angry, at 3 s sad", "half", SPEECH, "$.shots", "sad", "angry", "same time"),
    "an action in no time": ("nod", "half", [("speech", 0.5)], f"{FIRST}.action", "none", "nod", "takes 1 s"),
    "a time beyond the end": ("at 30 s wave", "half", SPEECH, "$.shots", "left out", "wave", "9.000 s"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFLICTS)
def test_conflicts_are_resolved_and_recorded(name: str) -> None:
    prompt, head, parts, path, chosen, rejected, reason = CONFLICTS[name]
    conflicts = plan(prompt, head, parts).conflicts
    assert any(
        c.path == path and chosen in c.chosen and rejected in c.rejected and reason in c.reason for c in conflicts
    ), conflicts


def test_no_conflict_where_all_agree() -> None:
    assert plan("happy, then she waves; slowly push in").conflicts == []


def test_a_camera_move_of_its_own_length_ends_with_it() -> None:
    shots = plan("push in over 3 seconds").shots
    assert [(float(s.end), s.camera) for s in shots] == [(3, "push_in"), (9, "static")]


def test_every_conclusion_has_evidence_or_is_inferred() -> None:
    storyline = plan("happy, then she waves at 5 s. Tilt up. Looks down", parts=[("speech", 6), ("silence", 3)])
    said = " ".join(e.finding for e in storyline.evidence) + " ".join(storyline.inferred)
    for i, shot in enumerate(storyline.shots):
        for name in ("emotion", "camera", "gaze", "motion", *(["action"] if shot.action != "none" else [])):
            listening = f"$.shots[{i}] listens" in said and name == "emotion"
            assert f"$.shots[{i}].{name}" in said or listening, (i, name)
    for name in ("character", "background", "style", "language", "voice in", "syllables", "face(s)", "palette"):
        assert name in said


def test_the_opposite_is_in_every_negative_prompt() -> None:
    told = {e: negative_prompt(Shot(start=0, end=1, emotion=e), "drawing") for e in EMOTIONS}  # pyright: ignore[reportArgumentType]
    assert len(set(told.values())) == len(EMOTIONS)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"motion": 0.9}, "slow motion"),
        ({"motion": 0.1}, "hectic"),
        ({"camera": "push_in"}, "jump cut"),
        ({}, "moving camera"),
        ({"voice": "listening"}, "moving mouth"),
        ({"emotion": "joy", "intensity": 0.2}, "overacting"),
        ({"emotion": "joy", "intensity": 0.9}, "blank expression"),
    ],
)
def test_negative_prompts_name_the_wrong_way(fields: dict[str, object], words: str) -> None:
    shot = Shot.model_validate({"start": 0, "end": 1, **fields})
    assert words in negative_prompt(shot, "drawing") and "distorted mouth" in negative_prompt(shot, "")


@pytest.mark.parametrize(
    ("kind", "sounds", "singing", "pressed", "noise"),
    [
        ("speech", "neutral", False, False, False),
        ("calm", "calm", False, False, False),
        ("lively", "excitement", False, False, False),
        ("angry", "excitement", False, True, False),
        ("song", "neutral", True, False, False),
        ("silence", "neutral", False, False, False),
        ("noise", "neutral", False, False, True),
    ],
)
def test_what_is_heard(kind: str, sounds: str, singing: bool, pressed: bool, noise: bool) -> None:
    heard, whole = hear(recording([(kind, 6)])), (Fraction(0), Fraction(6))
    found = (heard.sounds(*whole), heard.singing, heard.pressed(*whole), heard.noise)
    assert found == (sounds, singing, pressed, noise)
    assert heard.silences == ([whole] if kind in ("silence", "noise") else [])


def test_the_portrait_is_looked_at() -> None:
    close, half, none = (look(PORTRAIT, box) for box in (HEADS["close"], HEADS["half"], None))
    assert "close-up" in close.framing and "head and shoulders" in half.framing and "unknown" in none.framing
    assert close.palette == ("blue",) and len(close.faces) == 1 and none.faces == ()
