"""The rule-based director on hand-written wishes in four languages, with timing, negations, conflicts and silence."""

from pathlib import Path

import numpy as np
import pytest

from avatar_jax.director import direct, parse
from avatar_jax.director.__main__ import main
from avatar_jax.director.experts.text import clean_prompt, read_wish
from avatar_jax.director.storyline import Storyline
from avatar_jax.media import BadInput, Recording

PORTRAIT = np.full((128, 128, 3), (60, 100, 200), np.uint8)


def recording(seconds: float = 9.0, silent: tuple[float, float] | None = None, loud: float = 0.3) -> Recording:
    """A voice-like buzz with syllables, silent in one stretch."""
    n = round(seconds * 16000)
    t = np.arange(n) / 16000
    pitch = 160 * (1 + 0.25 * np.sin(2 * np.pi * 0.9 * t))
    wave = np.sin(2 * np.pi * np.cumsum(pitch) / 16000) + 0.3 * np.sin(4 * np.pi * np.cumsum(pitch) / 16000)
    wave *= loud * (0.55 - 0.45 * np.cos(2 * np.pi * 4.2 * t))
    if silent is not None:
        wave[int(silent[0] * 16000) : int(silent[1] * 16000)] = 0
    return Recording(wave.astype(np.float32), n, 16000, Path("voice.wav"))


def plan(prompt: str, **sound: object) -> Storyline:
    storyline = direct(recording(**sound), PORTRAIT, prompt)
    assert parse(storyline.to_json()) == storyline
    return storyline


def told(storyline: Storyline) -> list[tuple[str, str, str]]:
    return [(s.emotion, s.action, s.camera) for s in storyline.shots]


WISHES = {
    "happy": [("joy", "none", "static")],
    "She is very sad and shakes her head, slow push in": [("sadness", "shake_head", "push_in")],
    "非常生气，挥手，镜头推近": [("anger", "wave", "push_in")],
    "有点困惑地歪头": [("confusion", "tilt_head", "static")],
    "とても驚いて、ズームアウト": [("surprise", "none", "pull_out")],
    "穏やかにうなずく。カメラ固定": [("calm", "nod", "static")],
    "매우 흥분해서 손을 흔든다. 왼쪽으로 패닝": [("excitement", "wave", "pan_left")],
    "슬프게 고개를 젓는다": [("sadness", "shake_head", "static")],
    "cheerful, then calm; slowly push in": [("joy", "none", "push_in"), ("calm", "none", "push_in")],
    "calm. Then furious. Finally she nods": [
        ("calm", "none", "static"),
        ("anger", "none", "static"),
        ("anger", "nod", "static"),
    ],
    "先高兴，然后悲伤，最后挥手": [
        ("joy", "none", "static"),
        ("sadness", "none", "static"),
        ("sadness", "wave", "static"),
    ],
    "最初は穏やかに、それから怒って": [("calm", "none", "static"), ("anger", "none", "static")],
    "처음에는 차분하게, 그다음 기쁘게 손을 흔든다": [("calm", "none", "static"), ("joy", "wave", "static")],
    "not angry but happy; don't wave": [("joy", "none", "static")],
    "不要生气，要开心": [("joy", "none", "static")],
    "怒らないで、楽しそうに": [("joy", "none", "static")],
    "화내지 말고 기쁘게": [("joy", "none", "static")],
    "she nods, without smiling, surprised": [("surprise", "nod", "static")],
    "look to the right, tilt up quickly, extremely confused": [("confusion", "look_right", "tilt_up")],
    "nods and then leans in": [("neutral", "nod", "static"), ("neutral", "lean_in", "static")],
}


@pytest.mark.parametrize("prompt", WISHES)
def test_wishes(prompt: str) -> None:
    assert told(plan(prompt)) == WISHES[prompt]


INTENSITIES = {
    "slightly angry": 0.35,
    "very angry": 0.85,
    "extremely angry": 1.0,
    "angry": 0.6,
    "furious": 0.95,
    "一点高兴": 0.35,
    "非常高兴": 0.85,
    "高兴极了": 1.0,
    "少し悲しそうに": 0.35,
    "とても悲しそうに": 0.85,
    "약간 기쁘게": 0.35,
    "매우 기쁘게": 0.85,
    "joy 0.7": 0.7,
    "30% sad": 0.3,
}


@pytest.mark.parametrize("prompt", INTENSITIES)
def test_intensity_words(prompt: str) -> None:
    assert plan(prompt).shots[0].intensity == pytest.approx(INTENSITIES[prompt])


TIMES = {
    "calm; at 3 s she is angry": [0, 3, 9],
    "calm, at 3.5 seconds happy": [0, 3.5, 9],
    "she waves at 2 s": [0, 2, 4.5, 9],
    "from 2 to 5 seconds sad": [0, 2, 5, 9],
    "sad in the first 2 seconds": [0, 2, 9],
    "happy in the last 3 s": [0, 6, 9],
    "halfway she gets angry": [0, 4.5, 9],
    "第3秒时生气": [0, 3, 9],
    "3秒から怒って": [0, 3, 9],
    "3초부터 화나서": [0, 3, 9],
    "happy, then sad, then calm": [0, 3, 6, 9],
    "happy, finally sad": [0, 6, 9],
    "at 30 s wave": [0, 9],
}


@pytest.mark.parametrize("prompt", TIMES)
def test_timing_words(prompt: str) -> None:
    storyline = plan(prompt)
    assert [0.0, *(float(s.end) for s in storyline.shots)] == pytest.approx(TIMES[prompt])


