"""Stages of one assistant in the order in which it was grown."""

import json
import random

from eval.systems.lineage import in_order_of_growth, kept_lineage, stage_of
from serving.model_folder import Lineage
from tests.unit.eval.systems.test_side_by_side import share, system


def grown(name, stage, parent=None, recipe="almanac"):
    result = system(name, share(30))
    result.identity["lineage"] = {"stage": stage, "recipe": recipe, "parent_sha256": parent}
    return result


def names(results):
    return [result.identity["model"] for result in in_order_of_growth(results)]


def test_base_sft_and_aligned_stages_follow_each_other_whatever_the_order_of_their_runs():
    family = [grown("base", "pretrain"), grown("sft", "sft", "base")]
    family += [grown("kto", "kto", "dpo"), grown("dpo", "dpo", "sft")]
    for seed in range(10):
        random.Random(seed).shuffle(family)
        assert names(family) == ["base", "sft", "dpo", "kto"]


def test_a_stage_that_was_not_measured_leaves_the_others_in_order():
    assert names([grown("dpo", "dpo", "sft"), grown("base", "pretrain")]) == ["base", "dpo"]


def test_families_stay_together_and_strangers_where_they_were():
    runs = [
        grown("sft", "sft", "base"),
        system("vendor", share(30)),
        grown("base", "pretrain"),
        grown("tale", "sft", recipe="stories"),
    ]
    assert names(runs) == ["base", "sft", "vendor", "tale"]
    assert [stage_of(run) for run in in_order_of_growth(runs)] == ["pretrain", "sft", "", "sft"]


def test_parents_that_go_round_in_a_circle_lose_nobody():
    runs = [grown("a", "dpo", "b"), grown("b", "dpo", "a"), grown("c", "dpo", "c")]
    assert sorted(names(runs)) == ["a", "b", "c"]


def test_what_run_json_keeps_of_a_folder(tmp_path):
    assert kept_lineage(None) is None
    assert kept_lineage(tmp_path) is None
    (tmp_path / "lineage.json").write_text(Lineage(stage="sft", recipe="almanac", parent_sha256="f").model_dump_json())
    assert kept_lineage(tmp_path) == {"stage": "sft", "recipe": "almanac", "parent_sha256": "f"}
    (tmp_path / "lineage.json").write_text(json.dumps({"made by": "somebody else"}))
    assert kept_lineage(tmp_path) is None
