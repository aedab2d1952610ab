"""The colours that things and backgrounds have."""

PALETTE = {
    "red": (220, 30, 30),
    "orange": (255, 140, 0),
    "yellow": (250, 235, 50),
    "green": (30, 160, 60),
    "blue": (30, 70, 220),
    "purple": (120, 35, 170),
    "pink": (255, 135, 195),
    "brown": (115, 70, 35),
    "white": (250, 250, 250),
    "black": (15, 15, 15),
    "grey": (135, 135, 140),
    "turquoise": (60, 200, 205),
}
"""sRGB, 0 to 255. Any two lie more than 100 apart, so that the noise of a generated picture does not confuse them."""
