"""Published figures and what the files of HOMEGROWN_DATA give, in one table.

HOMEGROWN_DATA=... python -m benchmarks.published

"Same" is equality in every digit that was published. No model is asked: each figure is a property of the files.
"""

import argparse

from benchmarks.published import bias, knowledge, similarity
from benchmarks.published.figure import Published
from eval.data import Missing

MODULES = (similarity, knowledge, bias)
HEAD = ("data set", "what", "published", "computed", "same", "source")


def row(figure: Published) -> tuple[str, ...]:
    """The cells of one line of the table."""
    try:
        computed = figure.shown(figure.compute())
    except Missing as missing:
        return figure.dataset, figure.what, figure.published, "-", f"not here: {missing}", figure.source
    same = "yes" if computed == figure.published else "no"
    return figure.dataset, figure.what, figure.published, computed, same, figure.source


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rows = [row(figure) for module in MODULES for figure in module.FIGURES]
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    for cells in (HEAD, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    compared = [same for *_, same, _ in rows if same in ("yes", "no")]
    print(f"\n{compared.count('yes')} of {len(compared)} figures are the same.")


if __name__ == "__main__":
    main()
