"""axe-core on every part of the page, on a phone and a desktop, light and dark."""

import os
import subprocess

import pytest

from tests.integration.page.browsing import SETTINGS_CLOSE, asked, wait_for_answer


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@4"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120, env=os.environ)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"axe-core cannot be installed: {error}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


def serious(page, axe: str) -> list[str]:
    page.evaluate(axe)
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)))")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{finding['id']}: {node['html'][:200]} {node['failureSummary']}"
        for finding in found["violations"]
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(open_page, axe, scheme, width):
    page = open_page(width=width, color_scheme=scheme, reduced_motion="reduce")
    assert serious(page, axe) == []
    asked(page, "long")
    asked(page, "calculate 6*7").locator("summary").click()
    asked(page, "draw a red cat")
    asked(page, "refuse").get_by_label("Answer again").click()
    wait_for_answer(page)
    page.locator(".answered").first.get_by_label("Bad answer").click()
    page.locator(".answered form").wait_for()
    assert serious(page, axe) == []
    page.locator(".menu-button").first.click()
    assert serious(page, axe) == []
    page.keyboard.press("Escape")
    if width == 390:
        page.click("#show-sidebar")
        assert serious(page, axe) == []
    page.click("#open-settings")
    page.locator(".usage").wait_for()
    assert serious(page, axe) == []
    page.click(SETTINGS_CLOSE)
    page.click("#open-documents")
    page.locator("#documents [role=listitem]").first.wait_for()
    assert serious(page, axe) == []


def test_axe_finds_nothing_serious_on_the_login(open_page, axe):
    assert serious(open_page("/login"), axe) == []
