import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.model_folder import (
    Lineage,
    ModelFolderError,
    check_model_folder,
    finish_model_folder,
    folder_digest,
    read_lineage,
    resolve_model,
)


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def truncate_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])


def corrupt_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(b"\xff" * 8 + weights.read_bytes()[8:])


def pickle_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": 1}))


def enlarge_vocabulary(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["one more"] = 4000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def shard_out_of_the_folder(folder: Path) -> None:
    index = {"weight_map": {"model.embed_tokens.weight": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def link_out_of_the_folder(folder: Path) -> None:
    outside = folder.parent / "secret.json"
    outside.write_text("{}")
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").symlink_to(outside)


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "does not exist"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    "binary config": (lambda folder: (folder / "config.json").write_bytes(b"\x80\x81"), "not readable JSON"),
    "deep config": (lambda folder: (folder / "config.json").write_text("[" * 100_000), "not readable JSON"),
    "config is a list": (lambda folder: (folder / "config.json").write_text("[]"), "no JSON object"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
    "tokenizer without vocabulary": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "no vocabulary"),
    "tokenizer of another model": (enlarge_vocabulary, "token ids up to 4000"),
    "config of another model": (lambda folder: edit(folder / "config.json", vocab_size=999), "vocab_size 999"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
    "empty weights": (lambda folder: (folder / "model.safetensors").write_bytes(b""), "truncated or corrupt"),
    "truncated weights": (truncate_weights, "truncated or corrupt"),
    "corrupt weights": (corrupt_weights, "truncated or corrupt"),
    "pickled weights": (pickle_weights, "only pickled weights"),
    "shard elsewhere": (shard_out_of_the_folder, "weight files of its own folder"),
    "own code": (lambda folder: edit(folder / "config.json", auto_map={"AutoModel": "evil.Model"}), "auto_map"),
    "tokenizer's code": (lambda folder: edit(folder / "tokenizer_config.json", auto_map={}), "auto_map"),
    "link out": (link_out_of_the_folder, "leads out of the model folder"),
    "no template": (lambda folder: (folder / "chat_template.jinja").unlink(), "chat_template.jinja"),
}


def test_a_whole_folder_passes(folder: Path) -> None:
    check_model_folder(folder)


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_each_breakage_is_one_sentence_that_names_the_folder(folder: Path, breakage: str) -> None:
    break_it, says = BREAKAGES[breakage]
    break_it(folder)
    with pytest.raises(ModelFolderError, match=says) as caught:
        check_model_folder(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    assert message.endswith(".")


def test_a_base_model_needs_no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    check_model_folder(folder, chat=False)


def test_links_inside_the_hub_cache_are_its_layout(folder: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    shutil.move(folder, blobs)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(file)
    check_model_folder(snapshot)


def test_digest_follows_the_model_and_nothing_else(folder: Path) -> None:
    before = folder_digest(folder)
    finish_model_folder(folder, Lineage(stage="sft"))
    assert folder_digest(folder) == before
    edit(folder / "config.json", rope_theta=1.0)
    after_edit = folder_digest(folder)
    assert after_edit != before
    (folder / "config.json").rename(folder / "konfig.json")
    assert folder_digest(folder) not in (before, after_edit)


def test_lineage_comes_back_and_stands_in_the_card(folder: Path) -> None:
    lineage = Lineage(
        stage="sft",
        parent="pretrained",
        parent_sha256="ab" * 32,
        recipe="almanac",
        sources=[{"name": "almanac | chat", "licence": "CC0-1.0", "rows": 1200, "sha256": "cd" * 32}],
        metrics={"loss": 0.25},
        versions={"torch": "2.13.0"},
        tokens=5_000_000,
    )
    finish_model_folder(folder, lineage)
    assert read_lineage(folder) == lineage
    card = (folder / "README.md").read_text()
    for words in ("almanac \\| chat", "CC0-1.0", "1,200", "5,000,000", "0.25", "torch 2.13.0", "abababababababab"):
        assert words in card


def test_a_broken_lineage_is_named(folder: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"has no lineage\.json"):
        read_lineage(folder)
    (folder / "lineage.json").write_text('{"stage": "sft", "tokens": "many"}')
    with pytest.raises(ModelFolderError, match="broken at tokens"):
        read_lineage(folder)


def test_names_are_folders_or_at_home_or_on_the_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    shutil.copytree(folder, tmp_path / "home" / "models" / "mine")
    assert resolve_model(str(folder)) == str(folder)
    assert resolve_model("mine") == str(tmp_path / "home" / "models" / "mine")
    assert resolve_model("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    for name in ("yours", "../mine", "./no/such", "/no/such", "a/b/c", ""):
        with pytest.raises(ModelFolderError, match="holds mine"):
            resolve_model(name)
