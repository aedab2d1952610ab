"""What the report of several systems shows: headline figures with all systems in each, what they cost, who is ahead."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from eval.figures import Figure
from eval.meaning import Meaning
from eval.report.areas import area_of, in_order
from eval.report.gallery import system_pictures
from eval.report.methods import STATISTICS, meaning_of
from eval.report.picture import Picture
from eval.report.plots import Axis, axis_of, interval, scale_of
from eval.report.words import counted, enumerated
from eval.systems.lineage import stage_of
from eval.systems.prices import Cost, Prices
from eval.systems.side_by_side import Cell, Line, SideBySide, System


@dataclass(frozen=True)
class Drawn:
    """One headline figure with a line for each system on one scale."""

    line: Line
    systems: Sequence[System]

    @property
    def rows(self) -> list[tuple[System, Cell, Markup]]:
        return [
            (system, cell, interval(cell.estimate, self._axis, tone="none" if self.line.is_beaten(system) else "plain"))
            for system, cell in zip(self.systems, self.line.cells, strict=True)
        ]

    @property
    def scale(self) -> Markup:
        return scale_of(self._axis)

    @cached_property
    def _axis(self) -> Axis:
        figures = [cell.figure for cell in self.line.cells if cell.figure]
        return axis_of(figures or [self.line.figure], [cell.estimate for cell in self.line.cells])


@dataclass(frozen=True)
class Section:
    """Figures under one heading, each of all systems."""

    title: str
    rows: Sequence[tuple[str, Sequence[Figure | None]]]
    """(label, the figure of each system)."""


@dataclass(frozen=True)
class SystemsPage:
    """The whole report."""

    table: SideBySide
    costs: Sequence[Cost]
    prices: Prices | None = None

    @property
    def systems(self) -> Sequence[System]:
        return self.table.systems

    @cached_property
    def areas(self) -> dict[str, list[Drawn]]:
        """What the headline figures are about -> these."""
        grouped: dict[str, list[Drawn]] = {}
        for line in self.table.lines:
            grouped.setdefault(self._area_of(line.key), []).append(Drawn(line, self.systems))
        return {name: grouped[name] for name in in_order(grouped)}

    @cached_property
    def verdict(self) -> str:
        """Which systems nothing speaks against; where there is none, how often each is surely worse than another."""
        lines = [line for line in self.table.lines if line.figure.better]
        beaten = {system.letter: sum(line.is_beaten(system) for line in lines) for system in self.systems}
        free = [system for system in self.systems if not beaten[system.letter]]
        figures = counted(len(lines), "headline figure")
        if len(free) == len(self.systems):
            return f"No system is surely worse than another in any of the {figures}."
        if free:
            names, is_one = enumerated([f"{system.letter} ({system.name})" for system in free]), len(free) == 1
            others = ", ".join(f"{letter} in {times}" for letter, times in beaten.items() if times)
            verb = "is" if is_one else "are"
            return f"In none of the {figures} {verb} {names} surely worse than another system; of the others {others}."
        order = sorted(beaten.items(), key=lambda entry: entry[1])
        said = enumerated([f"{letter} in {times}" for letter, times in order])
        return f"Each system is surely worse than another somewhere in the {figures}: {said}."

    def stage(self, system: System) -> str:
        return stage_of(system.result)

    @cached_property
    def sections(self) -> dict[str, list[Section]]:
        """Area -> every section that some system has, with all of its figures."""
        found: dict[str, list[Section]] = {}
        for title, keys in self._keys().items():
            labels = [(self._label(key), [s.result.figures.get(key) for s in self.systems]) for key in keys]
            found.setdefault(self._area_of(keys[0]), []).append(Section(title, labels))
        return {name: found[name] for name in in_order(found)}

    def _area_of(self, key: str) -> str:
        return area_of(key.split(".")[0], [name for system in self.systems for name in system.result.suite.names])

    def _keys(self) -> dict[str, list[str]]:
        """Title -> keys."""
        keys: dict[str, list[str]] = {}
        for system in self.systems:
            for section in system.result.sections:
                own = keys.setdefault(section.title, [])
                own += [figure.key for figure in section.figures if figure.key not in own]
        return keys

    def _label(self, key: str) -> str:
        return next(s.result.figures[key].label.strip() for s in self.systems if key in s.result.figures)

    @property
    def pictures(self) -> list[Picture]:
        return system_pictures(self.systems)

    @property
    def gaps(self) -> list[tuple[System, str]]:
        """(system, what was not measured of it)."""
        return [(system, gap) for system in self.systems for gap in _gaps_of(system)]

    @property
    def meanings(self) -> list[tuple[str, Meaning]]:
        """(title, how it is made) of every headline figure."""
        return [(line.title, meaning_of(line.figure)) for line in self.table.lines]

    @property
    def methods(self) -> list[tuple[str, Meaning]]:
        used = {line.figure.statistic for line in self.table.lines}
        return [(name, STATISTICS[name]) for name in STATISTICS if name in used]


def _gaps_of(system: System) -> list[str]:
    result = system.result
    said = [f"{name}: {why}" for name, why in result.identity["skipped"].items()]
    said += [f"{counted(len(result.errors), 'request')} without an answer"] if result.errors else []
    said += [f"{counted(result.unasked, 'question')} not asked yet"] if result.unasked > 0 else []
    few = sum(figure.estimate is None for figure in result.figures.values())
    return [*said, *([f"{counted(few, 'figure')} not measurable"] if few else [])]
