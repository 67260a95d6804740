"""The text expert: a wish in English, Chinese, Japanese or Korean -> what is asked for, and when.

Rules, not understanding: words of a lexicon, adverbs beside them, negations around them, and timing words that part
the wish into steps. What it does not know it leaves out; it never fails on any text.
"""

import re
import unicodedata
from dataclasses import dataclass, field, replace
from itertools import pairwise

from avatar_jax.director.experts.plain import plainly
from avatar_jax.director.experts.settings import read_settings
from avatar_jax.director.lexicon import (
    AFTER,
    BEFORE,
    DEGREES,
    LEXICON,
    SPEEDS,
    TIMINGS,
)
from avatar_jax.media import BadInput

LONGEST = 20_000
"""Characters of a prompt that are accepted."""

Timing = tuple[str, float, float]
"""("whole" | "start" | "then" | "end" | "half" | "for" | "at" | "span" | "last", seconds, seconds): see TIMINGS.

Of "at", "span" and "last" the numbers are when; of the others the second number is how long, 0 where nobody says."""
_EXACT = ("at", "span", "last", "half")

_SENTENCE = re.compile(r"(?<!\d)\.|\.(?!\d)|[;!?\n。！？；]+")
_COMMA = re.compile(r"(?<!\d),|,(?!\d)|[，、]")
_SCRIPTS = (
    ("ja", r"[\u3040-\u30ff]"),
    ("ko", r"[\uac00-\ud7af\u1100-\u11ff]"),
    ("zh", r"[\u4e00-\u9fff]"),
    ("en", r"[a-z]"),
)


@dataclass(frozen=True)
class Finding:
    """One thing asked for (or forbidden): kind and value as in the storyline, amount in [0, 1], the words."""

    kind: str
    value: str
    amount: float | None
    negated: bool
    seen_in: str
    at: int


@dataclass
class Step:
    """What is asked for at one time."""

    timing: Timing
    findings: list[Finding] = field(default_factory=list)
    seen_in: str = ""


@dataclass(frozen=True)
class Wish:
    """A cleaned prompt and its steps; the first step holds what is said of the whole video."""

    text: str
    language: str
    steps: list[Step]
    settings: dict[str, str]


def clean_prompt(prompt: str) -> str:
    """The prompt in one normal form: full-width letters folded, control and invisible characters removed.

    Raises:
      BadInput: more than LONGEST characters.
    """
    if len(prompt) > LONGEST:
        raise BadInput("--prompt", f"{len(prompt)} characters", f"at most {LONGEST}", "say it more briefly")
    kept = (c if c in "\n " or not unicodedata.category(c).startswith("C") else " " for c in prompt)
    lines = (" ".join(line.split()) for line in unicodedata.normalize("NFKC", "".join(kept)).split("\n"))
    return "\n".join(line for line in lines if line)[:LONGEST]


def read_wish(prompt: str) -> Wish:
    """Steps in the order of the text; steps[0] is the "whole" step, present even where nothing is said of it."""
    text = clean_prompt(prompt)
    said = plainly(text)
    lower = said.lower().replace("’", "'")
    whole = Step(("whole", 0, 0))
    steps = [whole]
    for start, end in _spans(lower, _SENTENCE, 0, len(lower)):
        current = whole
        for a, b in _pieces(lower, start, end):
            timing = _timing(lower, a, b)
            if timing is not None and timing[0] == "rest":
                current = whole
            elif timing is not None:
                current = Step(timing)
                steps.append(current)
            found = _findings(lower, a, b)
            if not found:
                _add_degree(current, lower[a:b])
            current.findings += found
            current.seen_in = f"{current.seen_in} {said[a:b].strip()}".strip()[:300]
        later = steps[1:]
        if any(step.timing[0] in ("then", "end") for step in later) and _first_is_start(whole, steps, start):
            _part_whole(whole, steps, start)
    language = language_of(lower)
    kept = [step for step in steps[1:] if step.findings or step.timing[0] == "start"]
    return Wish(text, language, [whole, *kept], read_settings(text))


def language_of(lower: str) -> str:
    """The language of a lower-case text by its script: a hint, as Latin letters may be anything."""
    return next((name for name, script in _SCRIPTS if re.search(script, lower)), "other")


def _add_degree(step: Step, piece: str) -> None:
    """ "Sad, but only a little": a clause that holds an adverb and nothing else belongs to what was just said."""
    amount = next((amount for amount, pattern in DEGREES if pattern.search(piece)), None)
    last = step.findings[-1] if step.findings else None
    if amount is not None and len(piece) <= 30 and last is not None and last.kind == "emotion" and last.amount is None:
        step.findings[-1] = replace(last, amount=amount)


def _first_is_start(whole: Step, steps: list[Step], start: int) -> bool:
    """Whether this sentence opened without a timing word and goes on with one: its opening is the first step."""
    here = [s for s in steps[1:] if s.findings and s.findings[0].at >= start]
    return bool(here) and here[0].timing[0] in ("then", "end") and any(f.at >= start for f in whole.findings)


