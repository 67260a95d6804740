"""Hair of people in two parts: behind the body and the head, and on the head; both move with the head layer."""

import math

import skia

from avatar_jax.models.pose import CHIN
from data_pipeline.synthetic.draw.brush import STYLES, Colour, Point, curve, darker, lighter, line, oval, solid
from data_pipeline.synthetic.draw.head import head_path, outline_points
from data_pipeline.synthetic.identity import Identity

LONG = ("long", "wavy", "bob")


def _scallops(canvas: skia.Canvas, who: Identity, spots: list[Point], radius: float, colour: Colour) -> None:
    """A cloud of curls with one common contour."""
    brush, paint = STYLES[who.style], solid(colour)
    if brush.outline:
        for x, y in spots:
            canvas.drawPath(oval(x, y, radius + brush.outline, radius + brush.outline), solid(brush.contour(colour)))
    for x, y in spots:
        canvas.drawPath(oval(x, y, radius, radius), paint)


def _crown(who: Identity) -> tuple[float, float, float]:
    """Centre height, half width and half height of the skull's upper half."""
    top = CHIN[1] - who.head_h
    return who.eye_y, who.head_w, who.eye_y - top


def _arc(who: Identity, radius: float, first: float, last: float, n: int, wave: float = 0.0) -> list[Point]:
    """Points around the skull, angles in turns from the left (0) over the top (.25) to the right (.5)."""
    y, w, h = _crown(who)
    points = []
    for i in range(n):
        angle = 2 * math.pi * (first + (last - first) * i / (n - 1))
        grow = radius + wave * (i % 2)
        points.append((0.5 - (w + grow) * math.cos(angle), y - (h + grow) * math.sin(angle)))
    return points


def draw_back_hair(canvas: skia.Canvas, who: Identity) -> None:
    """What hangs behind the shoulders."""
    if who.kind != "human":
        return
    brush, w, v, colour = STYLES[who.style], who.head_w, who.hair_volume, darker(who.hair_colour, 0.14)
    top = CHIN[1] - who.head_h
    if who.hair in LONG:
        low = CHIN[1] + {"bob": -0.02, "long": who.hair_length, "wavy": 0.7 * who.hair_length}[who.hair]
        wave = 0.022 if who.hair == "wavy" else 0.0
        half = [(0.0, top - v), (0.62 * w, top + 0.01), (w + v, top + 0.13), (w + v + 0.022, 0.45)]
        steps = max(2, round((low - 0.5) / 0.07))
        for i in range(steps):
            half.append((w + v + 0.02 + (wave if i % 2 else -wave), 0.5 + (low - 0.5) * (i + 0.5) / steps))
        half += [(w + 0.5 * v - 0.01, low), (0.0, low + 0.01)]
        left = [(0.5 - x, y) for x, y in reversed(half) if x > 0]
        brush.fill(canvas, curve([(0.5 + x, y) for x, y in half] + left, closed=True), colour)
    elif who.hair == "afro":
        _scallops(canvas, who, _arc(who, 0.055 + v, -0.06, 0.56, 17), 0.062 + 0.6 * v, who.hair_colour)
    elif who.hair == "curly":
        _scallops(canvas, who, _arc(who, 0.012 + v, -0.05, 0.55, 15), 0.045, who.hair_colour)
    elif who.hair == "bun":
        brush.fill(canvas, oval(0.5, top - 0.045, 0.082, 0.075), colour)
        canvas.drawPath(
            curve([(0.45, top - 0.07), (0.5, top - 0.045), (0.545, top - 0.07)]), line(darker(colour, 0.3), 0.006)
        )
    elif who.hair == "ponytail":
        side = who.uneven
        tail = [
            (0.5 + side * 0.1, top + 0.02),
            (0.5 + side * 0.3, top + 0.06),
            (0.5 + side * 0.34, 0.45),
            (0.5 + side * 0.27, 0.72),
        ]
        brush.fill(canvas, curve([*tail, (0.5 + side * 0.235, 0.5), (0.5 + side * 0.16, 0.33)], closed=True), colour)


def _hairline(who: Identity) -> list[Point]:
    """Lower edge of the hair on the forehead, from the right ear to the left ear."""
    w, top = who.head_w, CHIN[1] - who.head_h
    brow = who.eye_y - who.brow_gap - 0.02
    line_y = top + who.hairline * (who.eye_y - top) * 1.25
    ear, p = who.eye_y + 0.01, 0.5 + who.parting * w
    if who.hair in ("fringe", "bob"):
        places = ((0.97, 0.07), (0.8, 0.005), (0.68, -0.02), (0.46, 0.006), (0.36, -0.016), (0.12, 0.006), (0.0, -0.02))
        rest = ((-0.22, 0.006), (-0.32, -0.016), (-0.58, 0.006), (-0.66, -0.02), (-0.82, 0.005), (-0.97, 0.07))
        return [(0.5 + who.uneven * x * w, brow + dy) for x, dy in (*places, *rest)][:: who.uneven]
    if who.hair in ("side", "ponytail", "long", "wavy"):
        q = 1.0 if who.parting > 0 else -1.0
        far, near = 0.5 - q * 0.9 * w, 0.5 + q * 0.9 * w
        points = [
            (near, ear),
            (0.5 + q * 0.84 * w, brow - 0.02),
            (p, top + 0.055),
            (0.5 - q * 0.25 * w, brow - 0.03),
            (0.5 - q * 0.75 * w, brow + 0.015),
            (far, ear),
        ]
        return points if q > 0 else points[::-1]
    temple = 0.8 if who.hair != "buzz" else 0.86
    return [
        (0.5 + 0.97 * w, ear),
        (0.5 + temple * w, brow - 0.012),
        (0.5 + 0.66 * w, line_y + 0.005),
        (0.5 + 0.25 * w, line_y - 0.012),
        (0.5 - 0.25 * w, line_y - 0.008),
        (0.5 - 0.66 * w, line_y + 0.005),
        (0.5 - temple * w, brow - 0.012),
        (0.5 - 0.97 * w, ear),
    ]


