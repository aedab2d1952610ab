"""What lm-eval does, run by the Python that it is installed for; JSON in on stdin, one line of JSON out on stdout.

{"task", "shots", "limit", "include", "model", "model_args", "chat", "device"} -> {"version", "samples"} or {"error"}
"""

import contextlib
import json
import math
import sys
from pathlib import Path


def evaluate(task, shots, limit, include, model, model_args, chat, device):
    """Every document of the task, or of the tasks of a group, with what was shown, what came and how it was scored."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    found = lm_eval.simple_evaluate(
        model=model,
        model_args=model_args,
        tasks=[task],
        num_fewshot=shots,
        limit=limit,
        device=device,
        batch_size=16 if model == "hf" else 1,
        apply_chat_template=chat,
        task_manager=TaskManager(include_path=include),
        bootstrap_iters=0,
    )
    samples = [
        read(name, sample, found["higher_is_better"].get(name, {}))
        for name, of_task in found["samples"].items()
        for sample in of_task
    ]
    return {"version": lm_eval.__version__, "samples": samples}


def read(name, sample, higher_is_better):
    """One sample in the shape that our side reads; `better` names its metrics and which end of each is good."""
    shown = [argument for request in sample["arguments"] for argument in strings(request)]
    replies = sample["filtered_resps"]
    values = {metric: plain(sample[metric]) for metric in sample["metrics"]}
    return {
        "id": f"{name}/{sample['doc_id']}/{sample['filter']}",
        "task": name,
        "prompt": shown[0] if shown else "",
        "target": str(sample["target"]),
        "answer": json.dumps(plain(replies), ensure_ascii=False),
        "finite": all(math.isfinite(number) for number in numbers(plain(replies))),
        "values": values,
        "better": {metric: better(higher_is_better.get(metric)) for metric in values},
    }


def strings(request):
    """The texts of a request, which lm-eval keeps as a tuple with the options of generation."""
    return [part for part in request if isinstance(part, str)]


def better(higher):
    return "" if higher is None else "high" if higher else "low"


def plain(value):
    """As JSON has it: tuples as lists, numbers of numpy as numbers, whatever else as its text."""
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def numbers(value):
    if isinstance(value, list):
        return [number for part in value for number in numbers(part)]
    return [value] if isinstance(value, float) else []


def main():
    wanted = json.load(sys.stdin)
    try:
        # What it prints is for people, and stands on stderr; stdout has our line alone.
        with contextlib.redirect_stdout(sys.stderr):
            result = evaluate(**wanted)
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    main()
