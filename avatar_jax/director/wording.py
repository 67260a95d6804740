"""How a person might ask for a shot, in four languages: the words from which training paraphrases are made."""

from dataclasses import dataclass

import numpy as np

from avatar_jax.director.storyline import Shot

BANDS = (0.25, 0.45, 0.65, 0.85)
"""Limits between the five words of strength."""


@dataclass(frozen=True)
class Words:
    """One language's words. `feel` holds choices joined by |; `strength` has five adverbs, `speed` three."""

    feel: dict[str, str]
    strength: tuple[str, ...]
    act: dict[str, str]
    move: dict[str, str]
    speed: tuple[str, str, str]
    gaze: dict[str, str]
    motion: tuple[str, str]
    voice: dict[str, str]
    space: str
    comma: str


ENGLISH = Words(
    feel={
        "calm": "calm|relaxed|peaceful",
        "excitement": "excited|thrilled|enthusiastic",
        "confusion": "confused|puzzled",
        "sadness": "sad|sorrowful",
        "surprise": "surprised|astonished",
        "anger": "angry|mad",
        "joy": "happy|cheerful|joyful",
        "neutral": "neutral",
    },
    strength=("a tiny bit", "slightly", "", "very", "extremely"),
    act={
        "nod": "nods|nodding",
        "shake_head": "shakes the head|shaking her head",
        "tilt_head": "tilts the head|tilting his head",
        "raise_hand": "raises a hand|with a raised hand",
        "wave": "waves|waving",
        "look_left": "looks to the left|turns left",
        "look_right": "looks to the right|turns right",
        "lean_in": "leans in|leaning forward",
    },
    move={
        "static": "static camera|fixed camera",
        "push_in": "push in|zoom in",
        "pull_out": "pull out|zoom out",
        "pan_left": "pan left|the camera pans left",
        "pan_right": "pan right|the camera pans right",
        "tilt_up": "tilt up|the camera tilts up",
        "tilt_down": "tilt down|the camera tilts down",
    },
    speed=("slowly", "", "quickly"),
    gaze={"left": "eyes left", "right": "eyes right", "up": "eyes up", "down": "eyes down", "viewer": "eyes on us"},
    motion=("little movement", "lively movement"),
    voice={"speaking": "talking", "singing": "singing", "listening": "listening, mouth closed"},
    space=" ",
    comma=", ",
)
CHINESE = Words(
    feel={
        "calm": "平静|冷静",
        "excitement": "兴奋|激动",
        "confusion": "困惑|疑惑",
        "sadness": "悲伤|难过",
        "surprise": "惊讶|吃惊",
        "anger": "生气|愤怒",
        "joy": "高兴|开心|快乐",
        "neutral": "中性表情",
    },
    strength=("稍微", "有点", "", "非常", "极其"),
    act={
        "nod": "点头",
        "shake_head": "摇头",
        "tilt_head": "歪头",
        "raise_hand": "举手|抬手",
        "wave": "挥手|招手",
        "look_left": "向左看",
        "look_right": "向右看",
        "lean_in": "身体前倾",
    },
    move={
        "static": "固定镜头",
        "push_in": "推近|拉近镜头",
        "pull_out": "拉远",
        "pan_left": "镜头左移",
        "pan_right": "镜头右移",
        "tilt_up": "镜头上移",
        "tilt_down": "镜头下移",
    },
    speed=("缓慢", "", "快速"),
    gaze={"left": "目光向左", "right": "目光向右", "up": "目光向上", "down": "目光向下", "viewer": "看镜头"},
    motion=("动作很小", "动作很大"),
    voice={"speaking": "说话", "singing": "唱歌", "listening": "静静倾听"},
    space="",
    comma="，",
)
JAPANESE = Words(
    feel={
        "calm": "穏やか|落ち着いて",
        "excitement": "興奮して|わくわくして",
        "confusion": "困惑して|戸惑って",
        "sadness": "悲しそうに|悲しげに",
        "surprise": "驚いて|びっくりして",
        "anger": "怒って",
        "joy": "嬉しそうに|楽しそうに",
        "neutral": "無表情で",
    },
    strength=("わずかに", "少し", "", "とても", "極めて"),
    act={
        "nod": "うなずく",
        "shake_head": "首を横に振る",
        "tilt_head": "首をかしげる",
        "raise_hand": "手を挙げる",
        "wave": "手を振る",
        "look_left": "左を見る",
        "look_right": "右を見る",
        "lean_in": "身を乗り出す",
    },
    move={
        "static": "カメラ固定",
        "push_in": "ズームイン",
        "pull_out": "ズームアウト",
        "pan_left": "左にパン",
        "pan_right": "右にパン",
        "tilt_up": "ティルトアップ",
        "tilt_down": "ティルトダウン",
    },
    speed=("ゆっくり", "", "素早く"),
    gaze={"left": "視線は左", "right": "視線は右", "up": "視線は上", "down": "視線は下", "viewer": "カメラ目線"},
    motion=("動きは控えめ", "動きは大きく"),
    voice={"speaking": "話す", "singing": "歌う", "listening": "静かに聞く"},
    space="",
    comma="、",
)
KOREAN = Words(
    feel={
        "calm": "차분하게|침착하게",
        "excitement": "흥분해서|신나게",
        "confusion": "혼란스럽게|당황해서",
        "sadness": "슬프게|슬픈 표정으로",
        "surprise": "놀라서|깜짝 놀라",
        "anger": "화나서|분노하며",
        "joy": "기쁘게|행복하게|즐겁게",
        "neutral": "무표정하게",
    },
    strength=("아주 조금", "약간", "", "매우", "극도로"),
    act={
        "nod": "고개를 끄덕인다",
        "shake_head": "고개를 젓는다",
        "tilt_head": "고개를 갸웃한다",
        "raise_hand": "손을 든다",
        "wave": "손을 흔든다",
        "look_left": "왼쪽을 본다",
        "look_right": "오른쪽을 본다",
        "lean_in": "몸을 앞으로 숙인다",
    },
    move={
        "static": "고정 카메라",
        "push_in": "줌 인",
        "pull_out": "줌 아웃",
        "pan_left": "왼쪽으로 패닝",
        "pan_right": "오른쪽으로 패닝",
        "tilt_up": "틸트 업",
        "tilt_down": "틸트 다운",
    },
    speed=("천천히", "", "빠르게"),
    gaze={
        "left": "시선은 왼쪽",
        "right": "시선은 오른쪽",
        "up": "시선은 위",
        "down": "시선은 아래",
        "viewer": "정면 응시",
    },
    motion=("움직임은 작게", "움직임은 크게"),
    voice={"speaking": "말한다", "singing": "노래한다", "listening": "조용히 듣는다"},
    space=" ",
    comma=", ",
)
WORDS = {"en": ENGLISH, "zh": CHINESE, "ja": JAPANESE, "ko": KOREAN}


