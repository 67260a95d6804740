"""A photograph as a puppet: its own pixels, moved; only eyelids and the inside of the mouth are drawn.

The codec knows drawings and is not asked about photographs: it moves a drawn stand-in (`photograph_twin`), and what
that face does is done here to the photograph. The person is one layer over the background. One smooth field moves it:
the head's similarity above the chin, the body's below, the parallax of a turned head bulging over the face; so hair and
neck stretch instead of tearing. The lower lip and the jaw sink below the line between the lips, which opens.

Coordinates are in picture widths. A photograph raises no hand.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from avatar_jax.models import pose as poses
from avatar_jax.models.portrait_layers import SIZE, PortraitLayers
from avatar_jax.models.pose import CHIN, PARALLAX, POSE
from avatar_jax.sampling.photograph_face import Features, find_features, person_mask
from avatar_jax.sampling.photograph_twin import EYES_APART, Expression, load_twin
from avatar_jax.sampling.request import Prepared

WARNING = (
    "the portrait is a photograph: the embedded model moves it as a puppet "
    "(drawn eyelids and mouth, no raised hand); drawn portraits come out better"
)
SMOOTH, DRAWN = 3, 0.65
"""Neighbours that differ by no more than SMOOTH are equal; above the share DRAWN of them a picture is drawn. Coarser
than `media.face.is_drawn`, since a drawing that was saved as JPEG is a drawing still."""
TURN = 0.75
"""Share of the parallax of a drawing: pixels of a photograph hold no more of a cheek than was seen."""
NECK = (CHIN[1], CHIN[1] + 0.16)
"""Rows over which the head's movement fades into the body's."""
BACKGROUND, BODY, HEAD, _ = range(4)
FIELD_SIDE = 128
OPENS = 0.85
"""Drawn mouths open wider than those of people."""
BEYOND = 0.05
FALL = 0.14
"""Part of the gap by which the upper lip rises; the lower one sinks by the rest."""


def is_photograph(portrait: UInt8[np.ndarray, "S S 3"]) -> bool:
    """Whether neighbouring pixels differ as a camera's do."""
    scale = min(1.0, SIZE / portrait.shape[0])
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST).astype(np.int16)
    return bool((np.abs(np.diff(small, axis=1)).max(-1) <= SMOOTH).mean() <= DRAWN)


def noted(prepared: Prepared) -> Prepared:
    """With a warning for the user where the portrait is a photograph."""
    return prepared.warned(WARNING) if is_photograph(prepared.framing.portrait) else prepared


class Material(NamedTuple):
    """What is taken from a photograph once: colours uint8, `mask` the person's share, `lids` its skin without eyes."""

    picture: UInt8[np.ndarray, "S S 3"]
    background: UInt8[np.ndarray, "S S 3"]
    mask: Float[np.ndarray, "M M"]
    lids: UInt8[np.ndarray, "C C 3"]
    features: Features
    light: float
    """Of the skin, 1 in a well lit portrait of a light face."""


def study(picture: UInt8[np.ndarray, "S S 3"]) -> Material:
    """Features, person and background of a photograph in the canonical framing."""
    side, features = picture.shape[0], find_features(picture)
    mask = person_mask(picture)
    small = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    seen = (cv2.resize(mask, (SIZE, SIZE)) < 0.02).astype(np.float32)
    behind = cv2.resize(fill(small, seen), (side, side), interpolation=cv2.INTER_CUBIC)
    kept = cv2.resize(mask, (side, side))[..., None]
    background = np.round(kept * behind + (1 - kept) * picture).astype(np.uint8)
    lids = bare_skin(small, features)
    between = (features.eyes[0][0] + features.eyes[1][0]) / 2, (features.eyes[0][1] + features.eyes[1][1]) / 2
    nose = small[round((between[1] + 0.3 * features.apart) * SIZE), round(between[0] * SIZE)]
    light = float(np.clip(nose.max() / 235, 0.45, 1.05))
    return Material(picture, background, mask, lids, features, light)


