"""The hook that may refuse a prompt."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.api.images.prompt_check import load_check
from serving.errors import UserError
from tests.unit.serving.picture_api import PNG, PictureApi, refusal


def no_dragons(prompt: str) -> str | None:
    if "wyvern" in prompt:
        raise ValueError(f"what is {prompt}?")
    return "no dragons here" if "dragon" in prompt else None


def test_a_prompt_that_the_check_refuses(
    start: Callable[..., PictureApi], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.path", sys.path.copy())
    served = start(image_check=f"{__name__}:no_dragons")
    message = refusal(served.generate("a red dragon"), 400, "content_policy_violation", "prompt")
    assert message == "The prompt was refused: no dragons here"
    refusal(served.generate("a dragon", stream=True), 400, "content_policy_violation", "prompt")
    refusal(served.edit({"image": PNG}, "a dragon"), 400, "content_policy_violation", "prompt")
    with caplog.at_level(logging.ERROR):
        refusal(served.generate("a wyvern"), 500, "check_failed")
    assert "ValueError" in caplog.text
    assert "wyvern" not in caplog.text.replace('if "wyvern" in prompt', "")
    assert served.worker.asked == []
    assert served.generate("a cat").status_code == 200


@pytest.mark.parametrize("name", ["nowhere.at_all:check", "json:check", "json", ":x", "json:__name__"])
def test_a_check_that_cannot_be_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", sys.path.copy())
    with pytest.raises(UserError, match=r"HOMEGROWN_IMAGE_CHECK"):
        load_check(name)


def test_a_check_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shouting_rules.py").write_text("def check(prompt):\n    return prompt.upper()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path.copy())
    assert load_check("shouting_rules:check")("no") == "NO"
