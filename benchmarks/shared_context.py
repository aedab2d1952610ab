"""How fast are 12 continuations of a context scored: in this process against lm-eval's hf backend?

    python benchmarks/shared_context.py --lm-eval PYTHON [--contexts 40] [--rounds 5]
    HOMEGROWN_DATA=FOLDER python benchmarks/shared_context.py --lm-eval PYTHON --bbq

PYTHON is that of an environment with lm-eval 0.4.13. Contexts are 90 random words, or with --bbq questions of BBQ as
our suite and lm-eval ask them. Both score the same requests with the same random model of 20M parameters, in float32 on
this CPU, in turns; lm-eval with the best of several batch sizes. Both take the threads that OMP_NUM_THREADS allows: on
a busy machine two wait for each other, and one is quicker. Prints medians, the ratio in every round, and the largest
difference between the two log-likelihoods of a request.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
Took = tuple[float, float]
"""Seconds, and seconds of CPU, which depend less on what else the machine does."""
BATCH_SIZES = [12, 32]
CONTEXT_TOKENS, CONTINUATIONS = 90, 12
VOCABULARY = 8002
END, PAD = "<|end|>", "<|pad|>"


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lm-eval", required=True, help="a Python with lm-eval 0.4.13")
    parser.add_argument("--contexts", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bbq", action="store_true", help="questions of BBQ instead of random words")
    arguments = parser.parse_args()
    asked = questions(arguments.contexts) if arguments.bbq else requests(arguments.contexts)
    tokenizer = of_pieces(asked) if arguments.bbq else of_words()
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), tokenizer)
        ours, theirs = [], {size: [] for size in BATCH_SIZES}
        for _ in range(arguments.rounds):
            took, logprobs = time_ours(Path(folder), asked)
            ours.append(took)
            other = time_theirs(arguments.lm_eval, folder, asked)
            for size in BATCH_SIZES:
                theirs[size].append(other["seconds"][str(size)][-1])
    differences = [abs(one - two) for one, two in zip(logprobs, other["logprobs"], strict=True)]
    best = min(theirs, key=lambda size: median(of_wall for of_wall, _ in theirs[size]))
    length = fmean(len(tokenizer.encode(context).ids) for context, _ in asked)
    print(f"{len(logprobs)} continuations of {len(asked)} contexts of about {length:.0f} tokens")
    for kind, place in (("seconds", 0), ("seconds of CPU", 1)):
        fast, slow = [took[place] for took in ours], [took[place] for took in theirs[best]]
        ratios = [two / one for one, two in zip(fast, slow, strict=True)]
        print(f"{kind:<16}homegrown {median(fast):7.2f}   lm-eval hf, batch size {best} {median(slow):7.2f}", end="   ")
        print(f"ratio {median(ratios):5.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    print(f"largest difference of a log-likelihood {max(differences):.1e}")


def requests(contexts: int) -> list[tuple[str, list[str]]]:
    """Contexts of single-token words with their continuations, each of two to six tokens."""
    draw = random.Random(0)

    def words(count: int) -> str:
        return " ".join(f"w{draw.randrange(VOCABULARY - 2)}" for _ in range(count))

    return [
        (words(CONTEXT_TOKENS), [f" {words(draw.randint(2, 6))}" for _ in range(CONTINUATIONS)])
        for _ in range(contexts)
    ]


def questions(count: int) -> list[tuple[str, list[str]]]:
    """Questions of BBQ from all categories, each with its twelve options."""
    from eval.data import Inputs
    from eval.task import sampled
    from eval.tasks import bbq

    cases = bbq.LIKELIHOOD.cases(sampled(bbq.questions(Inputs()), count))
    return [(case.request.context, list(case.request.options)) for case in cases]


def of_words() -> "Tokenizer":
    """Its tokens are the words of `requests`."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {END: 0, PAD: 1} | {f"w{number}": number + 2 for number in range(VOCABULARY - 2)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=PAD))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return core


def of_pieces(asked: list[tuple[str, list[str]]]) -> "Tokenizer":
    """Byte pairs of the texts that are asked."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END, PAD], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator((text for context, options in asked for text in (context, *options)), trainer)
    return core


def write_model(folder: Path, tokenizer: "Tokenizer") -> None:
    """A random Qwen3 of 20M parameters."""
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD).save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=384,
        intermediate_size=1152,
        num_hidden_layers=9,
        num_attention_heads=6,
        num_key_value_heads=6,
        head_dim=64,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)


def time_ours(folder: Path, asked: list[tuple[str, list[str]]]) -> tuple[Took, list[float]]:
    """Without the loading, as the other side is timed; and the log-likelihoods."""
    from eval.likelihood.folder import Folder
    from eval.requests import Choose

    scorer = Folder(folder)
    choices = [Choose(context, tuple(options)) for context, options in asked]
    started, of_cpu = time.perf_counter(), time.process_time()
    replies = list(scorer.score_all(choices))
    took = (time.perf_counter() - started, time.process_time() - of_cpu)
    return took, [logprob for reply in replies for logprob in reply.logprobs]


def time_theirs(python: str, folder: str, asked: list[tuple[str, list[str]]]) -> dict:
    """One round of every batch size."""
    pairs = [(context, option) for context, options in asked for option in options]
    wanted = {"do": "time", "folder": folder, "pairs": pairs, "batch_sizes": BATCH_SIZES, "rounds": 1}
    return ask_lm_eval(python, wanted)


def ask_lm_eval(python: str, wanted: dict) -> dict:
    """What benchmarks/lm_eval_side.py answers."""
    command = [python, str(ROOT / "benchmarks" / "lm_eval_side.py")]
    done = subprocess.run(command, input=json.dumps(wanted), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"lm-eval failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
