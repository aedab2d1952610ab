"""The images suite: good pictures look good, and wrong, noisy, empty, missing and repeated ones never do."""

import base64
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from eval.compare import compare
from eval.data import Inputs
from eval.drawn import keep_picture, pixels
from eval.measure import Measurement, measure
from eval.pictures.draw import draw
from eval.pictures.world import world
from eval.replies import NoAnswer
from eval.report.write import write_report
from eval.result import read_result
from eval.run import plan
from eval.scores import images
from eval.scores.images import scene_of
from eval.suites.images import SUITE
from eval.tasks.image_captions import CAPTIONED
from eval.tasks.image_samples import HELD_OUT as HELD_OUT_SIZE
from eval.tasks.image_samples import known_scenes
from eval.tasks.image_scenes import HELD_OUT, KNOWN, PARTS
from eval.tasks.image_series import SEEDS, SINGLES, VARIETY
from serving.errors import UserError
from tests.unit.eval.almanac_runs import invoke
from tests.unit.eval.image_runs import PX, constant, noise, painted, recoloured, right, values
from tests.unit.eval.picture_server import PictureServer, encoded

AS_TRAINED = replace(KNOWN, variants=())
RIGHT = "scenes.everything_right"


@pytest.fixture(autouse=True)
def no_waits(short_waits):
    """Failed requests are sent again at once."""


def test_right_pictures_are_right_in_every_figure(tmp_path):
    result, _ = painted((AS_TRAINED,), right, tmp_path)
    found = values(result)
    assert len(result.records) == 100
    assert found[RIGHT] == found["scenes.retrieval"] == 1
    assert all(found[f"scenes.{score.name}"] == 1 for score in PARTS)
    assert {key for key in found if key.startswith(f"{RIGHT}.kind.")} == {
        f"{RIGHT}.kind.{kind}" for kind in ("single", "placed", "two")
    }
    assert result.records[0].scores["shown"].endswith(f"on {result.records[0].sample['scene']['background']}")


def test_wrong_colours_are_seen_and_what_is_right_beside_them(tmp_path):
    found = values(painted((AS_TRAINED,), recoloured, tmp_path)[0])
    assert found[RIGHT] == 0
    assert found["scenes.colours_right"] < 0.05
    assert all(found[f"scenes.{name}_right"] > 0.95 for name in ("background", "count", "kinds", "place", "size"))


def test_pictures_of_other_captions_are_not_retrieved(tmp_path):
    scenes = [scene_of(sample) for sample in known_scenes(Inputs())]
    following = dict(zip(scenes, [*scenes[1:], scenes[0]], strict=True))
    found = values(painted((AS_TRAINED,), lambda scene, seed, variant: right(following[scene], seed), tmp_path)[0])
    assert found[RIGHT] == found["scenes.retrieval"] == 0


def test_noise_is_wrong_everywhere(tmp_path):
    found = values(painted((AS_TRAINED, replace(VARIETY, repeats=4)), noise, tmp_path)[0])
    assert found[RIGHT] == 0
    assert found["scenes.kinds_right"] < 0.1
    assert found["scenes.retrieval"] < 0.1
    assert found["variety.everything_right"] == 0
    assert found["variety.diversity"] is None
    assert found["variety.distinct"] is None


def no_picture(scene, seed, variant):
    return b"no picture"


@pytest.mark.parametrize("paint", [constant, no_picture])
def test_what_shows_nothing_measures_nothing(tmp_path, paint):
    result, _ = painted((AS_TRAINED, SINGLES, VARIETY), paint, tmp_path, limit=12)
    assert not result.errors
    found = {key: value for key, value in values(result).items() if value is not None}
    assert found == {"variety.pictures_per_s.4_in_flight": 0}
    assert result.figures[RIGHT].unparsed == 12
    assert "no answer could be read" in result.figures[RIGHT].why_not
    assert result.figures["singles.picture_s.1_in_flight.median"].unparsed == 12


def test_half_of_the_pictures_unreadable_are_half_wrong(tmp_path):
    def every_other(scene, seed, variant):
        return constant(scene, seed) if seed % 2 else right(scene, seed)

    result, _ = painted((AS_TRAINED,), every_other, tmp_path)
    assert values(result)[RIGHT] == values(result)["scenes.retrieval"] == 0.5
    assert result.figures[RIGHT].unparsed == 50