def bare_skin(small: UInt8[np.ndarray, "C C 3"], features: Features) -> UInt8[np.ndarray, "C C 3"]:
    """The face's skin without eyes, brows and hair, which would make lids look painted."""
    line = (np.arange(len(small), dtype=np.float32) + 0.5) / len(small)
    x, y = np.meshgrid(line, line)
    (x0, y0), (x1, y1) = features.eyes
    apart = features.apart
    across, below = (x - (x0 + x1) / 2) / apart, (y - (y0 + y1) / 2) / apart
    lab = cv2.cvtColor(cv2.GaussianBlur(small, (0, 0), 1.5), cv2.COLOR_RGB2LAB).astype(np.float32)
    cheeks = np.median(lab[(abs(across) < 0.6) & (below > 0.25) & (below < 0.6)], axis=0)
    skin = (abs(lab - cheeks) < np.array([45, 12, 16])).all(-1) & (abs(across) < 1.0) & (abs(below) < 0.9)
    for ex, ey in features.eyes:
        skin &= ((x - ex) / (0.36 * apart)) ** 2 + ((y - ey) / (0.15 * apart)) ** 2 > 1
    found = cv2.GaussianBlur(fill(small, skin.astype(np.float32)), (0, 0), 0.04 * apart * len(small))
    # What is near an eye lies in its shadow.
    cheek = np.median(small[skin & (below > 0.25)], axis=0) if (skin & (below > 0.25)).any() else found.mean((0, 1))
    return np.round(0.6 * found + 0.4 * cheek).astype(np.uint8)


