import threading

import pytest

from serving.images.jobs import Job, JobQueue, Picture, QueueFullError
from serving.images.request import DrawRequest


def job(prompt: str = "x", n: int = 1, **fields: object) -> Job:
    return Job(DrawRequest(prompt=prompt, n=n, **fields), None, lambda event: None)


def by_steps(picture: Picture) -> object:
    return picture.job.request.steps


def prompts(batch: list[Picture]) -> list[str]:
    return [f"{picture.job.request.prompt}{picture.index}" for picture in batch]


def test_each_picture_of_a_job_has_a_seed_of_its_own() -> None:
    assert [picture.seed for picture in job(n=3, seed=7).pictures()] == [7, 8, 9]
    seeds = {job().seed for _ in range(20)}
    assert len(seeds) > 15
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_pictures_of_one_kind_are_taken_together_and_nobody_is_overtaken_by_his_own_kind() -> None:
    queue = JobQueue(8)
    for given in (job("a", n=2, steps=4), job("b", steps=9), job("c", n=3, steps=4), job("d", steps=9)):
        queue.put(given)
    taken = [prompts(queue.take(4, by_steps)) for _ in range(4)]
    assert taken == [["a0", "a1", "c0", "c1"], ["b0", "d0"], ["c2"], []]


def test_a_full_queue_takes_no_more_until_somebody_was_served() -> None:
    queue = JobQueue(2)
    assert [queue.put(job(n=3)), queue.put(job(n=2))] == [0, 1]
    with pytest.raises(QueueFullError) as full:
        queue.put(job())
    assert full.value.waiting == 5
    queue.take(3, by_steps)
    queue.put(job())


def test_a_cancelled_job_leaves_the_queue() -> None:
    queue = JobQueue(2)
    gone, stays = job("gone", n=2), job("stays")
    queue.put(gone)
    queue.put(stays)
    queue.cancel(gone)
    assert gone.cancelled
    assert prompts(queue.take(8, by_steps)) == ["stays0"]
    assert not stays.cancelled


def test_waiting_ends_when_there_is_something_to_draw() -> None:
    queue = JobQueue(1)
    waiter = threading.Thread(target=queue.wait)
    waiter.start()
    queue.put(job())
    waiter.join(timeout=10)
    assert not waiter.is_alive()