@pytest.mark.parametrize("answer", [500, 400, {"data": []}, {"data": [{"url": "http://x/y.png"}]}, {"error": "x"}])
def test_missing_pictures_are_errors(tmp_path, answer):
    result, _ = painted((AS_TRAINED,), lambda scene, seed, variant: answer, tmp_path, limit=20)
    assert len(result.errors) == 20
    assert result.figures[RIGHT].errors == 20
    assert all(value is None for value in values(result).values())


def test_a_server_without_pictures_is_one_sentence(serve_table, tmp_path):
    with pytest.raises(UserError, match="refuses every request"):
        measure(Measurement(None, ["images"], base_url=serve_table({}).base_url, out=tmp_path, limit=3))


def test_parameters_that_a_server_does_not_know_are_left_out(tmp_path):
    result, server = painted(
        (AS_TRAINED,), right, tmp_path, limit=20, concurrency=2, refuses=("response_format", "seed", "output_format")
    )
    assert values(result)[RIGHT] == 1
    assert set(server.log[-1]) == {"model", "prompt", "n", "size"}
    assert len(server.log) < 20 + 3 * 2 + 1


@pytest.mark.parametrize("deaf", ["wording", "synonyms"])
def test_other_words_are_compared_scene_by_scene(tmp_path, deaf):
    def paint(scene, seed, variant):
        return (recoloured if variant == deaf else right)(scene, seed)

    found = values(painted((KNOWN,), paint, tmp_path, limit=30)[0])
    assert found[RIGHT] == 1
    assert found["scenes.retrieval"] is None
    assert {name: found[f"{RIGHT}.drop.{name}"] for name in ("wording", "synonyms")} == {
        "wording": deaf == "wording",
        "synonyms": deaf == "synonyms",
    }


def test_a_loss_is_no_matter_where_nothing_is_right(tmp_path):
    found = values(painted((KNOWN,), recoloured, tmp_path, limit=30)[0])
    assert found[f"{RIGHT}.drop.wording"] is None


def test_held_out_pairs_are_counted_apart(tmp_path):
    held_out = set(world("small").held_out)

    def paint(scene, seed, variant):
        first = scene.things[0]
        return (recoloured if (first.colour, first.kind) in held_out else right)(scene, seed)

    result, _ = painted((AS_TRAINED, HELD_OUT), paint, tmp_path)
    assert (values(result)[RIGHT], values(result)["held_out.everything_right"]) == (1, 0)
    worst = [key for key in result.figures if key.startswith("held_out.everything_right.pair.")]
    assert len(worst) == 5
    assert result.figures[worst[0]].example in {record.sample["caption"] for record in result.records}


def test_a_bad_outline_is_found_by_its_kind(tmp_path):
    def hearts_as_boxes(scene, seed, variant):
        (thing,) = scene.things
        box = replace(scene, things=(replace(thing, kind="square"),))
        return draw(box, PX) if thing.kind == "heart" else right(scene, seed)

    result, server = painted((SINGLES,), hearts_as_boxes, tmp_path)
    found = values(result)
    assert found["singles.outline_iou.kind.heart"] < 0.8
    assert all(found[f"singles.outline_iou.kind.{kind}"] > 0.95 for kind in world("small").kinds if kind != "heart")
    assert server.most_in_flight == 1
    assert found["singles.picture_s.1_in_flight.p95"] >= found["singles.picture_s.1_in_flight.median"] > 0.001


def test_drawn_scenes_are_as_varied_as_drawn_scenes(tmp_path):
    result, server = painted((VARIETY,), right, tmp_path)
    found = values(result)
    assert len(result.records) == SEEDS * 16
    assert found["variety.diversity"] == pytest.approx(1, abs=0.01)
    assert found["variety.pictures_per_s.4_in_flight"] > 1
    assert server.most_in_flight == 4


def test_a_passed_over_seed_is_no_variety(tmp_path):
    found = values(painted((VARIETY,), lambda scene, seed, variant: right(scene, 0), tmp_path)[0])
    assert found["variety.everything_right"] == 1
    assert found["variety.diversity"] == 0
    assert found["variety.distinct"] == pytest.approx(1 / SEEDS)


