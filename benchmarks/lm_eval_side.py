"""What the benchmarks let lm-eval do, run by the interpreter that it is installed for; JSON in on stdin, JSON out.

PYTHON benchmarks/lm_eval_side.py < {"do": "tasks" or "time", ...}
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def run_tasks(model: str, model_args: dict, tasks: dict, batch_size: int) -> dict:
    """lm-eval's own figures of `tasks` and the log-likelihoods of every document's options, by the task's name.

    `tasks`: name -> {"yaml": its fields, "rows": its documents}.
    """
    import lm_eval
    from lm_eval.tasks import TaskManager

    package = Path(lm_eval.__file__).parent / "tasks"
    with tempfile.TemporaryDirectory() as folder:
        for name, task in tasks.items():
            path = Path(folder) / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in task["rows"]))
            fields = {"task": name, "dataset_path": "json", "dataset_name": None, **task["yaml"]}
            fields["dataset_kwargs"] = {"data_files": {task["split"]: str(path)}}
            if "include" in fields:
                fields["include"] = str(package / fields["include"])
            # JSON is YAML.
            (Path(folder) / f"{name}.yaml").write_text(json.dumps(fields))
        found = lm_eval.simple_evaluate(
            model=model,
            model_args=model_args,
            tasks=list(tasks),
            batch_size=batch_size,
            device="cpu",
            task_manager=TaskManager(include_path=folder, include_defaults=False),
            bootstrap_iters=0,
        )
    figures = {name: {key: v for key, v in found["results"][name].items() if isinstance(v, float)} for name in tasks}
    return {"figures": figures, "logprobs": {name: by_document(found["samples"][name]) for name in tasks}}


def by_document(samples: list[dict]) -> list[list[float]]:
    """Log-likelihoods of each document in its place: one an option, or one for the whole text."""
    replies = [sample["resps"] for sample in sorted(samples, key=lambda sample: sample["doc_id"])]
    # Of an option lm-eval keeps whether it is what the model would say as well.
    return [[reply[0] if isinstance(reply, (tuple, list)) else reply for (reply,) in options] for options in replies]


def time_requests(folder: str, pairs: list, batch_sizes: list, rounds: int) -> dict:
    """Batch size -> [seconds, seconds of CPU] of each round of scoring `pairs` with the hf backend; log-likelihoods."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=folder, dtype="float32", device="cpu")
    requests = [Instance("loglikelihood", {}, tuple(pair), number) for number, pair in enumerate(pairs)]
    seconds: dict[int, list[list[float]]] = {size: [] for size in batch_sizes}
    for _ in range(rounds):
        for size in batch_sizes:
            model.batch_size_per_gpu = size
            started, of_cpu = time.perf_counter(), time.process_time()
            logprobs = [logprob for logprob, _ in model.loglikelihood(requests, disable_tqdm=True)]
            seconds[size].append([time.perf_counter() - started, time.process_time() - of_cpu])
    return {"seconds": seconds, "logprobs": logprobs}


if __name__ == "__main__":
    wanted = json.load(sys.stdin)
    result = {"tasks": run_tasks, "time": time_requests}[wanted.pop("do")](**wanted)
    print(json.dumps(result))
