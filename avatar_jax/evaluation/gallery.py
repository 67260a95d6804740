"""The README's gallery: what a user would get for a few portraits, recordings and wishes, as strips of frames.

Characters and voices are held out from all training. Every piece goes through `sample.py` like any request; its folder
keeps the video and a contact sheet of it, to be looked at frame by frame.
"""

import sys
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from tqdm import tqdm

from avatar_jax.evaluation.making import ask
from avatar_jax.evaluation.sheets import contact_sheet, tile
from avatar_jax.media import BadInput, read_frames
from avatar_jax.weights import ship
from data_pipeline.synthetic import render
from data_pipeline.synthetic.clip import HELD_OUT_IDENTITIES
from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.voice import Request, espeak_child

ASTRONAUT = -1
"""Instead of a character: the portrait of Eileen Collins that scikit-image carries (NASA, public domain)."""
PORTRAIT = 512
LEAD_S, TAIL_S, LOUD = 0.15, 0.3, 0.7
"""Silence before and after the voice, and its peak."""
TILES, TILE, QUALITY = 8, 160, 90
"""Of a strip: the portrait, then frames at even distances; pixels; JPEG quality."""


@dataclass(frozen=True)
class Piece:
    """One row of the gallery: who speaks, with which voice, what, and what was asked of the video."""

    name: str
    who: int
    about: str
    language: str
    voice: str
    said: str
    meaning: str
    wish: str
    rate: int = 160
    pitch: int = 50


PIECES = (
    Piece(
        "glasses", 50010, "glasses, drawn in ink", "ko", "ko+f5",
        "안녕하세요! 오늘은 정말 기분 좋은 날이에요. 같이 산책할까요?",
        "Hello! What a happy day. Shall we go for a walk?", "joyful, nods",
    ),
    Piece(
        "long_hair", 50114, "long hair, comic style", "en", "en-us+f5",
        "I waited at the station all evening, but the last train never came.", "",
        "very sad; the camera slowly pulls out", rate=135,
    ),
    Piece(
        "fox", 50109, "a fox, comic style", "zh", "cmn+f5", "大家快来看！月亮从山后面升起来了，真漂亮！",
        "Come and look! The moon rises behind the hills, how lovely!", "very excited; push in", pitch=65,
    ),
    Piece(
        "robot", 50056, "a robot, comic style", "ja", "ja+m8",
        "みなさん、こんにちは。わたしは ロボットです。どうぞ よろしく おねがいします。",
        "Hello, everybody. I am a robot. Pleased to meet you.", "surprised, tilts the head; pan left",
    ),
    Piece(
        "beard", 50052, "a beard, drawn in ink", "en", "en-gb-x-rp+m8",
        "Who put my bicycle into the pond? Bring it back before I count to five!", "", "very angry, shakes his head",
    ),
    Piece(
        "wave", 50077, "a hand that waves, soft style", "en", "en-us+f5",
        "Bye-bye, everybody, see you tomorrow. Please remember to bring a map!", "", "happy, waves",
    ),
    Piece(
        "photograph", ASTRONAUT, "a photograph (Eileen Collins; NASA, public domain)", "en", "en-us+f5",
        "Good evening from orbit. Behind me, the morning is about to begin.", "", "calm; slowly push in", rate=145,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class GalleryConfig:
    """`out` gets the strips, `work` everything else; `only` names pieces, none for all; `overrides` go to sample.py."""

    out: Path = Path("docs/gallery")
    work: Path = Path("out/gallery")
    weights: Path = ship.SHIPPED
    only: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


def run(config: GalleryConfig) -> None:
    """Make the videos, strips and contact sheets, and print the README's captions.

    Raises:
      BadInput: a name of no piece, or scikit-image is missing.
    """
    names = [piece.name for piece in PIECES]
    if unknown := set(config.only) - set(names):
        raise BadInput("--only", ", ".join(sorted(unknown)), "a piece of the gallery", f"one of {', '.join(names)}")
    wanted = [piece for piece in PIECES if not config.only or piece.name in config.only]
    config.out.mkdir(parents=True, exist_ok=True)
    for piece in tqdm(wanted, "pieces", disable=not sys.stderr.isatty()):
        folder = config.work / piece.name
        folder.mkdir(parents=True, exist_ok=True)
        portrait = portrait_of(piece)
        Image.fromarray(portrait).save(folder / "portrait.png")
        speak(piece, folder / "speech.wav")
        ask(folder, ("--prompt", piece.wish, "--weights", str(config.weights), *config.overrides))
        frames = list(read_frames(folder / "video" / "video.mp4"))
        Image.fromarray(strip(portrait, frames)).save(config.out / f"{piece.name}.jpg", quality=QUALITY)
        Image.fromarray(contact_sheet(frames)).save(folder / "sheet.png")
    print(captions("docs/gallery"))


def portrait_of(piece: Piece) -> UInt8[np.ndarray, "H W 3"]:
    """The picture that the piece starts from."""
    if piece.who != ASTRONAUT:
        return render.portrait(make_identity(HELD_OUT_IDENTITIES + piece.who), PORTRAIT)
    try:
        from skimage.data import astronaut
    except ImportError as error:
        rule = "its astronaut is the photograph"
        raise BadInput("scikit-image", "not installed", rule, "make test, or install .[test]") from error
    return astronaut()


def speak(piece: Piece, path: Path) -> None:
    """What the piece says, as a sound file."""
    request = Request(piece.said, piece.voice, piece.rate, piece.pitch)
    voice = espeak_child().say(request)
    loud = voice.wave * (LOUD * 32767 / max(1, np.abs(voice.wave.astype(np.int32)).max()))
    silence = [np.zeros(round(seconds * voice.sample_rate)) for seconds in (LEAD_S, TAIL_S)]
    sound = np.concatenate([silence[0], loud, silence[1]]).astype(np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(voice.sample_rate)
        file.writeframes(sound.tobytes())


def strip(portrait: np.ndarray, frames: Sequence[np.ndarray]) -> UInt8[np.ndarray, "TILE W 3"]:
    """The portrait, then frames at the middles of equal parts of the video."""
    middles = [int((k + 0.5) * len(frames) / (TILES - 1)) for k in range(TILES - 1)]
    return np.concatenate([tile(portrait, TILE), *(tile(frames[k], TILE) for k in middles)], axis=1)


def captions(folder: str) -> str:
    """The README's gallery: each strip, and under it what was asked and what is said."""
    parts = []
    for piece in PIECES:
        said = piece.said + (f" ({piece.meaning})" if piece.meaning else "")
        parts.append(f"![{piece.about}]({folder}/{piece.name}.jpg)")
        parts.append(
            f"{piece.about[0].upper()}{piece.about[1:]}. Asked: *{piece.wish}*. Says ({piece.language}): {said}"
        )
    return "\n\n".join(parts)
