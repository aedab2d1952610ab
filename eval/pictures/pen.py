"""Draws silhouettes."""

from PIL import Image, ImageDraw


class Pen:
    """Fills areas of the square from -1 to 1 (y downwards); with `ink=0` it cuts them out again."""

    def __init__(self, side: int):
        self.image = Image.new("L", (side, side))
        self._draw = ImageDraw.Draw(self.image)
        self._half = side / 2

    def polygon(self, *points: tuple[float, float], ink: int = 1) -> None:
        self._draw.polygon([self._dot(*point) for point in points], fill=255 * ink)

    def box(self, left: float, top: float, right: float, bottom: float, ink: int = 1) -> None:
        self.polygon((left, top), (right, top), (right, bottom), (left, bottom), ink=ink)

    def disc(self, x: float, y: float, radius: float, ink: int = 1) -> None:
        self.oval(x, y, radius, radius, ink)

    def oval(self, x: float, y: float, across: float, down: float, ink: int = 1) -> None:
        """`across` and `down` are the half axes."""
        self._draw.ellipse([self._dot(x - across, y - down), self._dot(x + across, y + down)], fill=255 * ink)

    def stroke(self, *points: tuple[float, float], width: float, ink: int = 1) -> None:
        """A line with round ends and joints."""
        dots = [self._dot(*point) for point in points]
        self._draw.line(dots, fill=255 * ink, width=round(width * self._half))
        for x, y in points:
            self.disc(x, y, width / 2, ink)

    def _dot(self, x: float, y: float) -> tuple[float, float]:
        # Pillow fills the last dot as well, hence half a dot less on either side.
        return (1 + x) * self._half - 0.5, (1 + y) * self._half - 0.5