def phrase(shot: Shot, language: str, rng: np.random.Generator) -> str:
    """A short wish for `shot`: emotion first, the rest in random order, the unremarkable often left unsaid."""
    words = WORDS[language]

    def one(choices: str) -> str:
        return str(rng.choice(choices.split("|")))

    def said(*parts: str) -> str:
        return words.space.join(part for part in parts if part)

    strength = words.strength[sum(shot.intensity >= limit for limit in BANDS)]
    feeling = said("" if shot.emotion == "neutral" else strength, one(words.feel[shot.emotion]))
    rest: list[str] = []
    if shot.action != "none":
        rest.append(one(words.act[shot.action]))
    if shot.camera != "static":
        speed = words.speed[int(shot.camera_amount >= 0.4) + int(shot.camera_amount >= 0.75)]
        rest.append(said(speed, one(words.move[shot.camera])))
    elif rng.random() < 0.3:
        rest.append(one(words.move["static"]))
    if shot.gaze != "viewer" or rng.random() < 0.15:
        rest.append(words.gaze[shot.gaze])
    if abs(shot.motion - 0.5) > 0.25:
        rest.append(words.motion[int(shot.motion > 0.5)])
    if shot.voice != "speaking" or rng.random() < 0.2:
        rest.append(words.voice[shot.voice])
    order = rng.permutation(len(rest))
    return words.comma.join([feeling, *(rest[i] for i in order)])
