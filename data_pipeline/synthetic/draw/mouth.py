"""Mouth and nose in the face layer: lips that close fully, teeth and a tongue inside."""

import skia

from data_pipeline.synthetic.draw.brush import STYLES, Point, box, curve, darker, lighter, line, mix, oval, solid
from data_pipeline.synthetic.identity import Identity
from data_pipeline.synthetic.state import COLUMN

MOUTH = ("open", "spread", "teeth", "tongue", "smile")
DEEP = (86, 20, 32)


def draw_mouth(canvas: skia.Canvas, who: Identity, state: list[float]) -> None:
    """The mouth of one frame's state."""
    opening, spread, teeth, tongue, smile = (state[COLUMN[name]] for name in MOUTH)
    smile = 0.12 + 0.88 * smile if who.kind == "human" else 0.4 + 0.6 * smile  # a resting mouth looks friendly
    half = who.mouth_w * (1 + (0.2 if spread > 0 else 0.42) * spread + 0.14 * smile)
    gap = who.mouth_h * max(opening, 0.0)
    round_out = max(-spread, 0.0)
    corner = who.mouth_y - 0.027 * smile * (1 - 0.3 * min(opening, 1.0)) + 0.3 * gap
    upper = who.mouth_y + 0.010 * smile - 0.14 * gap
    lower = upper + 0.004 * max(smile, 0.0) + gap
    lift, fall = corner + (upper - corner) / 0.75, corner + (lower - corner) / 0.75  # a cubic reaches 3/4 of the way
    inside = [(0.5 - half, corner), (0.5 - 0.5 * half, lift), (0.5 + 0.5 * half, lift), (0.5 + half, corner)]
    floor = [(0.5 + 0.66 * half, fall), (0.5 - 0.66 * half, fall)]
    hole = _hole(inside, floor)
    if who.kind == "robot":
        _speaker(canvas, who, half, corner, gap, teeth)
        return
    thick = 0.0145 * who.lip_full * (1 + 0.35 * round_out)
    if who.kind == "human":
        _lips(canvas, who, half, corner, upper, lower, thick)
    if gap > 0.0035:
        canvas.save()
        canvas.clipPath(hole, doAntiAlias=True)
        canvas.drawPaint(solid(DEEP))
        _tongue(canvas, who, half, upper, gap, tongue)
        _teeth(canvas, who, half, upper, lower, gap, teeth)
        canvas.restore()
    dark = darker(who.lip, 0.5)
    seam = max(0.0075 * (1 - 8 * gap), 0.0035)
    if who.kind == "animal":
        seam = 0.008
        canvas.drawLine(0.5, 0.565, 0.5, upper + 0.1 * gap, line(dark, 0.006))
    canvas.drawPath(hole, line(dark, seam))
    for side in (-1, 1):
        canvas.drawPath(oval(0.5 + side * half, corner, 0.0055, 0.0055), solid(dark, 0.85))


def _hole(inside: list[Point], floor: list[Point]) -> skia.Path:
    """The opening between the lips, as two cubic curves from corner to corner."""
    path = skia.Path().moveTo(*inside[0])
    path.cubicTo(*inside[1], *inside[2], *inside[3])
    return path.cubicTo(*floor[0], *floor[1], *inside[0]).close()


def _lips(
    canvas: skia.Canvas, who: Identity, half: float, corner: float, upper: float, lower: float, thick: float
) -> None:
    """Upper lip with its bow, fuller lower lip; both end in the corners."""
    brush, reach = STYLES[who.style], half * 1.06
    bow = [
        (0.5 - reach, corner),
        (0.5 - 0.5 * half, upper - 0.75 * thick),
        (0.5 - 0.16 * half, upper - 1.15 * thick),
        (0.5, upper - 0.85 * thick),
        (0.5 + 0.16 * half, upper - 1.15 * thick),
        (0.5 + 0.5 * half, upper - 0.75 * thick),
        (0.5 + reach, corner),
        (0.5 + 0.55 * half, lower + 0.95 * thick),
        (0.5, lower + 1.5 * thick),
        (0.5 - 0.55 * half, lower + 0.95 * thick),
    ]
    lips = curve(bow, closed=True)
    brush.fill(canvas, lips, who.lip, 0.5)
    shine = curve([(0.5 - 0.28 * half, lower + 0.85 * thick), (0.5 + 0.28 * half, lower + 0.85 * thick)])
    canvas.drawPath(shine, line(lighter(who.lip, 0.4), 0.35 * thick, 0.7))
    fold = [
        (0.5 - 0.3 * half, lower + 2.7 * thick),
        (0.5, lower + 2.95 * thick),
        (0.5 + 0.3 * half, lower + 2.7 * thick),
    ]
    canvas.drawPath(curve(fold), line(darker(who.skin, 0.3), 0.005, 0.55))


