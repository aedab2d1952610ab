"""The outlines of simple things, each within the square from -1 to 1 (y downwards).

A thing has one colour: what must be seen inside it (a window, an eye) is cut out and shows the background. All of it
hangs together, since the analysis counts connected pieces.
"""

import math

from eval.pictures.pen import Pen


def house(pen: Pen) -> None:
    pen.polygon((-1, 0.05), (0, -0.95), (1, 0.05))
    pen.box(0.42, -0.95, 0.72, -0.2)
    pen.box(-0.78, 0, 0.78, 0.95)
    pen.box(-0.5, 0.32, -0.1, 0.95, ink=0)
    pen.box(0.18, 0.25, 0.54, 0.61, ink=0)


def tree(pen: Pen) -> None:
    pen.polygon((0, -1), (0.5, -0.35), (-0.5, -0.35))
    pen.polygon((0, -0.75), (0.68, 0.15), (-0.68, 0.15))
    pen.polygon((0, -0.4), (0.85, 0.65), (-0.85, 0.65))
    pen.box(-0.2, 0.6, 0.2, 1)


def sun(pen: Pen) -> None:
    pen.disc(0, 0, 0.58)
    for turn in range(8):
        angle = turn * math.pi / 4
        at = [(1, angle), (0.5, angle - 0.34), (0.5, angle + 0.34)]
        pen.polygon(*((r * math.cos(a), r * math.sin(a)) for r, a in at))


def moon(pen: Pen) -> None:
    pen.disc(0, 0, 1)
    pen.disc(0.5, -0.12, 0.82, ink=0)


def car(pen: Pen) -> None:
    pen.polygon((-0.7, 0), (-0.4, -0.62), (0.4, -0.62), (0.75, 0))
    pen.polygon((-1, 0.05), (-0.85, -0.1), (0.8, -0.1), (1, 0.1), (1, 0.45), (-1, 0.45))
    pen.polygon((-0.45, -0.1), (-0.27, -0.42), (-0.08, -0.42), (-0.08, -0.1), ink=0)
    pen.polygon((0.12, -0.1), (0.12, -0.42), (0.28, -0.42), (0.45, -0.1), ink=0)
    pen.disc(-0.52, 0.45, 0.27)
    pen.disc(0.52, 0.45, 0.27)


def boat(pen: Pen) -> None:
    pen.polygon((-1, 0.3), (1, 0.3), (0.62, 0.95), (-0.62, 0.95))
    pen.polygon((0, -1), (0.75, 0.32), (0, 0.32))
    pen.polygon((0, -0.6), (0, 0.32), (-0.6, 0.32))


def flower(pen: Pen) -> None:
    pen.box(-0.1, -0.3, 0.1, 1)
    pen.polygon((0, 0.95), (0.62, 0.35), (0.6, 0.7))
    pen.polygon((0, 0.95), (-0.62, 0.35), (-0.6, 0.7))
    for turn in range(6):
        angle = (turn + 0.5) * math.pi / 3
        pen.disc(0.4 * math.cos(angle), -0.38 + 0.36 * math.sin(angle), 0.26)
    pen.disc(0, -0.38, 0.3)
    pen.disc(0, -0.38, 0.16, ink=0)


def fish(pen: Pen) -> None:
    pen.oval(-0.25, 0, 0.75, 0.48)
    pen.polygon((0.3, 0), (1, -0.5), (0.85, 0), (1, 0.5))
    pen.polygon((-0.4, -0.35), (0.15, -0.68), (0.2, -0.3))
    pen.disc(-0.6, -0.12, 0.12, ink=0)


def cat(pen: Pen) -> None:
    pen.oval(0, 0.2, 0.88, 0.72)
    for side in (-1, 1):
        pen.polygon((side * 0.85, -0.95), (side * 0.86, 0.2), (side * 0.2, -0.45))
        pen.oval(side * 0.36, 0.1, 0.13, 0.17, ink=0)
    pen.polygon((-0.14, 0.42), (0.14, 0.42), (0, 0.6), ink=0)


def dog(pen: Pen) -> None:
    pen.oval(0, 0.02, 0.62, 0.78)
    pen.oval(0, 0.55, 0.45, 0.42)
    for side in (-1, 1):
        pen.oval(side * 0.72, 0, 0.26, 0.62)
        pen.polygon((0, -0.76), (side * 0.72, -0.62), (side * 0.72, -0.2), (0, -0.2))
        pen.oval(side * 0.26, -0.15, 0.12, 0.15, ink=0)
    pen.oval(0, 0.4, 0.2, 0.14, ink=0)


def flag(pen: Pen) -> None:
    pen.box(-0.75, -1, -0.53, 1)
    pen.polygon(
        (-0.6, -0.9), (-0.1, -0.75), (0.4, -0.95), (0.9, -0.8), (0.9, 0.1), (0.4, -0.05), (-0.1, 0.15), (-0.6, 0)
    )


def cup(pen: Pen) -> None:
    pen.disc(0.5, -0.05, 0.5)
    pen.disc(0.5, -0.05, 0.24, ink=0)
    pen.polygon((-1, -0.75), (0.5, -0.75), (0.35, 0.75), (-0.85, 0.75))


def balloon(pen: Pen) -> None:
    pen.oval(0, -0.32, 0.6, 0.68)
    pen.polygon((0, 0.2), (0.22, 0.52), (-0.22, 0.52))
    pen.stroke((0, 0.45), (0.1, 0.62), (-0.06, 0.76), (0.04, 0.91), width=0.18)
    pen.oval(-0.25, -0.5, 0.12, 0.18, ink=0)