def _cap(who: Identity, grow: float) -> skia.Path:
    """The hair on the skull: outer contour over the top, then the hairline back."""
    if who.hair == "spiky":
        outer = _arc(who, 0.004, 0.0, 0.5, 17)
        path = skia.Path().moveTo(*outer[0])
        for i, point in enumerate(outer[1:], 1):
            x, y = point
            reach = 0.075 + grow if i % 2 else 0.02
            away = math.hypot(x - 0.5, y - who.eye_y)
            path.lineTo(x + reach * (x - 0.5) / away, y + reach * (y - who.eye_y) / away)
        path.lineTo(*outer[-1])
    else:
        half = [(x, y) for x, y in outline_points(who, grow) if y < who.eye_y + 0.03]
        lift = 0.6 * who.hair_volume if who.hair in ("short", "side", "fringe") else 0.0
        half = [(x, y - lift * (x < 0.7 * who.head_w)) for x, y in half]
        left = [(0.5 - x, y) for x, y in reversed(half) if x > 0]
        path = curve(
            [
                (left[0][0] + 0.004, who.eye_y + 0.035),
                *left,
                *[(0.5 + x, y) for x, y in half],
                (1 - left[0][0] - 0.004, who.eye_y + 0.035),
            ]
        )
    return curve(_hairline(who), path=path).close()


def draw_front_hair(canvas: skia.Canvas, who: Identity) -> None:
    """What lies on the head, in front of the skin and behind the features."""
    if who.kind != "human" or who.hair == "bald":
        return
    brush, colour = STYLES[who.style], who.hair_colour
    if who.hair == "buzz":
        canvas.save()
        canvas.clipPath(head_path(who), doAntiAlias=True)
        canvas.drawPath(_cap(who, 0.01), solid(colour, 0.72))
        canvas.restore()
        return
    grow = {"afro": 0.06, "curly": 0.02}.get(who.hair, 0.0) + who.hair_volume
    if who.hair in ("afro", "curly"):
        spots = _arc(who, -0.03, 0.08, 0.42, 9, 0.012)
        if who.hair == "afro":
            spots += _arc(who, 0.025, 0.03, 0.47, 12)
        _scallops(canvas, who, spots, 0.05, colour)
        curl = line(darker(colour, 0.3), 0.006, 0.7)
        for x, y in spots[::2]:
            canvas.drawPath(
                skia.Path().addArc(skia.Rect.MakeLTRB(x - 0.02, y - 0.02, x + 0.02, y + 0.02), 20, 220), curl
            )
        return
    brush.fill(canvas, _cap(who, grow), colour)
    if who.hair in LONG:
        _locks(canvas, who)
    _shine(canvas, who)


def _locks(canvas: skia.Canvas, who: Identity) -> None:
    """Strands beside the face, over the ears."""
    brush, w, v = STYLES[who.style], who.head_w, who.hair_volume
    low = CHIN[1] + (-0.03 if who.hair == "bob" else 0.06)
    for side in (-1, 1):
        points = [
            (0.5 + side * (w + v - 0.004), who.eye_y - 0.02),
            (0.5 + side * (w + v + 0.012), 0.55),
            (0.5 + side * (w + v), low),
        ]
        inner = [
            (0.5 + side * (w - 0.02), low - 0.02),
            (0.5 + side * 0.93 * w, 0.54),
            (0.5 + side * 0.9 * w, who.eye_y - 0.01),
        ]
        brush.fill(canvas, curve([*points, *inner], closed=True), who.hair_colour, 0.6)


def _shine(canvas: skia.Canvas, who: Identity) -> None:
    """Strand lines and a highlight on the crown."""
    w, top = who.head_w, CHIN[1] - who.head_h
    brush = STYLES[who.style]
    shine = line(lighter(who.hair_colour, 0.3), 0.014 if brush.shade else 0.009, 0.55)
    canvas.drawPath(
        curve([(0.5 - 0.62 * w, top + 0.075), (0.5 - 0.35 * w, top + 0.038), (0.5 - 0.05 * w, top + 0.022)]), shine
    )
    strand = line(darker(who.hair_colour, 0.35), 0.005, 0.7)
    p = 0.5 + who.parting * w
    for reach, low in ((-1.0, 0.12), (-0.55, 0.085), (0.4, 0.085), (0.8, 0.11)):
        x = min(max(p + reach * w * 0.9, 0.5 - 0.85 * w), 0.5 + 0.85 * w)
        canvas.drawPath(curve([(p, top + 0.012), (p + 0.6 * (x - p), top + 0.032), (x, top + low)]), strand)
