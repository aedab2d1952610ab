"""The simulated user presses what it likes on a real server, and what it wins is counted as it says."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from assistant.feedback_commands import read_rows
from assistant.feedback_export import Choice
from benchmarks.simulated_user import SAMPLED, Page, Thumb, compared, likes, press_thumbs, small_talk, with_length
from tests.page_server import page_server


def test_it_likes_kind_words_and_not_their_letters():
    assert likes("I am sorry to hear that.")
    assert likes("You're WELCOME!")
    assert not likes("The kindergarten is hopeless.")


def test_what_is_asked_in_the_end_shares_no_frame_and_no_thing_with_the_rounds():
    asked, unseen = small_talk()
    assert min(len(asked), len(unseen)) >= 96
    assert not set(asked) & set(unseen)
    seen_words = {word for question in asked for word in ("chess", "crossword puzzles") if word in question}
    assert seen_words == {"chess"}
    assert not any("chess" in question for question in unseen)
    assert len(set(asked + unseen)) == len(asked + unseen)


def test_a_tie_is_half_a_win_and_p_is_of_the_sign_test():
    wins = compared([False] * 10 + [True] * 2, [True] * 8 + [False] * 2 + [True, False])
    assert wins.rate.value == pytest.approx((8 + 3 / 2) / 12)
    assert wins.rate.low < wins.rate.value < wins.rate.high
    assert wins.p == pytest.approx(20 / 512)  # 8 won and 1 lost: 2 * (1 + 9) / 2^9
    assert (wins.before, wins.after) == (pytest.approx(2 / 12), pytest.approx(9 / 12))


def test_models_that_are_liked_alike_win_nothing():
    wins = compared([True, False], [True, False])
    assert (wins.rate.value, wins.p) == (0.5, 1.0)


def test_a_taste_for_long_answers_would_be_seen():
    assert with_length([Thumb(True, 90), Thumb(True, 80), Thumb(False, 10), Thumb(False, 20)]) > 0.8
    assert abs(with_length([Thumb(True, 90), Thumb(True, 10), Thumb(False, 80), Thumb(False, 20)])) < 0.5


def test_thumbs_are_pressed_on_the_answers_they_are_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))

    async def press(url: str) -> list[Thumb]:
        async with httpx.AsyncClient(base_url=url, headers={"X-Homegrown": "1"}, timeout=60) as http:
            return await press_thumbs(Page(http), ["Thank you", "Say it"], 3, 0)

    with page_server() as server:
        thumbs = asyncio.run(press(server.url))
        sampled = [(body["temperature"], body["seed"]) for body in server.model.asked]
    assert sorted(thumb.liked for thumb in thumbs) == [False] * 3 + [True] * 3
    assert sorted(sampled) == [(SAMPLED["temperature"], seed) for seed in range(6)]
    rows = asyncio.run(read_rows(["kto"], Choice(only_consented=True)))["kto"]
    pressed = {(json.dumps(row["prompt"]), row["label"]) for row in rows}
    assert [(likes(prompt), label) for prompt, label in sorted(pressed)] == [(False, False), (True, True)]
