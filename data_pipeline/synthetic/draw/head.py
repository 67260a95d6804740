"""Head layer of people, animals and robots: outline, ears, muzzle and beard, without the moving features."""

import numpy as np
import skia

from avatar_jax.models.pose import CHIN
from data_pipeline.synthetic.draw.brush import (
    STYLES,
    Point,
    box,
    curve,
    darker,
    glow,
    lighter,
    line,
    mirrored,
    mix,
    oval,
    solid,
)
from data_pipeline.synthetic.identity import Identity


def outline_points(who: Identity, grow: float = 0.0) -> list[Point]:
    """Right half of the head's outline from the top to the chin as (distance from the axis, y)."""
    w, h, top = who.head_w, who.head_h, CHIN[1] - who.head_h
    crown, cheek = ((0.56, 0.045), (0.9, 0.2)) if who.kind == "human" else ((0.5, 0.035), (0.86, 0.17))
    half = [
        (0.0, top),
        (crown[0] * w, top + crown[1] * h),
        (cheek[0] * w, top + cheek[1] * h),
        (w, top + 0.42 * h),
        (0.96 * w, top + 0.62 * h),
        (who.jaw * w, top + 0.82 * h),
        (who.chin * w, CHIN[1] - 0.012 * h),
        (0.0, CHIN[1]),
    ]
    return [(x + grow * x / w, y + grow * (y - 0.45) / (0.5 * h)) for x, y in half]


def head_path(who: Identity) -> skia.Path:
    """Closed outline of the head."""
    if who.kind == "robot":
        top, w = CHIN[1] - who.head_h, who.head_w
        return box(0.5 - w, top, 0.5 + w, CHIN[1], 0.09 + 0.06 * who.chin)
    return curve(mirrored(outline_points(who)), closed=True)


def draw_head(canvas: skia.Canvas, who: Identity) -> None:
    """Draw ears and head, and what is painted on the skin."""
    brush, head = STYLES[who.style], head_path(who)
    {"human": _ears, "animal": _animal_ears, "robot": _antenna}[who.kind](canvas, who)
    brush.fill(canvas, head, who.skin)
    canvas.save()
    canvas.clipPath(head, doAntiAlias=True)
    if who.kind == "human":
        _skin(canvas, who)
    elif who.kind == "animal":
        _fur(canvas, who)
    else:
        _panel(canvas, who)
    canvas.restore()
    if brush.outline:
        canvas.drawPath(head, line(brush.contour(who.skin), brush.outline))


def _ears(canvas: skia.Canvas, who: Identity) -> None:
    brush = STYLES[who.style]
    for side in (-1, 1):
        x, y = 0.5 + side * (who.head_w + 0.008), who.eye_y + 0.03
        brush.fill(canvas, oval(x, y, 0.72 * who.ear, 1.15 * who.ear), mix(who.skin, (210, 90, 80), 0.08), 0.5)
        canvas.drawPath(oval(x + side * 0.002, y, 0.36 * who.ear, 0.7 * who.ear), solid(darker(who.skin, 0.22)))
        if who.earrings:
            canvas.drawPath(oval(x, y + 1.35 * who.ear, 0.011, 0.011), solid((240, 200, 90)))


def _skin(canvas: skia.Canvas, who: Identity) -> None:
    brush = STYLES[who.style]
    if brush.shade:
        canvas.drawPath(oval(0.5, 0.73, 0.22, 0.09), glow(0.5, 0.74, 0.14, darker(who.skin, 0.35), 0.4 * brush.shade))
    else:
        shadow = skia.Path(head_path(who))
        canvas.save()
        lit = skia.Path(shadow)
        lit.transform(skia.Matrix.Translate(-0.028, -0.012))
        canvas.clipPath(lit, skia.ClipOp.kDifference, True)
        canvas.drawPath(shadow, solid(darker(who.skin, 0.16)))
        canvas.restore()
    if who.beard in ("full", "stubble"):
        tone = mix(who.skin, who.brow_colour, 0.9 if who.beard == "full" else 0.24)
        top = [
            (0.5 - 1.1 * who.head_w, 0.46),
            (0.5 - 0.86 * who.head_w, 0.53),
            (0.5 - 0.5 * who.head_w, 0.557),
            (0.5, 0.545),
        ]
        path = curve([*top, *[(1 - x, y) for x, y in reversed(top[:-1])]])
        path.lineTo(0.9, 0.8).lineTo(0.1, 0.8).close()
        if who.beard == "full":
            brush.fill(canvas, path, tone, 0.3)
        else:
            canvas.drawPath(path, solid(tone))


def _animal_ears(canvas: skia.Canvas, who: Identity) -> None:
    brush, top, w = STYLES[who.style], CHIN[1] - who.head_h, who.head_w
    inner = mix(who.skin, (240, 150, 150), 0.6)
    for side in (-1, 1):
        if who.species == "bear":
            x, y = 0.5 + side * 0.76 * w, top + 0.07
            brush.fill(canvas, oval(x, y, 0.07, 0.07), who.skin)
            canvas.drawPath(oval(x, y + 0.005, 0.04, 0.04), solid(mix(who.skin, (244, 220, 190), 0.5)))
        elif who.species == "dog":
            continue
        else:
            tall = 0.15 if who.species == "fox" else 0.115
            tip, base = (0.5 + side * 0.86 * w, top - tall + 0.06), (0.5 + side * 0.99 * w, top + 0.2)
            ear = curve(
                [
                    (0.5 + side * 0.25 * w, top + 0.06),
                    (0.5 + side * 0.6 * w, top - 0.02),
                    tip,
                    (0.5 + side * 0.99 * w, top + 0.09),
                    base,
                ]
            )
            brush.fill(canvas, ear.close(), darker(who.skin, 0.12) if who.species == "fox" else who.skin)
            core = skia.Path().moveTo(0.5 + side * 0.48 * w, top + 0.05).lineTo(tip[0] - side * 0.012, tip[1] + 0.045)
            canvas.drawPath(core.lineTo(0.5 + side * 0.88 * w, top + 0.12).close(), solid(inner))


