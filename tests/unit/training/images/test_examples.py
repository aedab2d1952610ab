"""Examples, captions as tokens, the average of weights, and what people look at."""

import random
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from eval.pictures.captions import caption
from eval.pictures.world import world
from training.images.average import Average
from training.images.examples import UNKNOWN, Collate, Examples
from training.images.section import ImagesSection
from training.images.sheet import loss_curve, sample_sheet
from training.images.sources import open_pictures
from training.images.train import build_denoiser, denoising_loss
from training.images.words import LONGEST, caption_tokenizer

SECTION = ImagesSection(budget="1K images", sources=[{"world": "small"}], size=32, dim=32, depth=1, heads=2)

SIZE = 32
SLOTTED = ImagesSection(budget="1K images", sources=[{"world": "large"}], size=SIZE, dim=32, depth=1, heads=2, slots=3)
NOWHERE = SIZE**2


def slot_examples() -> Examples:
    return Examples(SLOTTED, [open_pictures(source, SIZE) for source in SLOTTED.sources], 1, 1000, "training")


def examples(name: str = "training", seed: int = 1) -> Examples:
    return Examples(SECTION, [open_pictures(source, 32) for source in SECTION.sources], seed, 100, name)


def test_an_example_is_a_function_of_its_number() -> None:
    one, other = examples()[7], examples()[7]
    assert one["caption"] == other["caption"]
    for name in ("clean", "noise", "time", "weight"):
        assert torch.equal(one[name], other[name])
    assert not torch.equal(one["noise"], examples()[8]["noise"])
    assert not torch.equal(one["noise"], examples(seed=2)[7]["noise"])
    assert not torch.equal(one["noise"], examples("validation")[7]["noise"])


def test_examples_are_in_range_and_some_are_pure_noise_or_without_caption() -> None:
    drawn = [examples()[i] for i in range(100)]
    assert all(example["clean"].min() >= -1 and example["clean"].max() <= 1 for example in drawn)
    assert all(set(example["weight"].unique().tolist()) <= {1.0, 3.0} for example in drawn)
    pure = [example["time"].item() == 1 for example in drawn]
    assert 10 <= sum(pure) <= 40
    assert sum(pure[:50]) > sum(pure[50:])
    assert not any(pure[-3:])  # it falls to nothing
    assert 2 <= sum(example["caption"] == "" for example in drawn) <= 25


def test_captions_of_the_world_are_whole_words_and_others_are_spelt() -> None:
    small = world("small")
    tokenizer = caption_tokenizer(open_pictures(SECTION.sources[0], 32).words)
    rng = random.Random(0)
    for _ in range(300):
        text = caption(small.scene(rng), rng, held_out_wording=rng.random() < 0.5)
        assert not any(piece.startswith("##") for piece in tokenizer.encode(text).tokens), text
    assert tokenizer.encode("A Sks, naïvely").tokens[:12] == [
        *("[START]", "a", "s", "##k", "##s", ",", "n", "##a", "##i", "##v", "##e", "##l")
    ]
    assert len(tokenizer.encode("word " * 500).ids) == LONGEST


def test_the_model_draws_with_its_palette_and_learns_a_batch_by_heart() -> None:
    torch.manual_seed(0)
    batch = Collate(caption_tokenizer(open_pictures(SECTION.sources[0], 32).words))([examples()[i] for i in range(8)])
    model = build_denoiser(SECTION, int(batch["ids"].max()) + 1)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = denoising_loss(model, batch, SECTION.model_copy(update={"time_power": 2}))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    unchanged = [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]
    assert unchanged == []


def test_slots_are_told_where_the_things_of_a_caption_stand_and_what_they_cover() -> None:
    seen = set()
    for i in range(200):
        example = slot_examples()[i]
        places, covered = example["places"].tolist(), example["covered"]
        if not example["caption"]:
            assert places == 3 * [UNKNOWN]
            continue
        for place, share in zip(places, covered, strict=True):
            assert (place == NOWHERE) == (share.sum() == 0)
            if place != NOWHERE:
                rows, columns = np.nonzero(share.numpy())
                assert abs((columns.min() + columns.max() + 1) / 2 - place % SIZE) <= 2
                assert abs((rows.min() + rows.max() + 1) / 2 - place // SIZE) <= 2
        seen.add(places.count(NOWHERE))
    assert seen == {0, 1, 2}


def test_things_that_a_caption_only_counts_are_told_from_left_to_right_and_others_in_its_order() -> None:
    rng, pictures = random.Random(0), open_pictures(SLOTTED.sources[0], SIZE)
    for _ in range(100):
        counted = world("large").scene(rng, "counted")
        columns = [column for column, _, _ in pictures._each(counted)]
        assert columns == sorted(columns)
        three = world("large").scene(rng, "three")
        assert [each[0] for each in pictures._each(three)] == [round(thing.x * SIZE) for thing in three.things]


def test_a_model_with_slots_learns_a_batch_by_heart_also_where_nothing_is_known() -> None:
    torch.manual_seed(0)
    tokenizer = caption_tokenizer(open_pictures(SLOTTED.sources[0], SIZE).words)
    batch = Collate(tokenizer)([slot_examples()[i] for i in range(8)])
    model = build_denoiser(SLOTTED, tokenizer.get_vocab_size())
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = denoising_loss(model, batch, SLOTTED)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert not [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]
    nothing = batch | {"places": torch.full_like(batch["places"], UNKNOWN), "covered": 0 * batch["covered"]}
    assert denoising_loss(model, nothing, SLOTTED).isfinite()


def test_slots_take_no_files() -> None:
    with pytest.raises(ValueError, match="leave them out"):
        ImagesSection(budget="1K images", sources=[{"name": "photos"}], slots=2)


def test_the_average_follows_and_is_put_back(tmp_path: Path) -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = Average(model, 0.9)
    nn.init.ones_(model.weight)
    expected = 0.0
    for step in range(1, 200):
        average.update(step)
        expected += (1 - min(0.9, (1 + step) / (10 + step))) * (1 - expected)
    with average.in_place():
        assert model.weight.item() == np.float32(expected) or abs(model.weight.item() - expected) < 1e-5
    assert model.weight.item() == 1
    average.save(tmp_path)
    other = Average(nn.Linear(1, 1, bias=False), 0.9)
    other.load(tmp_path)
    assert torch.equal(other.kept[0], average.kept[0])


def test_a_sheet_has_a_place_for_every_picture_and_a_curve_takes_any_losses() -> None:
    pictures = [PIL.Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue", "red", "green", "blue")]
    sheet = np.asarray(sample_sheet([*pictures, pictures[0]], ["a caption"] * 7))
    reds = (sheet == (255, 0, 0)).all(2).sum()
    assert reds >= 3 * 140**2
    curve = np.asarray(loss_curve({"training": [(10, 1.0), (20, 0.1)], "at 1": [(20, 0.0)], "at 0.5": []}))
    assert (curve != 255).any()
    assert loss_curve({}).size == loss_curve({"training": [(10, 1.0)]}).size
