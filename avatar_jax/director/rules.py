"""The rule-based director: three experts, one storyline, no weights.

The user's words win over what the recording sounds like, and that over what the portrait shows. Where two of them
disagree the storyline records what was chosen, what was rejected and why; what nobody said is filled in with quiet
defaults and listed under `inferred`. The order of priority is
Kling-Avatar's (arXiv 2509.09595, director); the rules are ours.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np
from jaxtyping import UInt8

from avatar_jax.director.experts.audio import Heard, hear
from avatar_jax.director.experts.image import look
from avatar_jax.director.experts.text import Finding, Step, Wish, read_wish
from avatar_jax.director.layout import SHORTEST, Slot, lay_out
from avatar_jax.director.storyline import (
    CAMERAS,
    EMOTIONS,
    GAZES,
    Conflict,
    Evidence,
    Shot,
    Storyline,
    milliseconds,
)
from avatar_jax.media import Recording
from avatar_jax.media.face import Box

ASKED, LISTENING_CALM = 0.6, 0.4
"""Intensity of an emotion that the user names without an adverb, and of the calm of a listener."""
HIGH, LOW = 1.1, -1.1
"""Arousal above which a voice sounds excited, below which calm."""
RESTLESS = ("excitement", "anger", "surprise", "joy")
OPPOSITE = {
    "calm": "excited, agitated",
    "excitement": "bored, sleepy",
    "confusion": "confident, certain",
    "sadness": "smiling, laughing",
    "surprise": "bored, indifferent",
    "anger": "smiling, relaxed",
    "joy": "sad, crying, angry",
    "neutral": "exaggerated expression",
}
ARTEFACTS = "blurred face, distorted mouth, frozen face, flicker, extra fingers"
MOST_RECORDS = 200
"""Evidence, inferred fields and conflicts are listed up to here: a long wish must not bury the shots."""


@dataclass
class Notes:
    """What the storyline will say about how it was made."""

    evidence: dict[tuple[str, str], Evidence] = field(default_factory=dict)
    inferred: list[str] = field(default_factory=list)
    conflicts: dict[tuple[str, str, str], Conflict] = field(default_factory=dict)

    def saw(self, expert: str, finding: str, seen_in: str) -> None:
        if len(self.evidence) < MOST_RECORDS:
            note = Evidence.model_validate({"expert": expert, "finding": finding[:300], "seen_in": seen_in[:300]})
            self.evidence.setdefault((note.finding, note.seen_in), note)

    def clash(self, path: str, chosen: str, rejected: str, reason: str) -> None:
        if len(self.conflicts) < MOST_RECORDS:
            note = Conflict(path=path, chosen=chosen[:300], rejected=rejected[:300], reason=reason)
            self.conflicts.setdefault((path, note.chosen, note.rejected), note)


def direct(
    recording: Recording, portrait: UInt8[np.ndarray, "H W 3"], prompt: str = "", box: Box | None = None
) -> Storyline:
    """The storyline for a recording, a portrait whose head lies in `box`, and the user's words.

    Raises:
      BadInput: a prompt beyond the length that is accepted; nothing else in it can be wrong.
    """
    wish, heard, seen = read_wish(prompt), hear(recording), look(portrait, box)
    notes = Notes()
    slots, left_out = lay_out(wish, recording.seconds, heard.silences)
    for lost in left_out:
        notes.clash(lost.path, lost.chosen, lost.rejected, lost.reason)
    shots: list[Shot] = []
    carried: Finding | None = None
    acted = False
    for slot in slots:
        emotion = _wanted("emotion", slot.step, notes, len(shots)) or carried
        if slot.step is not None and slot.step.timing[0] != "span":
            carried = emotion
        actions = [f for f in _positive(slot.step, "action") if slot.acting]
        if not actions and not acted:
            actions = _positive(wish.steps[0], "action")
            acted = bool(actions)
        for part, acts in _acts(slot, actions, heard, notes, len(shots)):
            shots += _shots(part, acts, emotion, wish, heard, notes, len(shots))
    settings = {"character": seen.character, "background": seen.background, "style": seen.style}
    for name, value in settings.items():
        if name in wish.settings:
            notes.saw("text", f"$.{name}", wish.settings[name])
            if name != "character":
                notes.clash(f"$.{name}", wish.settings[name], value, "the user's words win over the portrait")
        else:
            notes.saw("image", f"$.{name} = {value}", "palette and edges of the portrait")
    if wish.text:
        notes.inferred.append("$.language")
    return Storyline.model_validate(
        {
            "sound": {"samples": recording.samples, "sample_rate": recording.sample_rate},
            "language": wish.language,
            "wish": wish.text,
            **settings,
            **wish.settings,
            "shots": shots,
            "evidence": list(notes.evidence.values()),
            "inferred": notes.inferred[:MOST_RECORDS],
            "conflicts": list(notes.conflicts.values()),
        }
    )


def _positive(step: Step | None, kind: str) -> list[Finding]:
    return [] if step is None else [f for f in step.findings if f.kind == kind and not f.negated]


def _wanted(kind: str, step: Step | None, notes: Notes, shot: int) -> Finding | None:
    """The first thing of its kind that a step asks for; a second, different one is a recorded conflict."""
    found = _positive(step, kind)
    for other in found[1:]:
        reason = "two at once cannot be shown; the first named is"
        notes.clash(f"$.shots[{shot}].{kind}", found[0].value, other.value, reason)
    return found[0] if found else None


def _acts(
    slot: Slot, actions: list[Finding], heard: Heard, notes: Notes, shot: int
) -> list[tuple[Slot, Finding | None]]:
    """The slot, in equal parts where it holds several actions; too short for an action, it loses it."""
    if not actions:
        return [(slot, None)]
    room = int((slot.end - slot.start) / 1)
    if room == 0:
        length = f"the shot lasts {float(slot.end - slot.start):.2f} s; an action takes 1 s"
        for action in actions:
            notes.clash(f"$.shots[{shot}].action", "none", action.value, length)
        return [(slot, None)]
    for action in actions[room:]:
        notes.clash(f"$.shots[{shot}].action", "left out", action.value, "one action takes a second")
    actions = actions[:room]
    edges = [slot.start + (slot.end - slot.start) * k / len(actions) for k in range(len(actions) + 1)]
    return [(Slot(a, b, slot.step), action) for (a, b), action in zip(pairwise(edges), actions, strict=True)]


def _voices(slot: Slot, heard: Heard) -> list[tuple[Fraction, Fraction, str]]:
    """The slot cut where the voice falls silent or returns; pieces under SHORTEST join the one before."""
    voice = "singing" if heard.singing else "speaking"
    edges = {slot.start, slot.end}
    silences = [s for s in heard.silences if s[0] < slot.end and s[1] > slot.start]
    for start, end in silences:
        edges |= {t for t in (start, end) if slot.start < t < slot.end}
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
    return pieces


def _shots(
    slot: Slot, action: Finding | None, emotion: Finding | None, wish: Wish, heard: Heard, notes: Notes, first: int
) -> list[Shot]:
    whole = wish.steps[0]
    emotion = emotion or _wanted("emotion", whole, notes, first)
    camera = _wanted("camera", slot.step, notes, first) or _wanted("camera", whole, notes, first)
    gaze = _wanted("gaze", slot.step, notes, first) or _wanted("gaze", whole, notes, first)
    motion = _wanted("motion", slot.step, notes, first) or _wanted("motion", whole, notes, first)
    sings = _wanted("voice", whole, notes, first) or _wanted("voice", slot.step, notes, first)
    banned = [f for step in (whole, slot.step) if step is not None for f in step.findings if f.negated]
    pieces = _voices(slot, heard)
    # The action belongs to the longest piece in which the voice is heard, or else to the longest.
    acting = max(pieces, key=lambda p: (p[2] != "listening", p[1] - p[0]))
    shots = []
    for piece in pieces:
        start, end, voice = piece
        path = f"$.shots[{first + len(shots)}]"
        fields: dict[str, object] = {"start": milliseconds(start), "end": milliseconds(end)}
        fields["voice"] = "singing" if sings and voice == "speaking" else voice
        fields |= _feeling(emotion, banned, voice, heard, (start, end), notes, path)
        for kind, found, known in (("camera", camera, CAMERAS), ("gaze", gaze, GAZES)):
            if found is not None and found.value in known:
                fields[kind] = found.value
                notes.saw("text", f"{path}.{kind} = {found.value}", found.seen_in)
            else:
                notes.inferred.append(f"{path}.{kind}")
        if camera is not None and camera.value != "static":
            # A move that goes on through several shots is shared out by their lengths.
            share = float((end - start) / (slot.end - slot.start))
            fields["camera_amount"] = max(0.1, round((camera.amount or 0.5) * share, 1))
        if action is not None and piece == acting:
            fields["action"] = action.value
            notes.saw("text", f"{path}.action = {action.value}", action.seen_in)
        if motion is not None and motion.amount is not None:
            fields["motion"] = motion.amount
            notes.saw("text", f"{path}.motion = {motion.amount}", motion.seen_in)
        else:
            fields["motion"] = 0.2 if voice == "listening" else round(0.5 + 0.1 * heard.arousal(start, end), 1)
            notes.inferred.append(f"{path}.motion")
        fields["negative_prompt"] = _negative(str(fields["emotion"]), voice, banned)
        shots.append(Shot.model_validate(fields))
    return shots


def _feeling(
    emotion: Finding | None,
    banned: list[Finding],
    voice: str,
    heard: Heard,
    span: tuple[Fraction, Fraction],
    notes: Notes,
    path: str,
) -> dict[str, object]:
    """Emotion and intensity of one shot: the user's, or the listener's calm, or what the voice sounds like."""
    arousal = heard.arousal(*span)
    sounds = "excitement" if arousal > HIGH else "calm" if arousal < LOW else "neutral"
    measured = f"arousal {arousal:+.1f}: level, pitch spread {heard.pitch_sd:.1f} st, {heard.rate:.1f} syllables/s"
    if emotion is not None:
        notes.saw("text", f"{path}.emotion = {emotion.value}", emotion.seen_in)
        clash = (sounds == "calm" and emotion.value in RESTLESS) or (sounds == "excitement" and emotion.value == "calm")
        if clash and voice != "listening":
            notes.clash(f"{path}.emotion", emotion.value, f"{sounds} (voice)", "the user's words win over the voice")
        return {"emotion": emotion.value, "intensity": ASKED if emotion.amount is None else emotion.amount}
    if voice == "listening":
        notes.saw("rule", f"{path} listens: calm, mouth closed", "the voice is silent")
        return {"emotion": "calm", "intensity": LISTENING_CALM}
    if any(f.value == sounds for f in banned):
        notes.clash(f"{path}.emotion", "neutral", f"{sounds} (voice)", "the user does not want it")
        sounds = "neutral"
    if sounds == "neutral":
        notes.inferred.append(f"{path}.emotion")
    else:
        notes.saw("audio", f"{path}.emotion = {sounds}", measured)
    return {"emotion": sounds, "intensity": 0.4 if sounds != "neutral" else 0.5}


def _negative(emotion: str, voice: str, banned: list[Finding]) -> str:
    """What the shot must not show: the opposite feeling, what the user forbade, a moving mouth in silence."""
    forbidden = [f.value.replace("_", " ") for f in banned if f.kind != "emotion" or f.value in EMOTIONS]
    still = ["talking, moving mouth"] if voice == "listening" else []
    return ", ".join(dict.fromkeys([OPPOSITE[emotion], *forbidden, *still, ARTEFACTS]))
