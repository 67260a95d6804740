"""From drafts to a storyline: windows, spans, listening, what cannot be shown, and the rules where a model fails."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from tqdm import tqdm

from avatar_jax.director.experts.audio import Heard, Span, hear
from avatar_jax.director.experts.image import Seen, look
from avatar_jax.director.experts.text import Wish, read_wish
from avatar_jax.director.mllm.chat import Chat, NoAnswer, Picture, Sound
from avatar_jax.director.mllm.dialogue import Outcome, Scene, discuss
from avatar_jax.director.mllm.draft import DraftShot, Limits, spans
from avatar_jax.director.mllm.windows import windows
from avatar_jax.director.negative import negative_prompt
from avatar_jax.director.notes import Notes
from avatar_jax.director.plan import local_prompt
from avatar_jax.director.resolution import settle
from avatar_jax.director.rules import contradicted, voices, write
from avatar_jax.director.scene import describe, note_experts
from avatar_jax.director.storyline import Shot, Storyline, milliseconds
from avatar_jax.media import Recording
from avatar_jax.media.audio import MODEL_RATE
from avatar_jax.media.face import Box

GIVE_UP = 2
"""Windows in a row without an answer after which the model is not asked again."""
LISTENING_MOTION = 0.3
TOLD = {"character", "background", "style", "language"}

Director = Callable[[Recording, np.ndarray, str, Box | None], Storyline]


def director_of(chat: Chat, limits: Limits = Limits(), quiet: bool = False) -> Director:  # noqa: B008 (frozen)
    """A director that asks `chat`, with the form of the rules' director."""

    def directed(recording: Recording, portrait: np.ndarray, prompt: str = "", box: Box | None = None) -> Storyline:
        return _Production(chat, limits, quiet, recording, portrait, prompt, box).storyline()

    return directed