def _part_whole(whole: Step, steps: list[Step], start: int) -> None:
    opening = [f for f in whole.findings if f.at >= start]
    whole.findings = [f for f in whole.findings if f.at < start]
    first = next(i for i, s in enumerate(steps) if i and s.findings and s.findings[0].at >= start)
    timing: Timing = ("start", 0, 0) if first == 1 else ("then", 0, 0)
    steps.insert(first, Step(timing, opening, " ".join(f.seen_in for f in opening)))


def _spans(text: str, separator: re.Pattern[str], start: int, end: int) -> list[tuple[int, int]]:
    spans = []
    for match in separator.finditer(text, start, end):
        spans.append((start, match.start()))
        start = match.end()
    return [(a, b) for a, b in [*spans, (start, end)] if text[a:b].strip()]


def _pieces(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Clauses of a sentence, parted further before every timing word that has its own content after it."""
    pieces = []
    for a, b in _spans(text, _COMMA, start, end):
        places = [f.at for f in _findings(text, a, b)]
        cuts = [at for _, at in _markers(text, a, b) if places and a < at <= places[-1] and places[0] < at]
        edges = [a, *cuts, b]
        pieces += pairwise(edges)
    return pieces


def _markers(text: str, a: int, b: int) -> list[tuple[Timing, int]]:
    """Timing words of text[a:b] by place; a longer or earlier-listed one hides those inside it."""
    found: list[tuple[Timing, int]] = []
    taken = bytearray(b - a)
    for kind, pattern in TIMINGS:
        for match in pattern.finditer(text, a, b):
            if not any(taken[match.start() - a : match.end() - a]):
                taken[match.start() - a : match.end() - a] = b"\1" * (match.end() - match.start())
                numbers = [float(n) for n in match.groups() if n]
                first, second = [*numbers, 0.0, 0.0][:2]
                timing: Timing = (kind, first, second)
                if kind == "first":
                    timing = ("span", 0.0, numbers[0])
                found.append((timing, match.start()))
    return sorted(found, key=lambda item: item[1])


def _timing(text: str, a: int, b: int) -> Timing | None:
    """When text[a:b] happens: "then, at 3 s, she waves" is at 3 s; "then sad for 2 seconds" is then, 2 s long."""
    marks = [timing for timing, _ in _markers(text, a, b)]
    length = next((timing[1] for timing in marks if timing[0] == "for"), 0.0)
    first = next((timing for timing in marks if timing[0] in _EXACT), None) or next(
        (timing for timing in marks if timing[0] != "for"), None
    )
    if first is None:
        return ("for", 0.0, length) if length else None
    if first[0] == "at" and length:
        return "span", first[1], first[1] + length
    return first if first[0] in _EXACT else (first[0], 0.0, length)


def _findings(text: str, a: int, b: int) -> list[Finding]:
    """What text[a:b] asks for, by place, longer matches first where they overlap."""
    found: list[tuple[int, int, str, str, float | None]] = []
    for kind, value, amount, pattern in LEXICON:
        found += [(m.start(), m.end(), kind, value, amount) for m in pattern.finditer(text, a, b)]
    chosen: list[tuple[int, int, str, str, float | None]] = []
    taken = bytearray(b - a)
    for item in sorted(found, key=lambda f: f[0] - f[1]):
        start, end = item[0] - a, item[1] - a
        if not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            chosen.append(item)
    chosen.sort()
    out = []
    for i, (start, end, kind, value, amount) in enumerate(chosen):
        before = text[chosen[i - 1][1] if i else a : start]
        after = text[end : chosen[i + 1][0] if i + 1 < len(chosen) else b]
        negated = kind != "motion" and value != "static" and _is_negated(text[max(a, start - 60) : start], after[:20])
        if amount is None and kind in ("emotion", "camera"):
            amount = _amount(kind, before, after)
        out.append(Finding(kind, value, amount, negated, text[start:end], start))
    return _share_degrees(out)


def _share_degrees(findings: list[Finding]) -> list[Finding]:
    """Two words for one emotion ("very happy, cheerful") count once, with the stronger amount."""
    out: list[Finding] = []
    for finding in findings:
        same = next(
            (f for f in out if (f.kind, f.value, f.negated) == (finding.kind, finding.value, finding.negated)), None
        )
        if same is None:
            out.append(finding)
        elif finding.amount is not None and finding.amount > (same.amount or 0):
            out[out.index(same)] = replace(same, amount=finding.amount)
    return out


def _is_negated(before: str, after: str) -> bool:
    return any(p.search(before) for p in BEFORE) or any(p.search(after) for p in AFTER)


def _amount(kind: str, before: str, after: str) -> float | None:
    """The amount that words beside a finding give it: a number, or an adverb before it, or one just after it."""
    number = re.match(r"^\W{0,3}(?:intensity |强度|強さ|강도)?(?:(0?\.\d{1,2}|1\.0)|(\d{1,3}) ?%)", after)
    percent = re.search(r"(\d{1,3}) ?%\W*$", before)
    if number or percent:
        digits = (number and (number[1] or number[2])) or (percent and percent[1]) or "0"
        return min(1.0, float(digits) if "." in digits else float(digits) / 100)
    rows = DEGREES if kind == "emotion" else SPEEDS
    near = before[-24:]
    for words in (near, after[:14]):
        for amount, pattern in rows:
            if pattern.search(words):
                return amount
    return None