def mountain(pen: Pen) -> None:
    pen.polygon((-1, 0.75), (-0.3, -0.8), (0.15, 0), (0.45, -0.4), (1, 0.75))
    pen.polygon(
        (-0.5, 0.05), (-0.36, -0.3), (-0.24, -0.3), (-0.05, 0.05), (-0.18, -0.05), (-0.28, 0.15), (-0.38, -0.05), ink=0
    )


def apple(pen: Pen) -> None:
    pen.oval(-0.38, 0.22, 0.52, 0.66)
    pen.oval(0.38, 0.22, 0.52, 0.66)
    pen.polygon((-0.3, 0.8), (0.3, 0.8), (0, 0.6))
    pen.stroke((0, 0), (0.05, -0.65), width=0.16)
    pen.polygon((0.05, -0.45), (0.2, -0.9), (0.75, -0.95), (0.5, -0.55))
    pen.disc(0.42, 0.2, 0.2, ink=0)


def umbrella(pen: Pen) -> None:
    pen.disc(0, 0, 1)
    pen.box(-1, 0, 1, 1, ink=0)
    for x in (-0.67, 0, 0.67):
        pen.oval(x, 0, 0.3, 0.18, ink=0)
    pen.stroke((0, -0.3), (0, 0.72), (0.12, 0.88), (0.3, 0.88), (0.4, 0.72), width=0.2)


def key(pen: Pen) -> None:
    pen.disc(-0.52, 0, 0.48)
    pen.disc(-0.52, 0, 0.2, ink=0)
    pen.box(-0.1, -0.13, 1, 0.13)
    pen.box(0.4, 0.1, 0.6, 0.45)
    pen.box(0.8, 0.1, 1, 0.45)


def mushroom(pen: Pen) -> None:
    pen.oval(0, 0.05, 1, 0.95)
    pen.box(-1, 0.05, 1, 1, ink=0)
    pen.polygon((-0.3, 0), (0.3, 0), (0.4, 0.95), (-0.4, 0.95))
    pen.disc(-0.45, -0.25, 0.16, ink=0)
    pen.disc(0.42, -0.28, 0.18, ink=0)
    pen.disc(0, -0.6, 0.14, ink=0)


def cloud(pen: Pen) -> None:
    pen.disc(-0.6, 0.2, 0.4)
    pen.disc(-0.15, -0.15, 0.48)
    pen.disc(0.38, -0.02, 0.4)
    pen.disc(0.68, 0.27, 0.32)
    pen.box(-0.6, 0.1, 0.68, 0.6)


def bird(pen: Pen) -> None:
    pen.oval(-0.05, 0.2, 0.62, 0.48)
    pen.disc(0.45, -0.32, 0.38)
    pen.polygon((0.7, -0.5), (1, -0.25), (0.7, -0.12))
    pen.polygon((-0.35, 0.35), (-1, -0.3), (-0.85, 0.25))
    pen.disc(0.52, -0.38, 0.11, ink=0)
    pen.polygon((-0.4, 0.05), (0.25, 0.05), (-0.05, 0.4), ink=0)
    pen.box(-0.28, 0.55, -0.1, 1)
    pen.box(0.1, 0.55, 0.28, 1)


def butterfly(pen: Pen) -> None:
    for side in (-1, 1):
        pen.oval(side * 0.56, -0.38, 0.44, 0.42)
        pen.oval(side * 0.45, 0.42, 0.34, 0.38)
        pen.disc(side * 0.6, -0.4, 0.15, ink=0)
        pen.stroke((0, -0.5), (side * 0.22, -0.93), width=0.12)
    pen.oval(0, 0.05, 0.15, 0.8)


def rocket(pen: Pen) -> None:
    pen.polygon((0, -1), (0.3, -0.6), (0.36, -0.2), (0.36, 0.55), (-0.36, 0.55), (-0.36, -0.2), (-0.3, -0.6))
    pen.polygon((0.3, 0.05), (0.75, 0.5), (0.75, 0.85), (0.3, 0.5))
    pen.polygon((-0.3, 0.05), (-0.75, 0.5), (-0.75, 0.85), (-0.3, 0.5))
    pen.polygon((-0.2, 0.5), (0.2, 0.5), (0, 1))
    pen.disc(0, -0.25, 0.17, ink=0)


def lamp(pen: Pen) -> None:
    pen.polygon((-0.4, -1), (0.4, -1), (0.8, 0), (-0.8, 0))
    pen.box(-0.12, -0.1, 0.12, 0.8)
    pen.box(-0.5, 0.75, 0.5, 1)


def snowman(pen: Pen) -> None:
    pen.disc(0, 0.48, 0.52)
    pen.disc(0, -0.28, 0.36)
    pen.box(-0.52, -0.66, 0.52, -0.5)
    pen.box(-0.28, -1, 0.28, -0.5)
    pen.stroke((0.3, 0.15), (0.9, -0.1), width=0.18)
    pen.stroke((-0.3, 0.15), (-0.9, -0.1), width=0.18)
    for side in (-1, 1):
        pen.disc(side * 0.15, -0.32, 0.09, ink=0)
    pen.disc(0, 0.48, 0.12, ink=0)


def crown(pen: Pen) -> None:
    pen.polygon((-0.8, 0.7), (-1, -0.6), (-0.45, 0), (0, -0.75), (0.45, 0), (1, -0.6), (0.8, 0.7))
    pen.disc(0, 0.3, 0.16, ink=0)


THINGS = {
    outline.__name__: outline
    for outline in (
        house, tree, sun, moon, car, boat, flower, fish, cat, dog, flag, cup, balloon,
        mountain, apple, umbrella, key, mushroom, cloud, bird, butterfly, rocket, lamp, snowman, crown,
    )
}  # fmt: skip
