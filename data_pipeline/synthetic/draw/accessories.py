"""Glasses, facial hair over the skin, freckles and hats."""

import numpy as np
import skia

from avatar_jax.models.pose import CHIN
from data_pipeline.synthetic.draw.brush import STYLES, box, curve, darker, lighter, line, mix, oval, solid
from data_pipeline.synthetic.identity import Identity


def draw_whiskers(canvas: skia.Canvas, who: Identity) -> None:
    """Moustache, goatee and freckles: below the mouth in the drawing order, in the face layer."""
    brush, tone = STYLES[who.style], mix(who.skin, who.brow_colour, 0.92)
    y = who.mouth_y
    if who.beard == "goatee":
        chin = curve(
            [
                (0.468, y + 0.03),
                (0.5, y + 0.026),
                (0.532, y + 0.03),
                (0.538, y + 0.07),
                (0.5, CHIN[1] + 0.012),
                (0.462, y + 0.07),
            ],
            closed=True,
        )
        brush.fill(canvas, chin, tone, 0.4)
    if who.beard in ("moustache", "goatee", "full"):
        top, wide = y - 0.034, who.mouth_w * (1.25 if who.beard == "moustache" else 1.05)
        tip = y + (0.004 if who.beard == "moustache" else 0.014)
        path = curve(
            [
                (0.5 - wide, tip),
                (0.5 - 0.55 * wide, top + 0.008),
                (0.5, top + 0.006),
                (0.5 + 0.55 * wide, top + 0.008),
                (0.5 + wide, tip),
                (0.5 + 0.5 * wide, y - 0.011),
                (0.5, y - 0.014),
                (0.5 - 0.5 * wide, y - 0.011),
            ],
            closed=True,
        )
        brush.fill(canvas, path, tone, 0.4)
    if who.freckles:
        rng = np.random.default_rng(who.ground_seed)
        for side in (-1, 1):
            for _ in range(5):
                x, dy = 0.5 + side * rng.uniform(0.045, 0.12), rng.uniform(0.505, 0.555)
                canvas.drawPath(oval(float(x), float(dy), 0.0042, 0.0042), solid(mix(who.skin, (140, 70, 40), 0.55)))


def draw_glasses(canvas: skia.Canvas, who: Identity) -> None:
    """Glasses in the face layer, over the eyes."""
    if who.glasses == "none":
        return
    y, r, frame = who.eye_y + 0.006, min(who.eye_gap - 0.014, 0.07), line(who.glasses_colour, 0.0095)
    for side in (-1, 1):
        x = 0.5 + side * who.eye_gap
        rim = oval(x, y, r, 0.92 * r) if who.glasses == "round" else box(x - r, y - 0.72 * r, x + r, y + 0.78 * r, 0.02)
        canvas.drawPath(rim, solid((235, 245, 255), 0.14))
        canvas.drawLine(x - 0.5 * r, y + 0.2 * r, x + 0.1 * r, y - 0.45 * r, line((255, 255, 255), 0.009, 0.45))
        if who.glasses == "half":
            canvas.drawLine(x - r, y - 0.68 * r, x + r, y - 0.68 * r, line(who.glasses_colour, 0.013))
            canvas.drawPath(rim, line(who.glasses_colour, 0.004, 0.6))
        else:
            canvas.drawPath(rim, frame)
        canvas.drawLine(x + side * r, y - 0.15 * r, 0.5 + side * (who.head_w - 0.004), y - 0.25 * r, frame)
    canvas.drawPath(curve([(0.5 - who.eye_gap + r, y), (0.5, y - 0.012), (0.5 + who.eye_gap - r, y)]), frame)


def draw_hat(canvas: skia.Canvas, who: Identity) -> None:
    """Hat or head band in the head layer, over the hair."""
    if who.hat == "none":
        return
    brush, w, top = STYLES[who.style], who.head_w + who.hair_volume + 0.012, CHIN[1] - who.head_h
    colour, edge = who.hat_colour, top + 0.115
    dome = curve(
        [
            (0.5 - w, edge + 0.01),
            (0.5 - 0.93 * w, top + 0.01),
            (0.5 - 0.5 * w, top - 0.06),
            (0.5, top - 0.078),
            (0.5 + 0.5 * w, top - 0.06),
            (0.5 + 0.93 * w, top + 0.01),
            (0.5 + w, edge + 0.01),
        ]
    )
    if who.hat == "band":
        arch = curve(
            [
                (0.5 - 0.99 * w, top + 0.12),
                (0.5 - 0.55 * w, top + 0.03),
                (0.5, top + 0.01),
                (0.5 + 0.55 * w, top + 0.03),
                (0.5 + 0.99 * w, top + 0.12),
            ]
        )
        if brush.outline:
            canvas.drawPath(arch, line(brush.contour(colour), 0.038 + 2 * brush.outline))
        canvas.drawPath(arch, line(colour, 0.038))
        return
    brush.fill(canvas, dome.close(), colour)
    if who.hat == "beanie":
        brush.fill(
            canvas, box(0.5 - w - 0.008, edge - 0.042, 0.5 + w + 0.008, edge + 0.022, 0.024), darker(colour, 0.14)
        )
        brush.fill(canvas, oval(0.5, top - 0.09, 0.04, 0.038), lighter(colour, 0.5))
        for x in np.linspace(-0.85, 0.85, 9):
            canvas.drawLine(0.5 + w * x, edge - 0.032, 0.5 + w * x, edge + 0.012, line(darker(colour, 0.28), 0.005))
    else:
        brim = curve(
            [
                (0.5 - 0.98 * w, edge),
                (0.5 - 0.5 * w, edge - 0.018),
                (0.5 + 0.5 * w, edge - 0.018),
                (0.5 + 0.98 * w, edge),
                (0.5 + 0.7 * w, edge + 0.03),
                (0.5, edge + 0.042),
                (0.5 - 0.7 * w, edge + 0.03),
            ],
            closed=True,
        )
        brush.fill(canvas, brim, darker(colour, 0.22))
        canvas.drawPath(oval(0.5, top + 0.015, 0.038, 0.034), solid(lighter(colour, 0.55)))
