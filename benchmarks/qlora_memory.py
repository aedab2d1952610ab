"""The memory of fine-tuning a model whole, by LoRA and by QLoRA: a random model in the shape of Qwen2.5-0.5B.

python benchmarks/qlora_memory.py [--steps 2] [--row 256] [--rows 2] [--methods full lora qlora ...]

Each method is the real stage, from loading the model to saving it, in a process of its own; what it took is the most
that was ever resident (RSS), on a GPU the most that torch had allocated. Needs about 12 GiB and 6 GB of disk.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from training.finetune import main as fine_tune

# huggingface.co/Qwen/Qwen2.5-0.5B, config.json: 494 million parameters.
SHAPE = {
    "vocab_size": 151_936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
    "tie_word_embeddings": True,
}
QLORA = {"quantised": "nf4"}
METHODS = {
    "full": None,
    "lora": {},
    "qlora": QLORA,
    "qlora-embedding": {"rank": 64, "alpha": 128, "embeddings": "adapter"} | QLORA,
    "qlora-whole-embedding": {"rank": 64, "alpha": 128, "embeddings": "whole", "optimizer": "muon"} | QLORA,
}
GIB = 2**30


def write_model(folder: Path) -> None:
    """The model in bfloat16, as the original is published, with the tokenizer of the almanac's letters."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from training.recipe import load_recipe
    from training.tokenizer import train_tokenizer

    recipe = load_recipe("tiny")
    train_tokenizer(recipe.tokenizer, recipe.model.context, recipe.seed, folder)
    torch.set_default_dtype(torch.bfloat16)
    Qwen2ForCausalLM(Qwen2Config(**SHAPE, eos_token_id=2, pad_token_id=0)).save_pretrained(folder)
    torch.set_default_dtype(torch.float32)


def write_job(model: Path, method: str, sizes: argparse.Namespace) -> Path:
    """The job of `sizes.steps` steps, with its data written, in the home."""
    from training.recipe import Recipe
    from training.text_stages import SftStage, trainable_tokenizer

    section = {
        "base": str(model),
        "budget": f"{sizes.steps * sizes.rows * sizes.row} tokens",
        "row": sizes.row,
        "batch_tokens": sizes.rows * sizes.row,
        "validation_tokens": 0,
        "processes": 1,
        "report_to": [],
        "persona": False,
        "lora": METHODS[method],
        "sources": [{"name": "almanac", "kind": "chat"}],
    }
    stage = SftStage(Recipe(name=method, sft=section, model={"saved_as": "bfloat16"}))
    stage.folder.mkdir(parents=True)
    stage.tokenizer = trainable_tokenizer(stage)
    stage.write_data(sizes.steps, "data")
    return stage.job(stage.layout(), sizes.steps, compiled=False).write()


def measure(job: Path) -> int:
    """Run the stage in this process; the bytes that it took at most."""
    fine_tune(job)
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(job: Path) -> dict:
    """What `measure` says in a fresh process, and the seconds that training took."""
    command = [sys.executable, __file__, "--job", str(job)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds = json.loads((job.parent / "result.json").read_text())["seconds"]
    return {"bytes": int(said.split()[-1]), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("steps", 2), ("row", 256), ("rows", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    sizes = parser.parse_args()
    if sizes.job:
        print(f"\n{measure(sizes.job)}")
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOMEGROWN_HOME"] = folder
        model = Path(folder) / "models" / "half-a-billion"
        write_model(model)
        print(f"| method | peak GiB | of {sizes.methods[0]} | seconds for {sizes.steps} steps |\n|---|---|---|---|")
        first = None
        for method in sizes.methods:
            found = measured(write_job(model, method, sizes))
            first = first or found["bytes"]
            share = f"{found['bytes'] / first:.0%}"
            print(f"| {method} | {found['bytes'] / GIB:.2f} | {share} | {found['seconds']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