def test_wrong_pictures_add_no_variety(tmp_path):
    """Half of the pictures of a caption are one right picture, the others noise."""

    def paint(scene, seed, variant):
        return noise(scene, seed) if seed % 2 else right(scene, 0)

    found = values(painted((VARIETY,), paint, tmp_path)[0])
    assert found["variety.everything_right"] == 0.5
    assert found["variety.diversity"] == 0


def test_two_runs_are_compared_and_gated(tmp_path):
    good, bad = (
        (painted((AS_TRAINED,), paint, tmp_path / paint.__name__, limit=40)[0]) for paint in (right, recoloured)
    )
    changes = {change.key: change.outcome for change in compare(good, bad)}
    assert changes[RIGHT] == changes["scenes.colours_right"] == "worse"
    assert changes["scenes.count_right"] == "none"
    (tmp_path / "rules.yaml").write_text(f"rules:\n  - {RIGHT} >= 0.8\n  - {RIGHT} >= baseline - 0.2\n")
    gate = ("gate", tmp_path / "rules.yaml")
    assert invoke(*gate, good.folder, "--baseline", good.folder).exit_code == 0
    assert invoke(*gate, bad.folder, "--baseline", good.folder).exit_code == 1


def test_a_run_is_resumed_and_may_be_moved(tmp_path):
    before, _ = painted((AS_TRAINED,), right, tmp_path / "run", limit=20)
    lines = (tmp_path / "run" / "records.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "records.jsonl").write_text("".join(lines[:15]))
    again, server = painted((AS_TRAINED,), right, tmp_path / "run", limit=20)
    assert len(server.log) == 5
    assert values(again) == values(before)
    fields = json.loads(lines[0])["reply"]
    assert fields["kind"] == "drawn"
    assert (tmp_path / "run" / "pictures" / fields["file"]).is_file()
    shutil.move(tmp_path / "run", tmp_path / "moved")
    assert values(read_result(tmp_path / "moved")) == values(before)


def test_a_lost_picture_is_an_error_and_not_a_wrong_one(tmp_path):
    result, _ = painted((AS_TRAINED,), right, tmp_path, limit=20)
    result.records[0].reply.file.unlink()
    pixels.cache_clear()
    images.view_of.cache_clear()
    again = read_result(tmp_path)
    assert len(again.errors) == 1
    assert values(again)[RIGHT] == 1


def test_a_report_shows_the_pictures_in_one_file(tmp_path):
    def paint(scene, seed, variant):
        return b"no picture" if seed == 0 else right(scene, seed)

    result, _ = painted((AS_TRAINED,), paint, tmp_path, limit=20)
    page = write_report(tmp_path, baseline=tmp_path).read_text()
    data = json.loads(page.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    assert all(picture.startswith("data:image/png;base64,") for picture in data["pictures"])
    shown = [sample for sample in data["samples"] if "i" in sample]
    assert len(shown) == len(result.records) - result.figures[RIGHT].unparsed
    assert {sample["i"] for sample in shown} == {sample["j"] for sample in shown} == set(range(len(data["pictures"])))
    assert "img-src data:;" in page
    assert len(page) < 400_000


def test_the_worst_pictures_stand_side_by_side_with_what_was_seen_on_them(tmp_path):
    def paint(scene, seed, variant):
        return (recoloured if variant == "wording" else right)(scene, seed)

    result, _ = painted((KNOWN,), paint, tmp_path, limit=6)
    page = write_report(tmp_path).read_text()
    worst = page.split('<div class="worst">')[1].split("</article>")[0]
    first = next(record for record in result.records if record.variant == "")
    assert worst.count('<img src="data:image/png;base64,') == 2  # original and synonyms look the same
    assert any(record.sample["caption"] in worst for record in result.records if not record.variant)
    assert first.scores["shown"] in page


@pytest.fixture
def real_pictures(tmp_path):
    """A folder of 110 captioned pictures of many things."""
    folder, rng = tmp_path / "captioned", np.random.default_rng(0)
    folder.mkdir()
    lines = []
    for number in range(110):
        blocks = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        (folder / f"{number}.png").write_bytes(encoded(blocks.repeat(12, 0).repeat(12, 1)))
        lines.append(json.dumps({"file": f"{number}.png", "caption": f"pattern {number}"}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def of_captions(folder, paint, out):
    """What becomes of `captioned.nearest` when `paint(file)` answers a caption."""
    files = {row["caption"]: folder / row["file"] for row in map(json.loads, (folder / "captions.jsonl").open())}
    with PictureServer(lambda prompt, seed: paint(files[prompt])) as server:
        found = measure(Measurement(None, ["images"], base_url=server.base_url, out=out, pictures=str(folder)))
    assert set(found.identity["skipped"]) == {"scenes", "held_out", "singles", "variety"}
    return found.figures["captioned.nearest"]


def test_captions_of_real_pictures_find_them(real_pictures, tmp_path):
    def memorised(file):
        return file.read_bytes()

    def another(file):
        return (file.parent / f"{(int(file.stem) + 1) % 110}.png").read_bytes()

    def noisy(file):
        return np.random.default_rng(int(file.stem)).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    def empty(file):
        return constant(None, 0)

    assert of_captions(real_pictures, memorised, tmp_path / "1").estimate.value == 1
    assert of_captions(real_pictures, another, tmp_path / "2").estimate.value == 0
    assert of_captions(real_pictures, noisy, tmp_path / "3").estimate.value < 0.1
    assert of_captions(real_pictures, empty, tmp_path / "4").estimate.value == 0


def test_the_lineage_says_what_to_ask_for(tmp_path):
    def scenes_asked(**where):
        return {case.sample["scene"]["world"] for case in plan(SUITE, Inputs(**where), limit=5).cases}

    lineage = {"stage": "images", "sources": [{"name": "large world", "rows": 0, "sha256": ""}]}
    (tmp_path / "lineage.json").write_text(json.dumps(lineage))
    assert scenes_asked() == {"small"}
    assert scenes_asked(folder=tmp_path) == {"large"}
    assert scenes_asked(folder=tmp_path, pictures="small") == {"small"}
    with pytest.raises(UserError, match="nothing to ask"):
        scenes_asked(pictures="no-such-set")


def test_every_scene_is_asked_for_once_and_in_equal_parts():
    samples = known_scenes(Inputs(pictures="large"))
    kinds = [sample["kind"] for sample in samples]
    assert [kinds.count(kind) for kind in world("large").scene_kinds] == [20] * 5
    assert len({sample["caption"] for sample in samples}) == len(samples) == 100
    assert scene_of(json.loads(json.dumps(samples[3]))) == scene_of(samples[3])
    assert len(HELD_OUT.data(Inputs())) == HELD_OUT_SIZE
    assert CAPTIONED.name == "captioned"


def test_one_model_is_not_asked_for_words_and_pictures(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match="words and for pictures"):
        measure(Measurement(str(tmp_path / "model"), ["images", "speed"], out=tmp_path / "run", limit=1))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"data": [{"b64_json": "!"}]}', b'{"data": [{"b64_json": null}]}', b'{"data": null}']
)
def test_an_answer_of_another_shape_is_no_picture(content, tmp_path):
    with pytest.raises(NoAnswer, match="no picture"):
        keep_picture(content, 0.1, tmp_path)


@pytest.mark.parametrize(
    ("data", "suffix", "side"),
    [
        (encoded(np.arange(48 * 48 * 3, dtype=np.uint8).reshape(48, 48, 3)), ".png", 48),
        (encoded(np.arange(90 * 30 * 3, dtype=np.uint8).reshape(90, 30, 3), "jpeg"), ".jpg", 64),
    ],
)
def test_pictures_are_kept_as_they_came_and_analysed_at_a_fit_size(data, suffix, side, tmp_path):
    content = json.dumps({"data": [{"b64_json": base64.b64encode(data).decode()}]}).encode()
    reply = keep_picture(content, 0.1, tmp_path / "pictures")
    assert reply.file.suffix == suffix
    assert reply.file.read_bytes() == data
    assert pixels(reply.file).shape == (side, side, 3)
