"""The negative director: what each shot must not show.

KlingAvatar 2.0 (arXiv 2512.13313) writes a negative prompt per shot: the opposite emotion, the wrong speed and style,
artefacts. The words here are ours.
"""

from collections.abc import Iterable

from avatar_jax.director.storyline import Shot

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
FAINT, STRONG = 0.35, 0.8
STILL, LIVELY = 0.3, 0.7


def negative_prompt(shot: Shot, style: str, forbidden: Iterable[str] = ()) -> str:
    """Opposite feeling, wrong strength, speed, camera, mouth and style, what the user forbade, and artefacts."""
    words = [OPPOSITE[shot.emotion], *forbidden]
    if shot.emotion != "neutral" and shot.intensity <= FAINT:
        words.append("overacting")
    elif shot.emotion != "neutral" and shot.intensity >= STRONG:
        words.append("blank expression")
    if shot.motion <= STILL:
        words.append("hectic movement")
    elif shot.motion >= LIVELY:
        words.append("stiff body, slow motion")
    words.append("moving camera" if shot.camera == "static" else "abrupt camera, jump cut")
    words.append("talking, moving mouth" if shot.voice == "listening" else "closed lips")
    words.append("photorealistic skin" if style == "drawing" else "change of style")
    return ", ".join(dict.fromkeys([*words, ARTEFACTS]))
