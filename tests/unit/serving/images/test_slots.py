"""Slots paint an outline where its place is, find the place of what they see, and leave the rest of the model alone."""

from pathlib import Path

import pytest
import torch

from serving.images.model import CaptionEncoder, PixelTransformer
from serving.images.slots import CELLS, Painted, SlotHead, resizing

SIZE, PATCH, DIM = 32, 8, 16
RED, BLUE = (1.0, -1.0, -1.0), (-1.0, -1.0, 1.0)
NOWHERE = SIZE**2
BACKGROUND, OTHER = 0, 1
"""Entries of a state."""


def head_of_red_squares(count: int = 1) -> SlotHead:
    """Every slot has a red square of 2 * 32 / 6 pixels on blue, and no idea where it stands."""
    torch.manual_seed(0)
    head = SlotHead(count, DIM, SIZE)
    for linear in (head.outline, head.colour, head.radius, head.there, head.expected, head.trust):
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    torch.nn.init.constant_(head.outline.bias, 20)
    torch.nn.init.constant_(head.there.bias, 20)
    head.colour.bias.data = torch.tensor(RED)
    head.colour.weight.data[:, BACKGROUND] = torch.tensor(BLUE) - torch.tensor(RED)
    return head


def states(count: int = 1) -> torch.Tensor:
    """Of patches, of slots, and of the background, which alone says something."""
    x = torch.zeros(1, (SIZE // PATCH) ** 2 + count + 1, DIM)
    x[:, -1, BACKGROUND] = 1
    return x


def painted(head: SlotHead, known: list[int] | None, noisy: torch.Tensor | None = None, time: float = 1.0) -> Painted:
    noisy = torch.zeros(1, 3, SIZE, SIZE) if noisy is None else noisy
    return head(states(), noisy, torch.tensor([time]), None if known is None else torch.tensor([known]))


def redness(picture: torch.Tensor) -> torch.Tensor:
    return (picture[0, 0] + 1) / 2


def middle(covered: torch.Tensor) -> tuple[float, float]:
    """Row and column, in pixels from the upper left corner."""
    at = torch.arange(SIZE) + 0.5
    return (covered.sum(1) @ at / covered.sum()).item(), (covered.sum(0) @ at / covered.sum()).item()


def test_a_thing_is_painted_around_its_place() -> None:
    picture, _, share = painted(head_of_red_squares(), [12 * SIZE + 20])
    covered = redness(picture)
    assert torch.allclose(covered, share[0, 0], atol=1e-5)
    assert covered.sum().item() == pytest.approx((SIZE / 3) ** 2, rel=0.01)
    assert middle(covered) == pytest.approx((12, 20), abs=0.01)
    assert covered.max().item() == pytest.approx(1, abs=1e-4)
    assert covered.min().item() == pytest.approx(0, abs=1e-4)


def test_a_thing_that_may_stand_anywhere_is_a_haze_and_one_that_stands_nowhere_is_not_painted() -> None:
    haze = redness(painted(head_of_red_squares(), None).picture)
    assert haze.max() - haze.min() < 1e-4
    assert haze.mean().item() == pytest.approx(1 / 9, rel=0.01)
    assert redness(painted(head_of_red_squares(), [NOWHERE]).picture).abs().max() < 1e-4


def test_a_thing_whose_place_is_not_known_is_as_if_none_were_given() -> None:
    unknown, none = painted(head_of_red_squares(), [-100]), painted(head_of_red_squares(), None)
    assert torch.equal(unknown.picture, none.picture)


def test_a_noisy_picture_shows_where_a_thing_of_that_outline_and_colour_stands() -> None:
    head, time = head_of_red_squares(), 0.6
    clean = painted(head, [20 * SIZE + 9]).picture
    noisy = (1 - time) * clean + time * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    picture, places, _ = painted(head, None, noisy, time)
    assert places.exp().sum().item() == pytest.approx(1, abs=1e-3)
    assert places.argmax().item() == 20 * SIZE + 9
    assert (picture - clean).abs().mean() < 0.02


def test_nothing_is_seen_in_pure_noise() -> None:
    noise = torch.randn((1, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    assert painted(head_of_red_squares(), None, noise, 1.0).places[0, 0, :-1].std() < 1e-4


def test_the_first_thing_is_painted_over_the_others() -> None:
    head = head_of_red_squares(2)
    head.colour.weight.data[1, OTHER] = 2  # yellow instead of red
    x = states(2)
    x[:, -3, OTHER] = 1
    picture = head(x, torch.zeros(1, 3, SIZE, SIZE), torch.ones(1), torch.tensor([[16 * SIZE + 16] * 2])).picture
    assert picture[0, :, 16, 16].tolist() == pytest.approx([1, 1, -1], abs=1e-4)


@pytest.mark.parametrize("radius", [3.0, 7.3, 16.0, 30.0])
def test_resizing_keeps_what_is_even_and_where_the_middle_is(radius: float) -> None:
    resize = resizing(torch.tensor([radius]), 80)
    within = resize.sum(1)
    assert within.max().item() == pytest.approx(1, abs=1e-4)
    assert within.sum().item() == pytest.approx(2 * radius, rel=0.01)
    assert torch.allclose(resize, resize.flip(0, 1), atol=1e-5)
    assert resize.shape == (80, CELLS)


def test_slots_are_saved_and_loaded_and_a_model_without_has_none(tmp_path: Path) -> None:
    torch.manual_seed(0)
    caption = CaptionEncoder(20, dim=32, depth=1, heads=2)(torch.tensor([[1, 5, 6, 0]]))
    noisy, time = torch.randn(1, 3, 32, 32), torch.tensor([0.5])
    model = PixelTransformer(sample_size=32, patch_size=8, dim=32, depth=1, heads=2, slots=2)
    picture, places, covered = model.predict(noisy, time, caption)
    assert picture.shape == (1, 3, 32, 32)
    assert places.shape == (1, 2, 32 * 32 + 1)
    assert covered.shape == (1, 2, 32, 32)
    model.save_pretrained(tmp_path)
    assert torch.allclose(PixelTransformer.from_pretrained(tmp_path)(noisy, time, caption), picture, atol=1e-6)
    plain = PixelTransformer(sample_size=32, patch_size=8, dim=32, depth=1, heads=2)
    assert plain.predict(noisy, time, caption).places is None
    assert not any("queries" in name for name, _ in plain.named_parameters())
