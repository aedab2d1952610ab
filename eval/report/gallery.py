"""Which pictures a task's chapter has, and which a table of systems: one line for everything that can be drawn."""

from collections.abc import Sequence

from eval.report.picture import Drawer, Findings, Picture, SystemDrawer
from eval.report.pictures import calibration_pictures, concurrency_pictures
from eval.report.privacy_pictures import privacy_pictures
from eval.report.prompting_pictures import prompting_pictures
from eval.report.swaps import swap_pictures
from eval.report.systems_pictures import quality_by_latency
from eval.systems.side_by_side import System

DRAWERS: tuple[Drawer, ...] = (
    calibration_pictures,
    concurrency_pictures,
    swap_pictures,
    prompting_pictures,
    privacy_pictures,
)
SYSTEM_DRAWERS: tuple[SystemDrawer, ...] = (quality_by_latency,)


def pictures_of(findings: Findings) -> list[Picture]:
    """Everything that can be drawn of what a task found, in the order of `DRAWERS`."""
    return [picture for draw in DRAWERS for picture in draw(findings)]


def system_pictures(systems: Sequence[System]) -> list[Picture]:
    """Everything that can be drawn of several systems together, in the order of `SYSTEM_DRAWERS`."""
    return [picture for draw in SYSTEM_DRAWERS for picture in draw(systems)]
