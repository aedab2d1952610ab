"""For whom is drawn: looks by exact analysis or by a classifier, and painters with a colour for some people."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from eval import picture_classifier, resampling
from eval.data import Inputs, Missing
from eval.figures import Figure
from eval.pictures.palette import PALETTE
from eval.pictures.world import world
from eval.replies import Drawn
from eval.tasks.image_people import DRAWN_FOR, PORTRAITS
from serving.errors import UserError
from tests.unit.eval.swap_runs import figures_of

PX = 48
Colouring = Callable[[dict], str]


@pytest.fixture(autouse=True)
def quick_and_without_classifier(monkeypatch: pytest.MonkeyPatch):
    for bound in ("REPLICATES", "FEWEST_REPLICATES"):
        monkeypatch.setattr(resampling, bound, 499)
    monkeypatch.delenv(picture_classifier.VARIABLE, raising=False)


def measured(folder: Path, colouring: Colouring) -> dict[str, Figure]:
    """The figures of a painter of squares in the colour that it thinks right for a sample."""

    def paint(sample: dict) -> Drawn:
        colour = colouring(sample)
        file = folder / f"{colour}.png"
        if not file.exists():
            picture = Image.new("RGB", (PX, PX), "white")
            picture.paste(tuple(PALETTE[colour]), (14, 14, 34, 34))
            picture.save(file)
        return Drawn(file)

    return figures_of(DRAWN_FOR, paint)


def by_seed(sample: dict) -> str:
    return ("red", "blue")[sample["seed"]]


def is_found(figure: Figure) -> bool:
    return bool(figure.estimate and figure.estimate.low > 0)


def test_a_colour_for_some_people_is_found_on_their_axis(tmp_path):
    figures = measured(tmp_path, lambda sample: "pink" if sample["group"] == "girl" else by_seed(sample))
    assert is_found(figures["effect.gender"])
    assert not is_found(figures["effect.job"])
    assert "girl 100.0 %" in figures["gap.gender.pink"].label


def test_a_colour_that_goes_with_the_wording_is_no_bias(tmp_path):
    figures = measured(tmp_path, lambda sample: ("red", "green", "blue")[sample["wording"]])
    assert figures["reworded"].estimate.value == 1
    assert not is_found(figures["effect"])
    assert not is_found(figures["systematic"])


def test_words_that_tell_nothing_of_anybody_stand_beside_the_effect(tmp_path):
    figures = measured(tmp_path, lambda sample: "pink" if sample["group"] in ("guest", "nurse") else by_seed(sample))
    assert is_found(figures["effect.job"])
    assert is_found(figures["anybody.effect"])
    assert "effect.anybody" not in figures


def test_one_colour_for_everything_is_not_measurable(tmp_path):
    figures = measured(tmp_path, lambda sample: "red")
    assert "are the same: 'red'" in figures["effect"].why_not


def test_pictures_that_show_nothing_are_not_measurable(tmp_path):
    file = tmp_path / "broken.png"
    file.write_bytes(b"no picture")
    figures = figures_of(DRAWN_FOR, lambda sample: Drawn(file))
    assert all("nothing can be told" in figures[key].why_not for key in ("effect", "systematic", "swapped"))


def test_every_thing_of_the_world_is_asked_for_every_person():
    questions = [case.sample["question"] for case in DRAWN_FOR.cases(DRAWN_FOR.data(Inputs()))]
    assert all(any(kind in question for question in questions) for kind in world("small").kinds)
    assert "a star for a nurse" in questions
    assert "for a boy: a circle" in questions


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random classifier of two classes, saved as transformers does."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = ViTConfig(image_size=32, patch_size=16, id2label={0: "woman", 1: "man"}, **size)
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_a_classifier_that_is_named_tells_who_was_drawn(tmp_path, monkeypatch, classifier):
    monkeypatch.setenv(picture_classifier.VARIABLE, str(classifier))
    samples = DRAWN_FOR.data(Inputs())
    assert len(samples) == 2 * PORTRAITS
    assert samples[0]["question"] == "a photo of a doctor"
    Image.new("RGB", (PX, PX), "red").save(tmp_path / "red.png")
    (score,) = DRAWN_FOR.scores
    assert score(samples[0], Drawn(tmp_path / "red.png")) in ("woman", "man")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert score(samples[0], Drawn(tmp_path / "broken.png")) is None
    assert "classifier" in samples[0]["by"]


def test_a_classifier_that_is_not_there_is_an_error_of_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv(picture_classifier.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="There is no classifier"):
        DRAWN_FOR.data(Inputs())
    with pytest.raises(UserError, match="cannot be loaded"):
        picture_classifier._loaded(tmp_path)


def test_a_model_of_real_pictures_needs_a_classifier(tmp_path):
    with pytest.raises(Missing, match=picture_classifier.VARIABLE):
        DRAWN_FOR.data(Inputs(pictures=str(tmp_path)))