@dataclass
class _Production:
    """One storyline in the making."""

    chat: Chat
    limits: Limits
    quiet: bool
    recording: Recording
    portrait: np.ndarray
    prompt: str
    box: Box | None
    notes: Notes = field(default_factory=Notes)
    shots: list[Shot] = field(default_factory=list)
    avoid: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def storyline(self) -> Storyline:
        # What the rules make of it: the facts beside the questions, and the plan of windows without an answer.
        wish, heard, seen = read_wish(self.prompt), hear(self.recording), look(self.portrait, self.box)
        ruled = write(self.recording, wish, heard, seen)
        self.run(wish, heard, seen, ruled)
        if not self.outcomes:
            fallback = f"{self.chat.name} gave no plan: {self.failures[0]}"
            return ruled.model_copy(update={"fallback": fallback[:2000]})
        return self.finish(wish, heard, seen, ruled)

    def run(self, wish: Wish, heard: Heard, seen: Seen, ruled: Storyline) -> None:
        """Plan every window; those that the model has no answer for get the rules' shots."""
        seconds = self.recording.seconds
        parts = windows(seconds, heard.silences)
        known: dict[str, str] = {}
        missed = 0
        for start, end in tqdm(parts, "storyline", unit="window", disable=self.quiet or len(parts) == 1):
            try:
                if missed >= GIVE_UP:
                    raise NoAnswer("not asked again")
                scene = Scene(
                    start, end, seconds, Sound(_cut(self.recording, start, end)), Picture(self.portrait), wish.text,
                    self.facts(heard, seen, ruled, (start, end)), local_prompt(self.shots[-1]) if self.shots else "",
                )  # fmt: skip
                outcome = discuss(self.chat, scene, self.limits, known)
                self.add(outcome, (start, end), heard, wish)
                self.outcomes.append(outcome)
                missed = 0
            except NoAnswer as error:
                missed += 1
                self.failures.append(f"{float(start):.1f}-{float(end):.1f} s: {error}")
                self.take(ruled, start, end)

    def facts(self, heard: Heard, seen: Seen, ruled: Storyline, span: Span) -> dict[str, str]:
        """What was measured, by expert."""
        start, end = span
        pauses = [
            f"{float(max(a, start)):.1f}-{float(min(b, end)):.1f}" for a, b in heard.silences if a < end and b > start
        ]
        kind = "no voice" if not heard.voiced.any() else "a song" if heard.singing else "speech"
        planned = [f"{shot.start}-{shot.end} s {local_prompt(shot)}" for shot in ruled.shots if start < shot.end < end]
        return {
            "audio": f"{kind}, {heard.measured(start, end)}; silent (s): {', '.join(pauses[:20]) or 'never'}",
            "image": f"{seen.framing}; palette {', '.join(seen.palette)}; {seen.background}; {seen.style}",
            "text": f"a simple parser reads: {'; '.join(planned[:8]) or 'nothing'}",
        }

    def add(self, outcome: Outcome, window: Span, heard: Heard, wish: Wish) -> None:
        """The shots of a draft, cut where the voice falls silent."""
        draft = outcome.draft
        asked_to_sing = any(f.kind == "voice" and not f.negated for step in wish.steps for f in step.findings)
        first = len(self.shots)
        for index, start, end in spans([shot.weight for shot in draft.shots], *window, heard.silences):
            told = draft.shots[index]
            pieces = list(voices(start, end, heard))
            acting = max(pieces, key=lambda p: (p[2] != "listening", p[1] - p[0]))
            places = []
            for piece in pieces:
                voice = "singing" if piece[2] == "speaking" and (draft.sung or asked_to_sing) else piece[2]
                share = float((piece[1] - piece[0]) / (end - start))
                shot = Shot.model_validate(
                    {
                        **told.model_dump(exclude={"weight", "avoid", "why", "action", "camera_amount"}),
                        "start": milliseconds(piece[0]),
                        "end": milliseconds(piece[1]),
                        "voice": voice,
                        "action": told.action if piece == acting else "none",
                        "camera_amount": round(told.camera_amount * share, 2),
                        "motion": min(told.motion, LISTENING_MOTION) if voice == "listening" else told.motion,
                    }
                )
                places.append(self.push(shot, told.avoid))
            self.note_voice(f"$.shots[{places[0]}]", told, (start, end), heard)
        for conflict in draft.conflicts:
            self.notes.clash(f"$.shots[{first}].{conflict.field}", conflict.chosen, conflict.rejected, conflict.reason)
        for expert, words in outcome.said:
            self.notes.saw("model", f"{expert}: {words}", f"{self.chat.name}, {float(window[0]):.1f} s")
        for name in draft.inferred:
            for index in range(first, len(self.shots)):
                self.notes.infer(f"$.shots[{index}].{name}" if name in Shot.model_fields else f"$.{name}")

    def push(self, shot: Shot, avoid: str) -> int:
        """Its number; a shot that says the same as the one before, as on either side of a window's end, prolongs it."""
        last = self.shots[-1] if self.shots else None
        if last is not None and last.action == "none" and last.camera == "static" and _alike(last, shot):
            self.shots[-1] = last.model_copy(update={"end": shot.end})
            return len(self.shots) - 1
        self.shots.append(shot)
        self.avoid.append(avoid)
        return len(self.shots) - 1

    def note_voice(self, path: str, told: DraftShot, span: Span, heard: Heard) -> None:
        """Why the model says so, and where the voice says otherwise."""
        self.notes.saw("model", f"{path} = {told.emotion}, {told.action}, {told.camera}", told.why or self.chat.name)
        if against := contradicted(told.emotion, heard.sounds(*span), heard.pressed(*span)):
            self.notes.clash(f"{path}.emotion", told.emotion, f"{against} (voice)", "the model chose it over the voice")

    def take(self, ruled: Storyline, start: Fraction, end: Fraction) -> None:
        """The rules' shots of a window, cut to it."""
        low, high = milliseconds(start), milliseconds(end)
        for shot in ruled.shots:
            if shot.start < high and shot.end > low:
                times = {"start": max(shot.start, low), "end": min(shot.end, high)}
                self.shots.append(shot.model_copy(update=times))
                self.avoid.append(shot.negative_prompt)

    def finish(self, wish: Wish, heard: Heard, seen: Seen, ruled: Storyline) -> Storyline:
        """One storyline of all windows."""
        transcript = " ".join(outcome.transcript.strip() for outcome in self.outcomes).strip()[:100_000]
        scene = describe(wish, seen, self.notes, transcript, self.outcomes[0].draft.model_dump(include=TOLD))
        note_experts(self.recording, heard, seen, self.notes)
        shots = [
            shot.model_copy(
                update={"negative_prompt": negative_prompt(shot, seen.style, [avoid] if avoid else [])[:2000]}
            )
            for shot, avoid in zip(settle(self.shots, seen, self.notes), self.avoid, strict=True)
        ]
        fallback = f"the rules planned {len(self.failures)} windows: {self.failures[0]}" if self.failures else ""
        return Storyline.model_validate(
            {
                "sound": ruled.sound,
                "made_by": self.chat.name,
                "fallback": fallback[:2000],
                "wish": wish.text,
                **scene,
                "shots": shots,
                **self.notes.records(),
            }
        )


def _alike(a: Shot, b: Shot) -> bool:
    return a == b.model_copy(update={"start": a.start, "end": a.end})


def _cut(recording: Recording, start: Fraction, end: Fraction) -> np.ndarray:
    return recording.mono[int(start * MODEL_RATE) : int(end * MODEL_RATE)]