def _teeth(
    canvas: skia.Canvas, who: Identity, half: float, upper: float, lower: float, gap: float, teeth: float
) -> None:
    """Upper row always at the edge, `teeth` shows more of it and the lower row."""
    rows, white = 0.16 * gap + 0.004, (250, 246, 238)
    deep = upper + 0.04 * gap + rows + (0.008 + 0.2 * gap) * teeth
    canvas.drawPath(box(0.5 - 0.78 * half, upper - 0.05, 0.5 + 0.78 * half, deep, 0.012), solid(white))
    if who.species in ("cat", "fox", "dog"):
        for side in (-1, 1):
            x = 0.5 + side * 0.5 * half
            fang = skia.Path().moveTo(x - 0.009, deep - 0.004).lineTo(x, deep + 0.014).lineTo(x + 0.009, deep - 0.004)
            canvas.drawPath(fang, solid(white))
    if teeth > 0.3 and gap > 0.012:
        low = lower - 0.1 * gap - 0.006 * teeth
        canvas.drawPath(box(0.5 - 0.62 * half, low, 0.5 + 0.62 * half, lower + 0.03, 0.01), solid((236, 230, 220)))
    if teeth > 0.5:
        canvas.drawLine(0.5, upper, 0.5, deep, line((206, 196, 190), 0.0035, 0.8))


def _tongue(canvas: skia.Canvas, who: Identity, half: float, upper: float, gap: float, tongue: float) -> None:
    """Rests low; `tongue` lifts it to the teeth."""
    y = upper + gap * (0.98 - 0.5 * tongue)
    canvas.drawPath(oval(0.5, y, 0.62 * half, 0.34 * gap + 0.006), solid((216, 96, 104)))
    canvas.drawPath(oval(0.5, y - 0.08 * gap, 0.3 * half, 0.12 * gap), solid((234, 132, 136), 0.8))


def _speaker(canvas: skia.Canvas, who: Identity, half: float, corner: float, gap: float, teeth: float) -> None:
    """A robot's mouth: a lit slot that grows with the opening; teeth are bars."""
    brush, y = STYLES[who.style], who.mouth_y
    rim, r = 0.012, 0.5 * gap + 0.006
    lift = (y + 0.3 * gap - corner) * 1.4
    middle = y + 0.34 * gap
    slot = (
        skia.Path()
        .moveTo(0.5 - half, middle - lift)
        .quadTo(0.5, middle - r * 1.9 + lift * 0.5, 0.5 + half, middle - lift)
    )
    slot.quadTo(0.5, middle + r * 1.9 + lift * 0.9, 0.5 - half, middle - lift).close()
    canvas.drawPath(slot, line(darker(who.skin, 0.5), 2 * rim))
    brush.fill(canvas, slot, (26, 30, 46), 0.0)
    canvas.save()
    canvas.clipPath(slot, doAntiAlias=True)
    canvas.drawPaint(solid(mix((26, 30, 46), who.iris, min(0.25 + 12 * gap, 0.9))))
    for i in range(-2, 3) if teeth > 0.3 else ():
        x = 0.5 + 0.34 * half * i
        canvas.drawLine(x, middle - 0.1, x, middle + 0.1, line((26, 30, 46), 0.007, min(1.0, 1.3 * teeth)))
    canvas.restore()


def draw_nose(canvas: skia.Canvas, who: Identity) -> None:
    """The nose of the neutral portrait."""
    dark, y, s = darker(who.skin, 0.32), 0.533, who.nose_size
    brush = STYLES[who.style]
    if who.nose == "animal":
        colour = mix((60, 40, 46), (226, 120, 120), 0.75 if who.species == "cat" else 0.08)
        nose = curve(
            [
                (0.5 - 0.034 * s, 0.534),
                (0.5, 0.526),
                (0.5 + 0.034 * s, 0.534),
                (0.5 + 0.012, 0.562),
                (0.5, 0.568),
                (0.5 - 0.012, 0.562),
            ],
            closed=True,
        )
        brush.fill(canvas, nose, colour, 0.4)
        canvas.drawPath(oval(0.49, 0.535, 0.009, 0.005), solid((255, 255, 255), 0.6))
    elif who.nose == "button":
        canvas.drawPath(oval(0.5, y, 0.024 * s, 0.017 * s), solid(mix(who.skin, (220, 90, 80), 0.25)))
        canvas.drawPath(oval(0.494, y - 0.006, 0.008, 0.005), solid(lighter(who.skin, 0.6), 0.8))
        if brush.outline:
            canvas.drawPath(
                curve([(0.5 - 0.02 * s, y + 0.008), (0.5, y + 0.017 * s), (0.5 + 0.02 * s, y + 0.008)]),
                line(dark, 0.006),
            )
    elif who.nose == "line":
        x = 0.5 + 0.012 * who.uneven
        canvas.drawPath(
            curve([(x, 0.485), (x + 0.016 * s * who.uneven, y), (0.5 - 0.006 * who.uneven, y + 0.008)]),
            line(dark, 0.0065),
        )
    elif who.nose == "soft":
        canvas.drawPath(
            curve([(0.5, 0.475), (0.5 + 0.012 * s, y - 0.01), (0.5 + 0.022 * s, y + 0.008), (0.5, y + 0.012)]),
            solid(darker(who.skin, 0.16)),
        )
        canvas.drawPath(
            curve([(0.5 - 0.018 * s, y + 0.004), (0.5, y + 0.013), (0.5 + 0.02 * s, y + 0.004)]), line(dark, 0.006)
        )
    elif who.nose == "wide":
        canvas.drawPath(
            curve(
                [
                    (0.5 - 0.032 * s, y - 0.002),
                    (0.5 - 0.014 * s, y + 0.011),
                    (0.5, y + 0.006),
                    (0.5 + 0.014 * s, y + 0.011),
                    (0.5 + 0.032 * s, y - 0.002),
                ]
            ),
            line(dark, 0.0075),
        )
        canvas.drawPath(oval(0.497, y - 0.02, 0.007, 0.022), solid(lighter(who.skin, 0.4), 0.55))
