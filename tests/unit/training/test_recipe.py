"""Recipes: read, overridden, and refused with the key's name."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from serving.errors import UserError
from tests.unit.training.conftest import Workshop
from training import recipe as recipes
from training.recipe import FOLDER, ModelSection, load_recipe
from training.shape import shape_of

ALIGNED = "{budget: 64 examples, sources: [{name: almanac}]}"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_of_ours_is_valid_and_named_after_its_file(path: Path) -> None:
    asked_for = ["base=almanac"] if path.stem == "qlora" else []
    assert load_recipe(path.stem, asked_for).name == path.stem


def test_a_recipe_for_any_base_asks_for_one() -> None:
    with pytest.raises(UserError, match="needs a section pretrain, or a base, such as `--set base=Qwen"):
        load_recipe("qlora")


def test_set_reaches_nested_keys_and_lists_and_parses_yaml(workshop: Workshop) -> None:
    recipe = load_recipe(
        str(workshop.path),
        ["model.depth=3", "pretrain.phases.1.share=2", "sft.lora.rank=4", "tokenizer.documents=9"],
    )
    assert recipe.model.depth == 3
    assert recipe.pretrain.phases[1].share == 2.0
    assert recipe.sft.lora.rank == 4
    assert recipe.tokenizer.documents == 9


def test_set_changes_one_of_the_sections_that_an_alias_shares(tmp_path: Path) -> None:
    path = tmp_path / "shared.yaml"
    path.write_text(
        "dpo: &shared {budget: 64 examples, sources: [{name: almanac}]}\nkto: *shared\ngrpo: {<<: *shared}\n"
    )
    recipe = load_recipe(str(path), ["dpo.beta=0.3", "dpo.sources.0.noise=0.1"])
    assert (recipe.dpo.beta, recipe.kto.beta) == (0.3, 0.1)
    assert [section.sources[0].noise for section in (recipe.dpo, recipe.kto, recipe.grpo)] == [0.1, 0, 0]


def test_lora_is_a_flag_too(workshop: Workshop) -> None:
    assert load_recipe(str(workshop.path), ["sft.lora=true"]).sft.lora.rank == 16
    assert load_recipe(str(workshop.path), ["sft.lora=false"]).sft.lora is None


def test_sources_alone_are_one_phase(workshop: Workshop) -> None:
    assert [phase.share for phase in load_recipe(str(workshop.path)).sft.phases] == [1.0]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("pretrain.lerning_rate=1", "pretrain.lerning_rate is an unknown key; did you mean learning_rate?"),
        (".depth=3", "--set .depth=3 is not understood"),
        ("model.depth=deep", "model.depth: input should be a valid integer"),
        ("model.depth=0", "model.depth: input should be greater than or equal to 1 (given: 0)"),
        ("tokenizer.sources.0.weight=0", "tokenizer.sources: the weights sum to zero"),
        ("tokenizer.sources=[]", "tokenizer.sources: no source is named"),
        ("pretrain.budget=soon", "pretrain.budget: 'soon' is no budget"),
        ("pretrain.row=100", "no multiple of row"),
        ("sft.row=1024", "a row is longer than model.context"),
        ("sft.phases=[]", "sft: sources and phases exclude each other"),
        ("persona=nobody", "no persona is called 'nobody'"),
        ("tools=[fly]", "no tool is called fly"),
        ("pretrain=null", "sft needs a section pretrain, or a base"),
        ("base=almanac", "base and pretrain exclude each other"),
        ("model.depth.x=1", "depth holds a single value"),
        ("pretrain.phases.7.share=1", "7 is no place in a list of 2"),
        ("model", "write it as a.b=value"),
        ("sft.decay=-1", "sft.decay: input should be greater than or equal to 0 (given: -1)"),
        ("sft.decay=1.5", "sft.decay: input should be less than or equal to 1 (given: 1.5)"),
        ("sft.warmup_steps=-1", "sft.warmup_steps: input should be greater than or equal to 0 (given: -1)"),
        ("sft.processes=0", "sft.processes: name 1 process or more, or `auto` (given: 0)"),
        ("pretrain.processes=-1", "pretrain.processes: name 1 process or more, or `auto` (given: -1)"),
        ("model={depth: 4, kv_heads: 3}", "model: kv_heads (3) must divide the 4 heads: name one of 1, 2, 4"),
        ("model={depth: 4, kv_heads: 8}", "model: kv_heads (8) must divide the 4 heads: name one of 1, 2, 4"),
        ("model.head_dim=17", "model: head_dim (17) is odd, and positions turn pairs of numbers: name an even one"),
        ("kto={budget: 64 examples, sources: [{name: almanac}], batch: 1}", "kto.batch: input should be greater than"),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(workshop: Workshop, override: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(str(workshop.path), [override])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("section", recipes._sections(), ids=lambda section: section.__name__)
def test_a_section_that_changes_a_default_keeps_its_bounds(section: type[BaseModel]) -> None:
    for parent in section.__mro__[1:]:
        for name, field in getattr(parent, "model_fields", {}).items():
            own = set(map(repr, section.model_fields[name].metadata))
            assert own >= set(map(repr, field.metadata)), f"{section.__name__}.{name}"


@pytest.mark.parametrize("depth", range(1, 25))
def test_every_depth_is_a_shape_that_can_be_built(depth: int) -> None:
    shape = shape_of(ModelSection(depth=depth))
    assert shape["num_attention_heads"] % shape["num_key_value_heads"] == 0


def test_what_is_grown_here_has_a_position_for_all_that_alignment_shows_it(workshop: Workshop) -> None:
    longer = [f"dpo={ALIGNED}", "dpo.context=600"]
    with pytest.raises(UserError, match=r"dpo\.context \(600\) is larger than model\.context: lower it"):
        load_recipe(str(workshop.path), longer)
    assert load_recipe(str(workshop.path), [*longer, "dpo.base=almanac"]).dpo.context == 600


@pytest.mark.parametrize("text", ["a: [1", "- 1", "", "\x00"])
def test_a_file_that_is_no_recipe(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"broken\.yaml"):
        load_recipe(str(path))


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"There is no recipe nothing: name one of .*tiny"):
        load_recipe("nothing")


def test_the_dress_of_a_stage(workshop: Workshop) -> None:
    recipe = load_recipe(str(workshop.path))
    assert recipe.dress(recipe.pretrain).system is None
    assert recipe.dress(recipe.pretrain).tools is None
    assert recipe.dress(recipe.sft).system.startswith("You are Almanac")
    assert "calculate" in recipe.dress(recipe.sft).tools
    bare = load_recipe(str(workshop.path), ["persona=null", "tools=[]"])
    assert bare.dress(bare.sft).model_dump() == {"system": None, "tools": []}


def test_a_yaml_round_trip_keeps_everything(workshop: Workshop, tmp_path: Path) -> None:
    recipe = load_recipe(str(workshop.path))
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    assert load_recipe(str(copy)) == recipe
