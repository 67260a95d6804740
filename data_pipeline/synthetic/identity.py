"""Who is drawn: one frozen set of parameters per seed, for people, animals and robots in four drawing styles."""

import colorsys
from dataclasses import dataclass, replace

import numpy as np

from data_pipeline.synthetic.draw.brush import STYLES, Colour, darker, lighter, mix

SKINS: tuple[Colour, ...] = (
    (255, 224, 201), (248, 209, 180), (240, 194, 158), (226, 172, 132), (208, 149, 108), (182, 122, 84),
    (150, 96, 66), (117, 74, 52), (90, 57, 43),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (32, 26, 28), (48, 34, 30), (74, 48, 34), (106, 66, 40), (142, 92, 52), (186, 132, 72), (222, 182, 108),
    (238, 212, 156), (168, 72, 40), (196, 92, 48), (150, 150, 156), (214, 212, 208), (92, 60, 130), (46, 108, 146),
    (214, 104, 140), (52, 128, 104),
)  # fmt: skip
IRISES: tuple[Colour, ...] = (
    (74, 46, 28), (98, 62, 34), (52, 34, 26), (66, 116, 168), (92, 142, 104), (112, 124, 132), (140, 100, 48),
    (48, 140, 150), (90, 74, 140),
)  # fmt: skip
FURS: dict[str, tuple[Colour, ...]] = {
    "cat": ((236, 160, 84), (120, 116, 124), (62, 58, 66), (244, 232, 214), (196, 158, 120), (150, 122, 108)),
    "dog": ((206, 152, 92), (132, 88, 58), (240, 220, 186), (86, 76, 76), (222, 188, 142), (176, 112, 66)),
    "bear": ((142, 94, 62), (98, 66, 50), (240, 240, 244), (178, 128, 84), (72, 62, 66)),
    "fox": ((232, 116, 52), (216, 98, 48), (242, 146, 74), (190, 190, 204)),
}
METALS: tuple[Colour, ...] = (
    (196, 206, 216), (120, 170, 200), (232, 190, 92), (150, 204, 178), (228, 130, 110), (172, 160, 214),
    (238, 238, 242),
)  # fmt: skip
HAIRCUTS = (
    "short",
    "side",
    "fringe",
    "long",
    "wavy",
    "bob",
    "curly",
    "afro",
    "bun",
    "ponytail",
    "spiky",
    "buzz",
    "bald",
)
BACKGROUNDS = (
    "plain",
    "sky",
    "dots",
    "stripes",
    "checks",
    "hills",
    "shelves",
    "city",
    "bokeh",
    "rays",
    "leaves",
    "room",
)
CLOTHES = ("tee", "hoodie", "shirt", "suit", "stripes", "turtleneck", "dress")


@dataclass(frozen=True)
class Identity:
    """Parameters of one character. Lengths in picture widths, measured in the neutral portrait; colours 0 to 255."""

    seed: int
    kind: str
    species: str
    style: str
    head_w: float
    head_h: float
    jaw: float
    chin: float
    skin: Colour
    blush: float
    freckles: bool
    ear: float
    eye_y: float
    eye_gap: float
    eye_w: float
    eye_h: float
    eye_tilt: float
    iris: Colour
    iris_size: float
    lashes: float
    brow_colour: Colour
    brow_thick: float
    brow_arch: float
    brow_gap: float
    nose: str
    nose_size: float
    mouth_y: float
    mouth_w: float
    mouth_h: float
    lip: Colour
    lip_full: float
    hair: str
    hair_colour: Colour
    hair_volume: float
    hairline: float
    parting: float
    hair_length: float
    beard: str
    glasses: str
    glasses_colour: Colour
    hat: str
    hat_colour: Colour
    earrings: bool
    clothes: str
    cloth: Colour
    cloth_2: Colour
    neck_w: float
    shoulder_w: float
    shoulder_y: float
    uneven: int
    """1 or -1: the side to which locks, patches and scars are."""
    handed: int
    """1: raises the right hand."""
    background: str
    ground: Colour
    ground_2: Colour
    ground_scale: float
    ground_seed: int


def _hsv(h: float, s: float, v: float) -> Colour:
    r, g, b = colorsys.hsv_to_rgb(h % 1.0, s, v)
    return (round(255 * r), round(255 * g), round(255 * b))


def _background(rng: np.random.Generator) -> dict[str, object]:
    hue, light = rng.uniform(), rng.uniform() < 0.7
    ground = _hsv(hue, rng.uniform(0.1, 0.42), rng.uniform(0.75, 0.97) if light else rng.uniform(0.25, 0.5))
    second = _hsv(hue + rng.normal(0, 0.08), rng.uniform(0.2, 0.6), rng.uniform(0.55, 0.98) if light else 0.4)
    return {
        "background": str(rng.choice(BACKGROUNDS)),
        "ground": ground,
        "ground_2": mix(ground, second, rng.uniform(0.35, 0.8)),
        "ground_scale": rng.uniform(0.75, 1.4),
        "ground_seed": int(rng.integers(1 << 30)),
    }


