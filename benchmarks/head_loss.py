"""The head and its loss, forward and backward, eager against compiled: medians and their ratio.

python -m benchmarks.head_loss [--positions 2048] [--vocabulary 4096] [--hidden 128] [--repeats 15]
"""

import argparse
import statistics
import time

import torch

from training.model import summed_loss


def milliseconds(loss, head: torch.nn.Linear, hidden: torch.Tensor, targets: torch.Tensor, repeats: int) -> float:
    """The median over `repeats`, after three that do not count."""
    taken = []
    for _ in range(3 + repeats):
        head.zero_grad()
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            total = loss(head, hidden, targets)
        total.backward()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[3:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("positions", 2048), ("vocabulary", 4096), ("hidden", 128), ("repeats", 15)):
        parser.add_argument(f"--{name}", type=int, default=default)
    sizes = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    head = torch.nn.Linear(sizes.hidden, sizes.vocabulary, bias=False)
    hidden = torch.randn(sizes.positions, sizes.hidden, requires_grad=True)
    targets = torch.randint(0, sizes.vocabulary, (sizes.positions,))
    eager, compiled = (
        milliseconds(loss, head, hidden, targets, sizes.repeats)
        for loss in (summed_loss, torch.compile(summed_loss, dynamic=True))
    )
    print(f"eager {eager:.1f} ms  compiled {compiled:.1f} ms  ratio {eager / compiled:.2f}")


if __name__ == "__main__":
    main()
