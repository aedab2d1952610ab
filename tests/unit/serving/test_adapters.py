import json
from pathlib import Path

import pytest

from serving.adapters import adapter_flags, adapters_of
from serving.engine import EngineError
from serving.model_folder import ModelFolderError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    (tmp_path / "models" / "almanac").mkdir(parents=True)
    return tmp_path


def write_adapter(
    home: Path, name: str, base: str, rank: object = 8, weights: str = "adapter_model.safetensors"
) -> Path:
    folder = home / "adapters" / name
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, "r": rank}))
    (folder / weights).write_bytes(b"")
    return folder


def served(home: Path) -> dict[str, Path]:
    return adapters_of(home / "models" / "almanac", "almanac")


def test_only_the_adapters_of_the_served_model_are_found(home: Path) -> None:
    assert served(home) == {}
    by_name = write_adapter(home, "polite", "almanac")
    by_path = write_adapter(home, "rhyming", str(home / "models" / ".." / "models" / "almanac"))
    write_adapter(home, "foreign", "somebody/else")
    assert served(home) == {"polite": by_name, "rhyming": by_path}


def test_flags_hold_the_largest_rank(home: Path) -> None:
    assert adapter_flags({}) == []
    small, large = write_adapter(home, "small", "almanac", 4), write_adapter(home, "large", "almanac", 33)
    assert adapter_flags(served(home)) == [
        *("--enable-lora", "--max-lora-rank", "64", "--max-loras", "2"),
        *("--lora-modules", f"large={large}", f"small={small}"),
    ]


@pytest.mark.parametrize("rank", [0, 513, None, "8"])
def test_a_rank_that_vllm_does_not_serve(home: Path, rank: object) -> None:
    write_adapter(home, "odd", "almanac", rank)
    with pytest.raises(EngineError, match=r"odd has the rank .*1 to 512"):
        adapter_flags(served(home))


def test_pickled_weights_and_a_clash_of_names_are_refused(home: Path) -> None:
    pickled = write_adapter(home, "pickled", "almanac", weights="adapter_model.bin")
    with pytest.raises(EngineError, match=r"pickled has no adapter_model\.safetensors: save it with"):
        served(home)
    pickled.rename(home / "elsewhere")
    write_adapter(home, "almanac", "almanac")
    with pytest.raises(EngineError, match="called like its model: rename"):
        served(home)


def test_settings_that_cannot_be_read(home: Path) -> None:
    (write_adapter(home, "broken", "almanac") / "adapter_config.json").write_text("{")
    with pytest.raises(ModelFolderError, match="not readable JSON"):
        served(home)
