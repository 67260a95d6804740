"""The judge: reads finished videos for the evaluation, and nothing else; no generator and no sampler ever sees it.

It looks twice, each time beside the portrait that the video was made from: at the whole picture, small, to find
camera, body, hand and face; then at the face, un-warped to where it lies in the portrait, so that a mouth is always
in the same place and as large on a far head as on a near one. Beside the portrait a small change can be told from a
wide mouth or high brows. The identity is read from the face alone.

Frames are 256 px; `metrics.judging` cuts both looks out of them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.models.conv import Residual
from avatar_jax.models.warp import space_to_depth

FRAME, WHOLE_PIXELS, FACE_PIXELS = 256, 64, 112
"""Sides in pixels: of the frames, of the first look and of the second."""
FACE_WINDOW = (0.22, 0.19, 0.78, 0.75)
"""Left, top, right, bottom of the second look, in the portrait."""
FACE_POINT = (0.5, 0.47)
"""The point of the portrait's face whose place in the frame is (face_x, face_y)."""

WHOLE = ("log_zoom", "pan_x", "pan_y", "face_x", "face_y", "roll", "hand", "hand_x")
"""Readings of the first look. hand: 0 not to be seen, 1 before the mouth; hand_x: of the palm, from the middle."""
FACE = (
    "open", "spread", "teeth", "tongue", "smile", "brow", "frown", "blink", "squint", "gaze_x", "gaze_y", "occlude",
    "yaw", "pitch",
)  # fmt: skip
"""Readings of the second look, in units of the renderer's state."""
PLACE = ("face_x", "face_y", "log_zoom", "roll")
"""Where the face is: picture widths, logarithm of its size against the portrait's, radians. The second look
corrects it: `Near.rest` is what is left of `FACE_POINT`'s place, in portrait widths, of the logarithm and the angle."""
COLUMNS = (*WHOLE, *FACE)
SCALE = {
    "log_zoom": (0.1, 0.2), "pan_x": (0, 0.06), "pan_y": (0, 0.06), "face_x": (0.5, 0.09), "face_y": (0.47, 0.1),
    "roll": (0, 0.08), "hand": (0.2, 0.4), "hand_x": (0, 0.25), "open": (0.4, 0.35), "spread": (0, 0.45),
    "teeth": (0.3, 0.3), "tongue": (0.2, 0.25), "smile": (0, 0.4), "brow": (0.1, 0.4), "frown": (0, 0.4),
    "blink": (0.1, 0.3), "squint": (0.15, 0.18), "gaze_x": (0, 0.35), "gaze_y": (0, 0.25), "occlude": (0.05, 0.2),
    "yaw": (0, 0.5), "pitch": (0, 0.4),
}  # fmt: skip
"""About the mean and standard deviation of each reading: the network's outputs are of order one."""
REST = (0.03, 0.03, 0.06, 0.06)
"""The same for the corrections of PLACE."""

EMOTIONS = ("calm", "excitement", "confusion", "sadness", "surprise", "anger", "joy", "neutral")
VISEMES = {
    "closed": (0.0, 0.0, 0.0, 0.0),
    "open": (0.9, 0.05, 0.35, 0.15),
    "mid": (0.45, 0.15, 0.35, 0.12),
    "wide": (0.28, 0.75, 0.5, 0.1),
    "round": (0.5, -0.65, 0.15, 0.05),
    "pursed": (0.19, -0.9, 0.1, 0.05),
    "teeth": (0.13, 0.3, 0.92, 0.03),
    "tongue": (0.25, 0.15, 0.5, 0.7),
}
"""Mouth shapes (open, spread, teeth, tongue) that stand for the classes of visemes: p b m, a, e, i, o, u, s f, l th."""
IDENTITY = 64


@dataclass(frozen=True)
class JudgeConfig:
    """Widths of the second look at 28 x 28, 14 x 14 and 7 x 7 cells, and of the layer that sees all of the face."""

    shallow: int = 48
    middle: int = 80
    deep: int = 104
    head: int = 192


class Near(NamedTuple):
    """Second look at B faces. values: columns of FACE; rest: corrections of PLACE; logits of emotion and viseme;
    identity of length 1."""

    values: Float[Array, "B 14"]
    rest: Float[Array, "B 4"]
    emotion: Float[Array, "B 8"]
    viseme: Float[Array, "B 8"]
    identity: Float[Array, "B 64"]