def _fur(canvas: skia.Canvas, who: Identity) -> None:
    brush, top, w = STYLES[who.style], CHIN[1] - who.head_h, who.head_w
    pale, dark = mix(who.skin, (255, 248, 236), 0.72), darker(who.skin, 0.3)
    if who.species == "cat":
        for dx in (-0.055, 0.0, 0.055):
            stripe = (
                skia.Path()
                .moveTo(0.5 + dx - 0.014, top - 0.01)
                .lineTo(0.5 + dx * 0.8, top + 0.1)
                .lineTo(0.5 + dx + 0.014, top - 0.01)
            )
            canvas.drawPath(stripe, solid(dark, 0.75))
        for side in (-1, 1):
            for dy in (0.0, 0.04):
                cheek = (
                    skia.Path()
                    .moveTo(0.5 + side * 1.05 * w, 0.5 + dy)
                    .lineTo(0.5 + side * 0.72 * w, 0.515 + dy)
                    .lineTo(0.5 + side * 1.05 * w, 0.522 + dy)
                )
                canvas.drawPath(cheek, solid(dark, 0.6))
    elif who.species == "fox":
        for side in (-1, 1):
            mask = curve(
                [
                    (0.5, 0.53),
                    (0.5 + side * 0.5 * w, 0.52),
                    (0.5 + side * 1.15 * w, 0.44),
                    (0.5 + side * 1.1 * w, 0.72),
                    (0.5, 0.74),
                ]
            )
            canvas.drawPath(mask.close(), solid(pale))
    elif who.species == "dog" and who.seed % 2:
        canvas.drawPath(oval(0.5 + 0.095 * who.uneven, who.eye_y, 0.075, 0.085), solid(mix(dark, who.skin, 0.3)))
    if brush.shade:
        canvas.drawPath(oval(0.5, 0.73, 0.24, 0.1), glow(0.5, 0.75, 0.16, darker(who.skin, 0.4), 0.35 * brush.shade))


def draw_muzzle(canvas: skia.Canvas, who: Identity) -> None:
    """Face layer of an animal below its eyes: muzzle and whiskers; the nose is drawn with the features."""
    brush, pale = STYLES[who.style], mix(who.skin, (255, 248, 236), 0.72)
    wide = 0.105 if who.species in ("cat", "fox") else 0.125
    brush.fill(canvas, oval(0.5, 0.594, wide, 0.086), pale, 0.35)
    if who.species == "cat":
        for side in (-1, 1):
            for dy in (-0.015, 0.012):
                canvas.drawLine(
                    0.5 + side * 0.075,
                    0.56 + dy,
                    0.5 + side * 0.19,
                    0.55 + 2.2 * dy,
                    line(darker(who.skin, 0.5), 0.004, 0.8),
                )


def draw_flaps(canvas: skia.Canvas, who: Identity) -> None:
    """Hanging ears of a dog, in front of its head."""
    brush, top, w = STYLES[who.style], CHIN[1] - who.head_h, who.head_w
    for side in (-1, 1) if who.species == "dog" else ():
        ear = curve(
            [
                (0.5 + side * 0.5 * w, top + 0.01),
                (0.5 + side * 0.95 * w, top + 0.01),
                (0.5 + side * 1.28 * w, top + 0.16),
                (0.5 + side * 1.22 * w, top + 0.32),
                (0.5 + side * 1.02 * w, top + 0.3),
                (0.5 + side * 0.9 * w, top + 0.15),
            ],
            closed=True,
        )
        brush.fill(canvas, ear, darker(who.skin, 0.3))


def _antenna(canvas: skia.Canvas, who: Identity) -> None:
    brush, top, w = STYLES[who.style], CHIN[1] - who.head_h, who.head_w
    canvas.drawLine(0.5, top, 0.5, top - 0.09, line(darker(who.skin, 0.5), 0.014))
    brush.fill(canvas, oval(0.5, top - 0.1, 0.026, 0.026), who.iris)
    for side in (-1, 1):
        x = 0.5 + side * (w + 0.012)
        brush.fill(canvas, box(x - 0.024, who.eye_y - 0.03, x + 0.024, who.eye_y + 0.08, 0.016), darker(who.skin, 0.28))


def _panel(canvas: skia.Canvas, who: Identity) -> None:
    brush, top, w = STYLES[who.style], CHIN[1] - who.head_h, who.head_w
    plate = box(0.5 - 0.86 * w, top + 0.11, 0.5 + 0.86 * w, CHIN[1] - 0.03, 0.07)
    brush.fill(canvas, plate, lighter(who.skin, 0.42), 0.4)
    for x in np.linspace(0.5 - 0.6 * w, 0.5 + 0.6 * w, 5):
        canvas.drawPath(oval(float(x), top + 0.055, 0.009, 0.009), solid(darker(who.skin, 0.45)))