def _pick(rng: np.random.Generator, options: tuple[Colour, ...], jitter: float = 7.0) -> Colour:
    base = options[int(rng.integers(len(options)))]
    r, g, b = (int(np.clip(c + rng.normal(0, jitter), 0, 255)) for c in base)
    return (r, g, b)


def _human(rng: np.random.Generator) -> dict[str, object]:
    """Overrides of a person: skin, hair, beard and what they wear on the head."""
    skin, hair_colour, fem = (
        _pick(rng, SKINS, 5.0),
        _pick(rng, HAIRS[: 12 if rng.uniform() < 0.8 else 16]),
        rng.uniform(),
    )
    if sum(abs(a - b) for a, b in zip(skin, hair_colour, strict=True)) < 110:
        hair_colour = darker(hair_colour, 0.5) if sum(skin) > 300 else lighter(hair_colour, 0.35)
    brow_colour, dark_skin = mix(hair_colour, (40, 28, 24), 0.45), sum(skin) < 340
    if sum(abs(a - b) for a, b in zip(skin, brow_colour, strict=True)) < 150:
        brow_colour = (26, 17, 18)
    soft = ("long", "wavy", "bob", "bun", "ponytail", "fringe", "curly", "afro", "side")
    hard = ("short", "side", "spiky", "buzz", "bald", "curly", "afro", "fringe", "short")
    hair = str(rng.choice(soft if fem < 0.5 else hard))
    beard = str(rng.choice(["none", "none", "stubble", "full", "goatee", "moustache"])) if fem > 0.6 else "none"
    return {
        "skin": skin,
        "hair": hair,
        "hair_colour": hair_colour,
        "brow_colour": brow_colour,
        "iris": _pick(rng, IRISES[:3] if dark_skin and rng.uniform() < 0.8 else IRISES),
        "blush": rng.uniform(0.0, 0.18 if dark_skin else 0.5),
        "beard": beard,
        "lip": mix(
            mix(skin, (196, 62, 72), rng.uniform(0.35, 0.8) if fem < 0.5 else rng.uniform(0.2, 0.4)),
            (150, 50, 60),
            0.15,
        ),
        "lip_full": rng.uniform(0.75, 1.25) if fem < 0.5 else rng.uniform(0.45, 0.85),
        "lashes": rng.uniform(0.5, 1.0) if fem < 0.5 else rng.uniform(0.0, 0.3),
        "brow_thick": rng.uniform(0.006, 0.010) if fem < 0.5 else rng.uniform(0.009, 0.015),
        "jaw": rng.uniform(0.66, 0.8) if fem < 0.5 else rng.uniform(0.74, 0.92),
        "clothes": str(rng.choice(CLOTHES if fem < 0.5 else CLOTHES[:-1])),
        "earrings": bool(fem < 0.5 and rng.uniform() < 0.35),
        "glasses": str(rng.choice(["round", "square", "half"])) if rng.uniform() < 0.28 else "none",
        "hat": str(rng.choice(["beanie", "cap", "band"])) if rng.uniform() < 0.12 else "none",
        "freckles": bool(rng.uniform() < 0.15),
        "neck_w": rng.uniform(0.062, 0.075) if fem < 0.5 else rng.uniform(0.072, 0.095),
        "shoulder_w": rng.uniform(0.25, 0.31) if fem < 0.5 else rng.uniform(0.3, 0.37),
    }


def _animal(rng: np.random.Generator) -> dict[str, object]:
    species = str(rng.choice(list(FURS)))
    fur = _pick(rng, FURS[species])
    return {
        "species": species,
        "skin": fur,
        "head_w": rng.uniform(0.225, 0.255),
        "head_h": rng.uniform(0.45, 0.49),
        "jaw": rng.uniform(0.72, 0.8) if species == "fox" else rng.uniform(0.8, 0.88),
        "neck_w": rng.uniform(0.1, 0.12),
        "shoulder_y": rng.uniform(0.755, 0.78),
        "eye_gap": rng.uniform(0.095, 0.112),
        "eye_w": rng.uniform(0.038, 0.047),
        "eye_h": rng.uniform(0.038, 0.048),
        "eye_tilt": rng.uniform(0.05, 0.2) if species in ("cat", "fox") else 0.0,
        "iris": _pick(rng, ((120, 168, 72), (196, 150, 52), (80, 140, 180)) if species == "cat" else IRISES[:3]),
        "iris_size": rng.uniform(0.84, 0.95),
        "brow_colour": mix(fur, (40, 28, 24), 0.6),
        "lip": mix(fur, (70, 40, 44), 0.6),
        "lip_full": 0.35,
        "mouth_y": rng.uniform(0.592, 0.604),
        "mouth_w": rng.uniform(0.058, 0.07),
        "hair": "bald",
        "hat": str(rng.choice(["cap", "beanie"])) if rng.uniform() < 0.08 else "none",
        "glasses": "round" if rng.uniform() < 0.15 else "none",
        "nose": "animal",
    }


