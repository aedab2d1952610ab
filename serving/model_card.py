"""The README.md of a model folder, written from its lineage."""

from serving.model_folder import Lineage

CHAT = ("library_name: transformers\npipeline_tag: text-generation", "homegrown serve {name}")
OTHERS = {
    "embedder": (
        "library_name: sentence-transformers\npipeline_tag: sentence-similarity",
        "HOMEGROWN_EMBEDDER={name} homegrown eval run",
    ),
    "images": (
        "library_name: diffusers\npipeline_tag: text-to-image",
        'homegrown image draw "a red star on a blue background" -o star.png --model {name}',
    ),
}
ADAPTER = (
    "library_name: peft\npipeline_tag: text-generation",
    "homegrown serve {base}   # and ask the model {name}, which is served beside it",
)


def model_card(name: str, lineage: Lineage, adapter: bool = False) -> str:
    """Markdown with the front matter that the Hugging Face hub reads; `adapter`: of one that was not merged."""
    task, use = ADAPTER if adapter else OTHERS.get(lineage.stage, CHAT)
    sections = [
        f"---\n{task}\ntags: [homegrown]\n---",
        f"# {name}",
        f"Grown with Homegrown; the last stage was **{lineage.stage}**. `lineage.json` says the same for programs.",
        *([f"A LoRA adapter of {lineage.parent}, not a whole model."] if adapter else []),
        _table(("", ""), _facts(lineage)),
    ]
    if lineage.metrics:
        sections += ["## Measured at the end of training", _table(("measure", "value"), _metrics(lineage))]
    if lineage.sources:
        sections += ["## Trained on", _table(("source", "licence", "rows", "SHA-256"), _sources(lineage))]
    sections += ["## Use it", f"```\n{use.format(name=name, base=lineage.parent)}\n```"]
    return "\n\n".join(sections) + "\n"


def _facts(lineage: Lineage) -> list[tuple[str, str]]:
    parent = "none, grown from nothing"
    if lineage.parent:
        parent = f"{lineage.parent} (`{(lineage.parent_sha256 or 'unknown')[:16]}`)"
    facts = [
        ("recipe", lineage.recipe or "none"),
        ("parent", parent),
        ("seed", str(lineage.seed)),
        ("pictures", f"{lineage.pictures:,}") if lineage.pictures else ("tokens", f"{lineage.tokens:,}"),
        ("training time", f"{lineage.seconds:.0f} s"),
        ("created", lineage.created),
    ]
    versions = ", ".join(f"{package} {version}" for package, version in sorted(lineage.versions.items()))
    return [*facts, ("versions", versions)] if versions else facts


def _sources(lineage: Lineage) -> list[tuple[str, str, str, str]]:
    return [
        (source.name, source.licence or "unknown", f"{source.rows:,}", f"`{source.sha256[:16]}`")
        for source in lineage.sources
    ]


def _metrics(lineage: Lineage) -> list[tuple[str, str]]:
    return [(measure, f"{value:.4g}") for measure, value in sorted(lineage.metrics.items())]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(map(_cell, line)) + " |" for line in (head, ("---",) * len(head), *rows)]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
