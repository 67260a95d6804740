"""Three worked examples that every model sees before it plans (Kling-Avatar, arXiv 2509.09595, fixes three as well)."""

from typing import Any

_QUIET = {"gaze": "viewer", "camera": "static", "camera_amount": 0.0, "motion": 0.4}


def _shot(weight: int, emotion: str, intensity: float, avoid: str, why: str, **rest: Any) -> dict[str, Any]:
    return {"weight": weight, "emotion": emotion, "intensity": intensity, "action": "none", **_QUIET} | rest | {
        "avoid": avoid,
        "why": why,
    }  # fmt: skip


EXAMPLES: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        'window 0.0 to 9.0 s of 9.0 s; wish "cheerful, then she waves"; audio: a woman says hello in English, her '
        "voice is pressed and loud; image: a woman with short hair before a white wall, head and shoulders",
        {
            "character": "a woman with short dark hair, facing the viewer",
            "background": "a white wall",
            "style": "photograph",
            "language": "en",
            "sung": False,
            "shots": [
                _shot(6, "joy", 0.6, "sad, crying, closed lips", "text: cheerful"),
                _shot(4, "joy", 0.7, "sad, stiff arms", "text: then she waves", action="wave", motion=0.6),
            ],
            "conflicts": [
                {
                    "field": "emotion",
                    "chosen": "joy",
                    "rejected": "anger (voice)",
                    "reason": "the words of the user win over the voice",
                }
            ],
            "inferred": ["gaze", "camera"],
        },
    ),
    (
        'window 0.0 to 12.0 s of 12.0 s; wish "第6秒开始生气，镜头推近"; audio: a man speaks Chinese, calm at first '
        "and fast from 6 s on; image: a man in an office, the head fills the picture",
        {
            "character": "a man with glasses, seen close",
            "background": "an office with shelves",
            "style": "photograph",
            "language": "zh",
            "sung": False,
            "shots": [
                _shot(5, "calm", 0.5, "excited, hectic movement", "audio: calm until 6 s"),
                _shot(
                    5, "anger", 0.7, "smiling, relaxed", "text: angry and closer from 6 s on", camera="push_in",
                    camera_amount=0.5, motion=0.6,
                ),
            ],
            "conflicts": [],
            "inferred": ["gaze"],
        },
    ),
    (
        'window 30.0 to 58.0 s of 95.0 s; wish ""; audio: a slow sad song in Japanese, silent for its last 4 s; image: '
        "a drawn robot in a meadow",
        {
            "character": "a drawn robot with round eyes",
            "background": "a green meadow under a blue sky",
            "style": "drawing",
            "language": "ja",
            "sung": True,
            "shots": [
                _shot(17, "sadness", 0.6, "laughing, fast movement", "audio: a slow sad song", gaze="down", motion=0.3),
                _shot(3, "calm", 0.4, "moving mouth", "audio: silent for 4 s, listening", motion=0.2),
            ],
            "conflicts": [],
            "inferred": ["camera", "action", "motion"],
        },
    ),
)  # fmt: skip
"""(what was known, the plan)."""