def _robot(rng: np.random.Generator) -> dict[str, object]:
    metal = _pick(rng, METALS)
    return {
        "species": "robot",
        "skin": metal,
        "head_w": rng.uniform(0.19, 0.23),
        "head_h": rng.uniform(0.42, 0.47),
        "eye_gap": rng.uniform(0.085, 0.1),
        "eye_w": rng.uniform(0.04, 0.046),
        "eye_h": rng.uniform(0.038, 0.046),
        "eye_tilt": 0.0,
        "iris": _pick(rng, ((40, 190, 220), (250, 170, 50), (90, 220, 130), (240, 90, 110))),
        "brow_colour": mix(metal, (40, 44, 60), 0.7),
        "brow_thick": 0.011,
        "lip": mix(metal, (50, 56, 76), 0.65),
        "lip_full": 0.5,
        "hair": "bald",
        "nose": "none",
        "clothes": "robot",
        "cloth": mix(metal, _pick(rng, METALS), 0.5),
        "blush": 0.0,
        "background": str(rng.choice(["plain", "city", "room", "bokeh", "checks", "rays"])),
    }


def make_identity(seed: int) -> Identity:
    """The character of a seed: 86 % people, 9 % animals, 5 % robots; the same seed gives the same character."""
    rng = np.random.default_rng([seed, 71])
    draw = rng.uniform()
    kind = "human" if draw < 0.86 else "animal" if draw < 0.95 else "robot"
    cloth_hue = rng.uniform()
    values: dict[str, object] = {
        "species": "human",
        "style": str(rng.choice(list(STYLES))),
        "head_w": rng.uniform(0.172, 0.2),
        "head_h": rng.uniform(0.47, 0.52),
        "chin": rng.uniform(0.2, 0.42),
        "blush": rng.uniform(0.0, 0.5),
        "ear": rng.uniform(0.03, 0.042),
        "eye_y": rng.uniform(0.442, 0.466),
        "eye_gap": rng.uniform(0.078, 0.09),
        "eye_w": rng.uniform(0.038, 0.046),
        "eye_h": rng.uniform(0.025, 0.036),
        "eye_tilt": rng.uniform(-0.06, 0.12),
        "iris": _pick(rng, IRISES),
        "iris_size": rng.uniform(0.8, 0.95),
        "lashes": 0.0,
        "brow_thick": 0.008,
        "brow_arch": rng.uniform(0.006, 0.018),
        "brow_gap": rng.uniform(0.03, 0.042),
        "nose": str(rng.choice(["button", "line", "soft", "wide"])),
        "nose_size": rng.uniform(0.8, 1.2),
        "mouth_y": rng.uniform(0.58, 0.596),
        "mouth_w": rng.uniform(0.06, 0.074),
        "mouth_h": rng.uniform(0.066, 0.076),
        "hair_colour": _pick(rng, HAIRS[:12]),
        "hair_volume": rng.uniform(0.012, 0.036),
        "hairline": rng.uniform(0.2, 0.3),
        "parting": float(rng.choice([-1, 1]) * rng.uniform(0.15, 0.6)),
        "hair_length": rng.uniform(0.1, 0.34),
        "beard": "none",
        "glasses": "none",
        "hat": "none",
        "glasses_colour": _pick(rng, ((36, 36, 44), (110, 60, 40), (170, 140, 80), (60, 80, 130), (160, 50, 60))),
        "hat_colour": _hsv(rng.uniform(), rng.uniform(0.35, 0.7), rng.uniform(0.45, 0.9)),
        "earrings": False,
        "freckles": False,
        "clothes": str(rng.choice(CLOTHES)),
        "cloth": _hsv(cloth_hue, rng.uniform(0.25, 0.75), rng.uniform(0.3, 0.9)),
        "cloth_2": _hsv(cloth_hue + rng.choice([0.08, 0.5, -0.1]), rng.uniform(0.1, 0.5), rng.uniform(0.75, 1.0)),
        "jaw": 0.8,
        "neck_w": rng.uniform(0.07, 0.09),
        "shoulder_w": rng.uniform(0.28, 0.34),
        "shoulder_y": rng.uniform(0.785, 0.82),
        "uneven": int(rng.choice([-1, 1])),
        # One side for all: neither portrait nor wish names it, and a model that is shown both may change its mind.
        "handed": 1,
    } | _background(rng)
    values |= {"human": _human, "animal": _animal, "robot": _robot}[kind](rng)
    return Identity(seed=seed, kind=kind, **values)  # pyright: ignore[reportArgumentType]


def with_background(identity: Identity, seed: int) -> Identity:
    """The same character before another background, for tests that must not recognise people by the wall."""
    return replace(identity, **_background(np.random.default_rng([seed, 72])))  # pyright: ignore[reportArgumentType]