class Seen(NamedTuple):
    """What the convolutions make of a face: its cells at 14 x 14 and at 7 x 7."""

    fine: Float[Array, "B 14 14 D"]
    coarse: Float[Array, "B 7 7 E"]


class Judge(nn.Module):
    """Call `whole`, cut the face out where it says, then call `near`; all pictures in [-1, 1]."""

    config: JudgeConfig = JudgeConfig()

    def setup(self) -> None:
        c = self.config
        self.far_stem, self.far_body = nn.Conv(48, (3, 3)), nn.Sequential([nn.Dense(80), Residual(), nn.RMSNorm()])
        self.far_cells, self.far_head, self.far_out = nn.Dense(12), nn.Dense(112), nn.Dense(len(WHOLE))
        self.stem, self.middle = nn.Conv(c.shallow, (3, 3)), nn.Sequential([nn.Dense(c.middle), Residual()])
        self.deep = nn.Sequential([nn.Dense(c.deep), Residual(), nn.RMSNorm()])
        self.mouth_cells, self.mouth_head = nn.Dense(24), nn.Sequential([nn.Dense(160), nn.RMSNorm()])
        self.face_cells, self.face_head = nn.Dense(32), nn.Sequential([nn.Dense(c.head), nn.RMSNorm()])
        self.values, self.rest = nn.Dense(len(FACE)), nn.Dense(len(PLACE))
        self.emotion, self.viseme = nn.Dense(len(EMOTIONS)), nn.Dense(len(VISEMES))
        self.who_cells, self.who_head, self.who = nn.Dense(16), nn.Dense(128), nn.Dense(IDENTITY)

    def whole(self, small: Float[Array, "B 64 64 3"], portrait: Float[Array, "B 64 64 3"]) -> Float[Array, "B 8"]:
        """First look: the readings of WHOLE in their units."""
        x = nn.silu(self.far_stem(space_to_depth(jnp.concatenate([small, portrait], axis=-1), 4)))
        x = nn.silu(self.far_body(space_to_depth(x, 2)))
        h = nn.silu(self.far_head(self.far_cells(x).reshape(x.shape[0], -1)))
        return in_units(self.far_out(h), WHOLE)

    def look(self, face: Float[Array, "B 112 112 3"]) -> Seen:
        """The convolutions of the second look, the same for frames and portraits."""
        x = nn.silu(self.stem(space_to_depth(face, 4)))
        fine = nn.silu(self.middle(space_to_depth(x, 2)))
        return Seen(fine, nn.silu(self.deep(space_to_depth(fine, 2))))

    def near(self, seen: Seen, portrait: Seen) -> Near:
        """Second look at faces beside their portraits' faces."""
        # The cells of the mouth: it lies there because the face was un-warped.
        mouth = self.mouth_cells(jnp.concatenate([seen.fine, portrait.fine], axis=-1)[:, 8:13, 4:10])
        mouth = nn.silu(self.mouth_head(mouth.reshape(mouth.shape[0], -1)))
        face = self.face_cells(jnp.concatenate([seen.coarse, portrait.coarse], axis=-1))
        face = nn.silu(self.face_head(face.reshape(face.shape[0], -1)))
        both = jnp.concatenate([mouth, face], axis=-1)
        values, rest = in_units(self.values(both), FACE), self.rest(face) * jnp.array(REST)
        return Near(values, rest, self.emotion(both), self.viseme(both), self.identity(seen))

    def identity(self, seen: Seen) -> Float[Array, "B 64"]:
        """Who it is, a vector of length 1."""
        cells = self.who_cells(seen.coarse)
        who = self.who(nn.silu(self.who_head(cells.reshape(cells.shape[0], -1))))
        return who / jnp.sqrt(jnp.sum(who**2, axis=-1, keepdims=True) + 1e-6)

    def recognise(self, face: Float[Array, "B 112 112 3"]) -> Float[Array, "B 64"]:
        """Who the faces are."""
        return self.identity(self.look(face))

    def __call__(self, small: Array, portrait: Array, face: Array, portrait_face: Array) -> tuple[Array, Near]:
        """Both looks at once, for training, where the place of the face is told."""
        return self.whole(small, portrait), self.near(self.look(face), self.look(portrait_face))

    def read(self, face: Array, portrait_face: Array) -> Near:
        """The second look alone."""
        return self.near(self.look(face), self.look(portrait_face))


def in_units(raw: Array, names: tuple[str, ...]) -> Array:
    """Network outputs of order one -> readings in their units."""
    centre, spread = jnp.array([SCALE[name] for name in names]).T
    return raw * spread + centre
