"""The rule-based director: three experts, one storyline, no weights.

The user's words win over what the recording sounds like, and that over what the portrait shows. Where two of them
disagree the storyline records what was chosen, what was rejected and why; what nobody said is filled in with quiet
defaults and listed under `inferred`. The order of priority is
Kling-Avatar's (arXiv 2509.09595, director); the rules are ours.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import UInt8

from avatar_jax.director.experts.audio import Heard, hear
from avatar_jax.director.experts.image import Seen, look
from avatar_jax.director.experts.text import Finding, Step, Wish, read_wish
from avatar_jax.director.layout import SHORTEST, Slot, Span, lay_out
from avatar_jax.director.negative import negative_prompt
from avatar_jax.director.notes import Notes
from avatar_jax.director.resolution import settle
from avatar_jax.director.scene import describe, note_experts
from avatar_jax.director.storyline import CAMERAS, EMOTIONS, GAZES, Shot, Storyline, milliseconds
from avatar_jax.media import Recording
from avatar_jax.media.face import Box

ASKED, LISTENING_CALM = 0.6, 0.4
"""Intensity of an emotion that the user names without an adverb, and of the calm of a listener."""
RESTLESS = ("excitement", "anger", "surprise", "joy")
MOOD_PIECE = 2
"""Seconds that each side must last where a shot is cut because the voice changes."""


def direct(
    recording: Recording, portrait: UInt8[np.ndarray, "H W 3"], prompt: str = "", box: Box | None = None
) -> Storyline:
    """The storyline for a recording, a portrait whose head lies in `box`, and the user's words.

    Raises:
      BadInput: a prompt beyond the length that is accepted; nothing else in it can be wrong.
    """
    return write(recording, read_wish(prompt), hear(recording), look(portrait, box))


def write(recording: Recording, wish: Wish, heard: Heard, seen: Seen) -> Storyline:
    """The storyline of what the three experts found."""
    plan = Plan(wish, heard, recording.seconds)
    plan.write()
    scene = describe(wish, seen, plan.notes)
    note_experts(recording, heard, seen, plan.notes)
    shots = [
        shot.model_copy(update={"negative_prompt": negative_prompt(shot, scene["style"], banned)})
        for shot, banned in zip(settle(plan.shots, seen, plan.notes), plan.banned, strict=True)
    ]
    return Storyline.model_validate(
        {
            "sound": {"samples": recording.samples, "sample_rate": recording.sample_rate},
            "wish": wish.text,
            **scene,
            "shots": shots,
            **plan.notes.records(),
        }
    )


@dataclass
class Plan:
    """The shots as they grow, with what the user forbade in each."""

    wish: Wish
    heard: Heard
    seconds: Fraction
    notes: Notes = field(default_factory=Notes)
    shots: list[Shot] = field(default_factory=list)
    banned: list[list[str]] = field(default_factory=list)

    @property
    def path(self) -> str:
        """JSON path of the shot that comes next."""
        return f"$.shots[{len(self.shots)}]"

    def write(self) -> None:
        """All shots, in order."""
        self.spread()
        slots, left_out = lay_out(self.wish, self.seconds, self.heard.silences)
        for lost in left_out:
            self.notes.clash(lost.path, lost.chosen, lost.rejected, lost.reason)
        moods = self.heard.moods(self.seconds)
        carried: Finding | None = None
        acted = False
        for slot in slots:
            emotion = self.wanted("emotion", slot.step) or carried
            if slot.step is not None and slot.step.timing[0] not in ("span", "for") and not slot.asked:
                carried = emotion
            actions = [f for f in _positive(slot.step, "action") if slot.acting]
            if not actions and not acted:
                actions = _positive(self.wish.steps[0], "action")
                acted = bool(actions)
            emotion = emotion or self.wanted("emotion", self.wish.steps[0])
            self.note_length(slot)
            for part in _by_mood(slot, moods) if emotion is None else [slot]:
                for piece, action in self.acts(part, actions if part.start == slot.start else []):
                    self.add(piece, slot, action, emotion)

    def spread(self) -> None:
        """A camera move that the user wants longer than the recording belongs to the whole of it."""
        whole, *later = self.wish.steps
        endless = [s for s in later if s.timing[0] == "for" and s.timing[2] >= self.seconds and _only_camera(s)]
        for step in endless:
            length = f"{float(self.seconds):.3f} s"
            rejected = f"{step.timing[2]:g} s: {step.seen_in}"
            self.notes.clash(f"{self.path}.camera", length, rejected, f"the recording lasts {length}")
        whole = replace(whole, findings=[*whole.findings, *(f for step in endless for f in step.findings)])
        self.wish = replace(self.wish, steps=[whole, *(step for step in later if step not in endless)])

    def wanted(self, kind: str, step: Step | None) -> Finding | None:
        """The first thing of its kind that a step asks for; a second, different one is a recorded conflict."""
        found = _positive(step, kind)
        for other in found[1:]:
            reason = "two at once cannot be shown; the first named is"
            self.notes.clash(f"{self.path}.{kind}", found[0].value, other.value, reason)
        return found[0] if found else None

    def either(self, kind: str, step: Step | None) -> Finding | None:
        """What a step asks for, or else what is asked for the whole video."""
        return self.wanted(kind, step) or self.wanted(kind, self.wish.steps[0])

    def note_length(self, slot: Slot) -> None:
        """A step that the user wanted longer than it can be."""
        if slot.step is None or slot.asked <= slot.end - slot.start + SHORTEST:
            return
        kind = "camera" if _positive(slot.step, "camera") else "emotion"
        left = float(slot.end - slot.start)
        reason = f"the recording lasts {float(self.seconds):.3f} s, {left:.3f} s are left for it"
        rejected = f"{float(slot.asked):g} s: {slot.step.seen_in}"
        self.notes.clash(f"{self.path}.{kind}", f"{left:.3f} s", rejected, reason)

    def acts(self, slot: Slot, actions: list[Finding]) -> list[tuple[Slot, Finding | None]]:
        """The slot, in equal parts where it holds several actions; too short for an action, it loses it."""
        if not actions:
            return [(slot, None)]
        room = int((slot.end - slot.start) / 1)
        if room == 0:
            length = f"the shot lasts {float(slot.end - slot.start):.2f} s; an action takes 1 s"
            for action in actions:
                self.notes.clash(f"{self.path}.action", "none", action.value, length)
            return [(slot, None)]
        for action in actions[room:]:
            self.notes.clash(f"{self.path}.action", "left out", action.value, "one action takes a second")
        actions = actions[:room]
        edges = [slot.start + (slot.end - slot.start) * k / len(actions) for k in range(len(actions) + 1)]
        parts = [replace(slot, start=a, end=b) for a, b in pairwise(edges)]
        return list(zip(parts, actions, strict=True))

    def add(self, piece: Slot, slot: Slot, action: Finding | None, emotion: Finding | None) -> None:
        """The shots of a piece of a slot: one, or more where the voice falls silent or returns in it."""
        camera, gaze, motion = (self.either(kind, slot.step) for kind in ("camera", "gaze", "motion"))
        sings = self.either("voice", slot.step)
        whole = self.wish.steps[0]
        banned = [f for step in (whole, slot.step) if step is not None for f in step.findings if f.negated]
        pieces = list(voices(piece.start, piece.end, self.heard))
        # The action belongs to the longest piece in which the voice is heard, or else to the longest.
        acting = max(pieces, key=lambda p: (p[2] != "listening", p[1] - p[0]))
        for start, end, voice in pieces:
            told: dict[str, Any] = {"start": milliseconds(start), "end": milliseconds(end)}
            told["voice"] = "singing" if sings and voice == "speaking" else voice
            told |= self.feeling(emotion, banned, voice, (start, end))
            for kind, found, known in (("camera", camera, CAMERAS), ("gaze", gaze, GAZES)):
                if found is not None and found.value in known:
                    told[kind] = found.value
                    self.notes.saw("text", f"{self.path}.{kind} = {found.value}", found.seen_in)
                else:
                    self.notes.infer(f"{self.path}.{kind}")
            if camera is not None and camera.value != "static":
                # A move that goes on through several shots is shared out by their lengths.
                over = self.seconds if camera in whole.findings else slot.end - slot.start
                told["camera_amount"] = max(0.1, round((camera.amount or 0.5) * float((end - start) / over), 1))
            if action is not None and (start, end, voice) == acting:
                told["action"] = action.value
                self.notes.saw("text", f"{self.path}.action = {action.value}", action.seen_in)
            if motion is not None and motion.amount is not None:
                told["motion"] = motion.amount
                self.notes.saw("text", f"{self.path}.motion = {motion.amount}", motion.seen_in)
            else:
                lively = round(0.5 + 0.1 * self.heard.arousal(start, end), 1)
                told["motion"] = 0.2 if voice == "listening" else lively
                self.notes.infer(f"{self.path}.motion")
            self.banned.append(
                [f.value.replace("_", " ") for f in banned if f.kind != "emotion" or f.value in EMOTIONS]
            )
            self.shots.append(Shot.model_validate(told))

    def feeling(self, emotion: Finding | None, banned: list[Finding], voice: str, span: Span) -> dict[str, object]:
        """Emotion and intensity of one shot: the user's, or the listener's calm, or what the voice sounds like."""
        sounds, path = self.heard.sounds(*span), f"{self.path}.emotion"
        if emotion is not None:
            self.notes.saw("text", f"{path} = {emotion.value}", emotion.seen_in)
            if voice != "listening" and (against := contradicted(emotion.value, sounds, self.heard.pressed(*span))):
                self.notes.clash(path, emotion.value, f"{against} (voice)", "the user's words win over the voice")
            return {"emotion": emotion.value, "intensity": ASKED if emotion.amount is None else emotion.amount}
        if voice == "listening":
            self.notes.saw("rule", f"{self.path} listens: calm, mouth closed", "the voice is silent")
            return {"emotion": "calm", "intensity": LISTENING_CALM}
        if any(f.value == sounds for f in banned):
            self.notes.clash(path, "neutral", f"{sounds} (voice)", "the user does not want it")
            sounds = "neutral"
        if sounds == "neutral":
            self.notes.infer(path)
        else:
            self.notes.saw("audio", f"{path} = {sounds}", self.heard.measured(*span))
        return {"emotion": sounds, "intensity": 0.4 if sounds != "neutral" else 0.5}


def contradicted(emotion: str, sounds: str, pressed: bool) -> str:
    """What the voice sounds like where that is at odds with a wanted emotion, or ""."""
    if (sounds == "calm" and emotion in RESTLESS) or (sounds == "excitement" and emotion == "calm"):
        return sounds
    return "pressed, perhaps angry" if pressed and emotion in ("joy", "calm", "sadness") else ""


def voices(start: Fraction, end: Fraction, heard: Heard) -> Iterator[tuple[Fraction, Fraction, str]]:
    """The span cut where the voice falls silent or returns; pieces under SHORTEST join the one before."""
    voice = "singing" if heard.singing else "speaking"
    edges = {start, end}
    silences = [s for s in heard.silences if s[0] < end and s[1] > start]
    for edge in (t for span in silences for t in span):
        edges |= {edge} if start < edge < end else set()
    pieces: list[tuple[Fraction, Fraction, str]] = []
    for a, b in pairwise(sorted(edges)):
        before = bisect_right(silences, a, key=lambda s: s[0]) - 1
        silent = before >= 0 and b <= silences[before][1]
        name = "listening" if silent else voice
        if pieces and (b - a < SHORTEST or pieces[-1][2] == name):
            pieces[-1] = (pieces[-1][0], b, pieces[-1][2])
        elif pieces and pieces[-1][1] - pieces[-1][0] < SHORTEST:
            pieces[-1] = (pieces[-1][0], b, name)
        else:
            pieces.append((a, b, name))
    return iter(pieces)


def _positive(step: Step | None, kind: str) -> list[Finding]:
    return [] if step is None else [f for f in step.findings if f.kind == kind and not f.negated]


def _only_camera(step: Step) -> bool:
    return bool(_positive(step, "camera")) and all(f.kind in ("camera", "motion", "gaze") for f in step.findings)


def _by_mood(slot: Slot, moods: list[Fraction]) -> list[Slot]:
    """The slot cut where the mood of the voice changes."""
    edges = [slot.start, *(m for m in moods if slot.start + MOOD_PIECE <= m <= slot.end - MOOD_PIECE), slot.end]
    return [replace(slot, start=a, end=b) for a, b in pairwise(edges)]