def fill(small: UInt8[np.ndarray, "Y X 3"], seen: Float[np.ndarray, "Y X"]) -> UInt8[np.ndarray, "Y X 3"]:
    """The picture where it is seen, smooth colours from around elsewhere (push-pull, Gortler et al. 1996)."""
    levels = [np.dstack([small * seen[..., None], seen]).astype(np.float32)]
    while min(levels[-1].shape[:2]) > 1:
        half = cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        gain = np.minimum(4 * half[..., 3:], 1) / np.maximum(half[..., 3:], 1e-6)
        levels.append((half * gain).astype(np.float32))
    around = levels[-1][..., :3] / np.maximum(levels[-1][..., 3:], 1e-6)
    for level in levels[-2::-1]:
        around = cv2.resize(around, level.shape[1::-1], interpolation=cv2.INTER_LINEAR).reshape(*level.shape[:2], 3)
        around = level[..., :3] + (1 - level[..., 3:]) * around
    return np.round(around).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class PhotoCompositor:
    """Makes frames of a photograph from the fields that move its stand-in; used like `compositor.Compositor`."""

    material: Material
    size: int

    @property
    def layers(self) -> PortraitLayers:
        """The stand-in's, which the decoder moves."""
        return load_twin().layers

    @cached_property
    def screen(self) -> Float[np.ndarray, "S S 2"]:
        line = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        return np.stack(np.meshgrid(line, line), -1)

    @cached_property
    def fields(self) -> tuple[np.ndarray, np.ndarray]:
        """[F, F]: how far a point moves as the head, not as the body; and how much of the parallax it has."""
        line = (np.arange(FIELD_SIDE, dtype=np.float32) + 0.5) / FIELD_SIDE
        x, y = np.meshgrid(line, line)
        share = np.clip((NECK[1] - y) / (NECK[1] - NECK[0]), 0, 1)
        found = self.material.features
        middle = (found.eyes[0][0] + found.eyes[1][0]) / 2, (found.eyes[0][1] + found.eyes[1][1]) / 2
        away = ((x - middle[0]) / (1.15 * found.apart)) ** 2
        away += ((y - middle[1] - 0.55 * found.apart) / (1.6 * found.apart)) ** 2
        bulge = np.clip(1 - away, 0, 1) ** 2
        return share * share * (3 - 2 * share), bulge

    def frame(self, paint: np.ndarray, mask: np.ndarray, shift: np.ndarray, pose_Z: np.ndarray) -> np.ndarray:
        """One frame, uint8 [S, S, 3], from the stand-in's decoded fields and its pose with hand."""
        return self.draw(load_twin().expression(paint, mask, shift), pose_Z[: len(POSE)].astype(np.float64))

    def draw(self, face: Expression, pose: Float[np.ndarray, "8"]) -> UInt8[np.ndarray, "S S 3"]:
        """One frame of an expression at a pose."""
        material, to_layer = self.material, poses.screen_to_portrait(within(pose)).astype(np.float32)
        behind = read(material.background, poses.apply(to_layer[BACKGROUND], self.screen), cv2.BORDER_REFLECT)
        head, body = (poses.apply(to_layer[layer], self.screen) for layer in (HEAD, BODY))
        as_head, bulge = (read(field, head) for field in self.fields)
        turn = TURN * np.array([PARALLAX[0] * pose[POSE.index("yaw")], PARALLAX[1] * pose[POSE.index("pitch")]])
        place = body + as_head[..., None] * (head - body) - bulge[..., None] * turn.astype(np.float32)
        share = read(material.mask, place)[..., None]
        person = self.person(face, place).astype(np.float32)
        return cv2.convertScaleAbs(behind + share * (person - behind))

    def person(self, face: Expression, place: Float[np.ndarray, "S S 2"]) -> np.ndarray:
        """The person's colours at points of the portrait, with this expression."""
        material, found = self.material, self.material.features
        reach = 2.2 * found.apart
        middle = found.mouth[0], found.mouth[1] - 0.3 * found.apart
        near = np.abs(place - np.array(middle, np.float32)).max(-1) < reach
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        if not len(rows):
            return read(material.picture, place)
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        x, y = place[box][..., 0], place[box][..., 1]
        moved = place.copy()
        # One pixel of the screen, in picture widths of the portrait: drawn edges are as sharp as that.
        pixel = float(np.abs(place[-1, -1] - place[0, 0]).max()) / self.size
        source_x, source_y, hole, u, v = self.mouth(face, x, y, pixel)
        source_y = self.brows(face, x, source_y)
        moved[box] = np.stack([source_x, source_y], -1)
        picture = read(material.picture, moved).astype(np.float32)
        part = picture[box]
        part += hole[..., None] * (self.inside(face, u, v) - part)
        for eye, opened in zip(found.eyes, face.eyes, strict=True):
            self.close(part, eye, opened, x, y, pixel)
        return picture

    def mouth(self, face: Expression, x: np.ndarray, y: np.ndarray, pixel: float) -> tuple[np.ndarray, ...]:
        """Where to read each point, the share of the opening in it, and its place there (-1 to 1, 0 to 1)."""
        found = self.material.features
        scale, centre = found.apart / EYES_APART, found.mouth[0]
        half = found.half
        level = found.mouth_line(np.float32(centre) + 0 * x)
        near = np.exp(-(((((x - centre) / (1.5 * half)) ** 2) + ((y - level) / (1.1 * half)) ** 2) ** 1.5))
        wide = float(np.clip(1 + 0.8 * (face.width - 1), 0.68, 1.2))
        x = centre + (x - centre) * (1 + near * (1 / wide - 1))
        u = (x - centre) / half
        raised = scale * float(np.clip(face.corners, -0.02, 0.02)) * (0.3 if found.teeth else 0.7)
        corner = np.exp(-(((abs(u) - 1) / 0.55) ** 2) - ((y - level) / (0.6 * half)) ** 2)
        y = y + raised * corner
        line = found.mouth_line(x)
        gap = OPENS * scale * max(face.open - 0.004, 0.0)
        opening = gap * np.clip(1 - u * u, 0, 1) ** 0.75
        jaw = gap * np.exp(-((u / 2.3) ** 2))
        upper, lower = line - FALL * opening, line + (1 - FALL) * opening
        down, up = (y - lower) / half, (upper - y) / half
        # Near the lip the opening's own outline sinks, farther down the whole jaw.
        near = np.exp(-((np.maximum(down, 0) / 0.5) ** 2))
        fade = np.clip(1 - down / 2.6, 0, 1)
        sunk = (1 - FALL) * (near * opening + (1 - near) * jaw) * fade * fade * (3 - 2 * fade)
        lifted = FALL * opening * np.clip(1 - up / 0.8, 0, 1)
        below = down > 0
        source = np.where(below, y - sunk, y + lifted)
        # The lower lip begins a little below the line, where no tooth shines through.
        lip = line + (0.015 * found.apart if found.teeth else 0.0)
        source = np.where(below, np.maximum(source, lip), np.minimum(source, line))
        edge = 1.2 * pixel
        hole = np.clip((y - upper) / edge, 0, 1) * np.clip((lower - y) / edge, 0, 1) * np.clip(opening / edge - 1, 0, 1)
        return x, source, hole, u, np.clip((y - upper) / np.maximum(opening, 1e-4), 0, 1)

    def inside(self, face: Expression, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Colours inside the mouth: dark, a tongue low in it, upper teeth unless the portrait shows some."""
        light = self.material.light
        v = v[..., None]
        round_off = np.sqrt(np.clip(1 - u * u, 0, 1))[..., None]
        colour = np.array([52, 16, 20], np.float32) + v * np.array([44, 18, 18], np.float32)
        tongue = np.clip((v - 0.62) / 0.25, 0, 1) * np.clip((0.62 - np.abs(u[..., None])) / 0.3, 0, 1)
        colour = colour + tongue * (np.array([168, 82, 84], np.float32) - colour)
        if not self.material.features.teeth and face.open > 0.004:
            tall = np.clip((0.006 + 0.8 * face.teeth) / face.open, 0.12, 0.75)
            shown = np.clip((tall * round_off - v) / 0.08, 0, 1) * np.clip((0.85 - np.abs(u[..., None])) / 0.2, 0, 1)
            teeth = (
                np.array([226, 218, 206], np.float32)
                * (0.55 + 0.45 * round_off)
                * (0.72 + 0.28 * np.clip(v / 0.2, 0, 1))
            )
            colour = colour + shown * (teeth - colour)
        return light * colour * (0.75 + 0.25 * round_off)

    def brows(self, face: Expression, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Rows to read where brows rise or sink."""
        found = self.material.features
        scale = found.apart / EYES_APART
        for (ex, ey), raised in zip(found.eyes, face.brows, strict=True):
            about = ((x - ex) / (0.42 * found.apart)) ** 2 + ((y - ey + 0.36 * found.apart) / (0.2 * found.apart)) ** 2
            y = y + 0.7 * scale * float(np.clip(raised, -0.015, 0.02)) * np.exp(-about)
        return y

    def close(
        self, part: np.ndarray, eye: tuple[float, float], opened: float, x: np.ndarray, y: np.ndarray, pixel: float
    ) -> None:
        """Draw an eyelid, in place, as far down as the stand-in's; the portrait's eye is what 1 shows."""
        found = self.material.features
        closed = float(np.clip((0.72 - opened) / 0.6, 0, 1))
        if closed <= 0:
            return
        d = found.apart
        tilt = (found.eyes[1][1] - found.eyes[0][1]) / (found.eyes[1][0] - found.eyes[0][0])
        u, w = (x - eye[0]) / (0.27 * d), y - eye[1] - tilt * (x - eye[0])
        arch = np.clip(1 - u * u, 0, 1)
        top, bottom = -0.1 * d * arch, 0.085 * d * arch
        lid = top + closed * (bottom - top)
        soft = np.clip((1.25 - np.abs(u)) / 0.3, 0, 1) * np.clip((w - top + 0.05 * d) / (0.04 * d), 0, 1)
        cover = soft * np.clip((lid - w) / (1.5 * pixel) + 0.5, 0, 1) * min(1.0, 6 * closed)
        skin = read(self.material.lids, np.stack([x, y], -1)).astype(np.float32)
        # The lid is a ball's: lighter in its middle.
        skin = skin * (0.93 + 0.07 * np.clip(1 - ((w - 0.5 * (top + lid)) / (0.1 * d)) ** 2, 0, 1))[..., None]
        part += cover[..., None] * (skin - part)
        lash = np.clip(1.3 - np.abs(w - lid) / (0.018 * d), 0, 1) * np.clip((1.02 - np.abs(u)) / 0.2, 0, 1)
        part += (0.6 * lash * min(1.0, 6 * closed))[..., None] * (0.3 * skin - part)


def within(pose: Float[np.ndarray, "8"]) -> Float[np.ndarray, "8"]:
    """The pose with a camera that looks no farther than BEYOND past the picture's edges: nothing is known there."""
    zoom = max(np.exp(pose[0]), 1 / (1 + 2 * BEYOND))
    reach = 0.5 + BEYOND - 0.5 / zoom
    return np.concatenate([[np.log(zoom)], np.clip(pose[1:3], -reach, reach), pose[3:]])


def read(picture: np.ndarray, place: Float[np.ndarray, "Y X 2"], border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """A picture at points, in picture widths."""
    at = (place * np.float32(picture.shape[0]) - np.float32(0.5)).astype(np.float32)
    return cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=border)
