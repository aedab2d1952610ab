"""The outlines of plain shapes, each within the square from -1 to 1 (y downwards)."""

import math

from eval.pictures.pen import Pen


def circle(pen: Pen) -> None:
    pen.disc(0, 0, 0.95)


def square(pen: Pen) -> None:
    pen.box(-0.85, -0.85, 0.85, 0.85)


def triangle(pen: Pen) -> None:
    pen.polygon((0, -1), (1, 0.85), (-1, 0.85))


def star(pen: Pen) -> None:
    radii = (1.05, 0.42) * 5
    angles = [math.pi * (turn / 5 - 0.5) for turn in range(10)]
    pen.polygon(*((r * math.cos(angle), r * math.sin(angle) + 0.08) for r, angle in zip(radii, angles, strict=True)))


def heart(pen: Pen) -> None:
    pen.disc(-0.47, -0.38, 0.53)
    pen.disc(0.47, -0.38, 0.53)
    pen.polygon((-0.94, -0.14), (0, -0.5), (0.94, -0.14), (0, 0.98))


def ring(pen: Pen) -> None:
    pen.disc(0, 0, 1)
    pen.disc(0, 0, 0.52, ink=0)


def cross(pen: Pen) -> None:
    pen.box(-0.33, -1, 0.33, 1)
    pen.box(-1, -0.33, 1, 0.33)


def diamond(pen: Pen) -> None:
    pen.polygon((0, -1), (0.72, 0), (0, 1), (-0.72, 0))


def arrow(pen: Pen) -> None:
    pen.box(-1, -0.28, 0.2, 0.28)
    pen.polygon((0.05, -0.85), (1, 0), (0.05, 0.85))


def bolt(pen: Pen) -> None:
    pen.polygon((0.25, -1), (-0.65, 0.15), (-0.1, 0.15), (-0.35, 1), (0.65, -0.25), (0.08, -0.25), (0.6, -1))


SHAPES = {
    outline.__name__: outline for outline in (circle, square, triangle, star, heart, ring, cross, diamond, arrow, bolt)
}