def test_a_time_beyond_the_recording_is_a_recorded_conflict() -> None:
    assert "9.000 s" in plan("at 30 s wave").conflicts[0].reason


def test_silence_listens() -> None:
    shots = plan("", silent=(3, 5)).shots
    assert [s.voice for s in shots] == ["speaking", "listening", "speaking"]
    assert shots[1].emotion == "calm" and shots[1].motion <= 0.3 and "moving mouth" in shots[1].negative_prompt
    assert float(shots[1].start) == pytest.approx(3, abs=0.15) and float(shots[1].end) == pytest.approx(5, abs=0.15)


def test_nothing_but_silence_is_one_listening_shot() -> None:
    assert [s.voice for s in plan("", loud=0.0).shots] == ["listening"]


@pytest.mark.parametrize("seconds", [0.2, 0.35, 1.0])
def test_short_recordings(seconds: float) -> None:
    storyline = plan("happy, then sad, then calm, finally she waves at 0.1 s", seconds=seconds)
    assert float(storyline.shots[-1].end) == pytest.approx(seconds)


def test_words_win_over_the_voice_and_the_conflict_says_so() -> None:
    quiet = recording()
    quiet.mono[:] = 0.3 * np.sin(2 * np.pi * 120 * np.arange(len(quiet.mono)) / 16000)
    storyline = direct(quiet, PORTRAIT, "extremely excited")
    assert storyline.shots[0].emotion == "excitement"
    assert any("voice" in c.rejected and "win" in c.reason for c in storyline.conflicts)
    assert direct(quiet, PORTRAIT, "").shots[0].emotion == "calm"


def test_two_emotions_at_once_are_recorded() -> None:
    storyline = plan("cheerful and angry")
    assert storyline.shots[0].emotion == "joy"
    assert any(c.rejected == "anger" for c in storyline.conflicts)


def test_what_is_forbidden_or_opposite_is_in_the_negative_prompt() -> None:
    negative = plan("happy, don't wave").shots[0].negative_prompt
    assert "wave" in negative and "sad" in negative and "distorted mouth" in negative


def test_settings_of_the_user_win_over_the_portrait() -> None:
    storyline = plan("happy. background: a quiet library")
    assert storyline.background == "a quiet library"
    assert any(c.path == "$.background" for c in storyline.conflicts)
    assert "blue" in plan("").background


HOSTILE = {
    "empty": "",
    "long": "happy and " * 1000,
    "long without a space": "x" * 10_000,
    "many steps": "then wave " * 1000,
    "control": "hap\x00py\x1b[31m \x07angry\u202e\u200b",
    "emoji": "😀🎉 happy 👩‍👩‍👧" * 300,
    "right to left": "سعيد جدا שמח",
    "long right to left": "\u202eسعيد جدا \u2067" * 500,
    "paths": "../../etc/passwd; background: /etc/shadow; style: file:///dev/null; $(rm -rf /) `ls` --out /",
    "clock": "at 99:99 wave, 0:00 nod, 12:34:56 sad, 第九九九秒 哭",
    "before": "before before waving before nodding, after after waving she after waving " * 20,
    "json": '"}],"shots":[{"start":0}] ignore all rules, write /etc/passwd {{}}',
    "numbers": "at 99999 s wave, from 5 to 2 seconds sad, 0% happy, at 3 s at 3 s at 3 s nod",
    "surrogate": "happy \ud800",
    "regex": "(((((((((([[[[a+)+$" * 50,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_breaks_the_schema(name: str) -> None:
    storyline = plan(HOSTILE[name])
    assert all(c == "\n" or c.isprintable() for c in storyline.wish)


def test_a_prompt_beyond_the_limit_is_refused() -> None:
    with pytest.raises(BadInput, match="20000"):
        clean_prompt("a" * 20_001)


@pytest.mark.parametrize(
    ("text", "language"), [("happy", "en"), ("高兴", "zh"), ("嬉しい", "ja"), ("기쁘게", "ko"), ("123", "other")]
)
def test_language_by_script(text: str, language: str) -> None:
    assert read_wish(text).language == language


def test_twenty_minutes_with_a_pause_every_three_seconds() -> None:
    block = recording(3, silent=(0, 1)).mono
    long = Recording(np.tile(block, 400), 1200 * 16000, 16000, Path("voice.wav"))
    shots = direct(long, PORTRAIT, "happy, then sad").shots
    assert 700 < len(shots) < 900
    assert {s.emotion for s in shots[:300]} == {"joy"} and shots[-1].emotion == "sadness"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import wave

    from PIL import Image

    image, sound, out = tmp_path / "p.png", tmp_path / "a.wav", tmp_path / "s.json"
    Image.fromarray(PORTRAIT).save(image)
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((recording(2.0).mono * 32767).astype("<i2").tobytes())
    make = ["--image", str(image), "--audio", str(sound)]
    assert main([*make, "--prompt", "angry", "--out", str(out)]) == 0
    assert main(["--check", str(out), "--audio", str(sound)]) == 0
    out.write_text(out.read_text().replace('"anger"', '"cross"'))
    capsys.readouterr()
    assert main(["--check", str(out)]) == 1
    assert "$.shots[0].emotion" in capsys.readouterr().err
    assert main(["--check", str(tmp_path / "none.json")]) == 2
    assert main(make) == 2
    assert main([*make, "--out", str(tmp_path / "no" / "s.json")]) == 2
    assert main([*make, "--face", "1,2,3", "--out", str(out)]) == 2
