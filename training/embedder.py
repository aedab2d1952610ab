"""The stage `embedder`: a static embedding, grown from nothing, in which texts that mean the same lie close.

A text's vector is the mean over the vectors of its tokens. The two texts of a pair are pulled together and pushed away
from all others of their batch (InfoNCE with in-batch negatives: van den Oord et al. 2018, arXiv:1807.03748). What
comes out is a sentence-transformers folder.
"""

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional

from serving.errors import UserError
from training.checkpoints import write_whole
from training.corpus.pairs import Pair, neighbours, wording_pairs
from training.corpus.sources import SourceReport
from training.job import EmbedderJob, EmbedderResult
from training.mixing import documents_of, mixed
from training.progress import LiveLine
from training.recipe import EmbedderSection

UNKNOWN = "[UNK]"
LONGEST = 64  # tokens of a text that count in training
FEWEST = 100  # pairs
HELD_OUT = 1000  # pairs, or a tenth where there are few
MODULES = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
SETTINGS = {"model_type": "SentenceTransformer", "prompts": {}, "similarity_fn_name": "cosine"}


def main(path: Path) -> None:
    """Grow the embedder that the job at `path` describes."""
    started = time.monotonic()
    job = EmbedderJob.model_validate_json(path.read_text(encoding="utf-8"))
    reports = [SourceReport(name=source.name) for source in job.section.sources]
    with LiveLine() as line:
        line.show("embedder  reading pairs of texts")
        pairs = read_pairs(job.section, job.seed, reports)
        line.show(f"embedder  learning a vocabulary from {len(pairs):,} pairs")
        tokenizer = learn_words([text for pair in pairs for text in pair], job.section.vocabulary)
        held_out = min(HELD_OUT, len(pairs) // 10)
        sides = _sides(tokenizer, pairs[held_out:])
        vectors, loss = train(*sides, tokenizer.get_vocab_size(), job.section, job.seed, line)
    if job.section.smoothing:
        weigh_by_rarity(vectors, torch.cat([side.ids for side in sides]), job.section.smoothing)
    found = share_found(vectors, *_sides(tokenizer, pairs[:held_out]))
    save(tokenizer, vectors.weight.detach(), job.model)
    result = EmbedderResult(
        sources=reports,
        tokens=sum(len(side.ids) for side in sides) * job.section.epochs,
        seconds=time.monotonic() - started,
        metrics={"training_loss": loss, "held_out_pairs_found": found},
    )
    write_whole(job.result, result.model_dump_json())


def read_pairs(section: EmbedderSection, seed: int, reports: list[SourceReport]) -> list[Pair]:
    """As many pairs as the section asks for, or as its sources have, the shares mixed throughout."""
    total = sum(source.weight for source in section.sources)
    streams = [
        (source.weight / total * (1 - section.wordings), _pairs_of(documents_of(source, seed, report, once=True)))
        for source, report in zip(section.sources, reports, strict=True)
    ]
    streams.append((section.wordings, wording_pairs(seed)))
    pairs = list(itertools.islice(mixed(streams, lambda pair: 1), section.pairs))
    if len(pairs) < FEWEST:
        raise UserError(
            f"The sources of embedder have only {len(pairs)} pairs of neighbouring sentences: "
            f"name some with at least {FEWEST}, or leave the section out."
        )
    return pairs


def _pairs_of(documents: Iterator[dict]) -> Iterator[Pair]:
    return (pair for document in documents for pair in neighbours(document))


def learn_words(texts: list[str], vocabulary: int) -> Tokenizer:
    """A WordPiece tokenizer that knows no capitals and no accents."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # The trainer numbers the letters that it finds in an order of chance, unless they are given.
    letters = sorted({c for raw in set().union(*texts) for c in tokenizer.normalizer.normalize_str(raw)} - {" "})
    given = [UNKNOWN, *letters, *(f"##{letter}" for letter in letters)]
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=given, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    learnt = models.WordPiece(tokenizer.get_vocab(), unk_token=UNKNOWN)
    plain = Tokenizer(learnt)  # without the letters as special tokens, which would be cut out of every word
    plain.normalizer, plain.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    return plain


class Texts:
    """Token ids of many texts, end to end; `bags(rows)` are those of some, as `EmbeddingBag` takes them."""

    def __init__(self, tokenizer: Tokenizer, texts: list[str]) -> None:
        ids = [encoding.ids[:LONGEST] for encoding in tokenizer.encode_batch(texts)]
        self.lengths = torch.tensor([len(known) for known in ids])
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.ids = torch.tensor([token for known in ids for token in known])

    def bags(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The ids of these texts end to end, and where each begins."""
        lengths = self.lengths[rows]
        offsets = lengths.cumsum(0) - lengths
        places = torch.arange(int(lengths.sum())) + (self.starts[rows] - offsets).repeat_interleave(lengths)
        return self.ids[places], offsets


def _sides(tokenizer: Tokenizer, pairs: list[Pair]) -> tuple[Texts, Texts]:
    return Texts(tokenizer, [first for first, _ in pairs]), Texts(tokenizer, [second for _, second in pairs])


def train(
    left: Texts, right: Texts, vocabulary: int, section: EmbedderSection, seed: int, line: LiveLine
) -> tuple[nn.EmbeddingBag, float]:
    """The token vectors that tell the pairs of `left` and `right` apart best, and the loss of the last tenth."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(vocabulary, section.dimensions, generator=generator)
    vectors = nn.EmbeddingBag.from_pretrained(start, freeze=False)
    optimizer = torch.optim.Adam(vectors.parameters(), lr=section.learning_rate, fused=True)
    count = len(left.lengths)
    batch = min(section.batch, count)
    steps = section.epochs * (count // batch)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    losses = []
    for step, rows in enumerate(_batches(count, batch, section.epochs, generator)):
        loss = info_nce(vectors(*left.bags(rows)), vectors(*right.bags(rows)), section.temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        line.show(f"embedder  step {step + 1}/{steps}  loss {loss.item():.3f}")
    last = losses[-max(1, steps // 10) :]
    return vectors, sum(last) / len(last)


def weigh_by_rarity(vectors: nn.EmbeddingBag, ids: Tensor, smoothing: float) -> None:
    """Scale each token's vector by a / (a + p), where p is its share of `ids` and a the smoothing.

    The mean over a text is then its smooth inverse frequency embedding (Arora, Liang and Ma 2017, ICLR), without their
    removal of a common component, of which a contrastive loss leaves none.
    """
    share = torch.bincount(ids, minlength=len(vectors.weight)) / len(ids)
    vectors.weight.data *= (smoothing / (smoothing + share)).unsqueeze(1)


def _batches(count: int, batch: int, epochs: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers, newly shuffled in every epoch; what does not fill a batch waits for the next one."""
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        yield from order[: count // batch * batch].split(batch)


def info_nce(left: Tensor, right: Tensor, temperature: float) -> Tensor:
    """How badly each text finds its partner among all texts of the batch on the other side, both ways."""
    cosines = functional.normalize(left) @ functional.normalize(right).T / temperature
    own = torch.arange(len(left))
    return (functional.cross_entropy(cosines, own) + functional.cross_entropy(cosines.T, own)) / 2


def share_found(vectors: nn.EmbeddingBag, left: Texts, right: Texts) -> float:
    """The share of pairs whose second text lies nearest to the first, of all second texts."""
    every = torch.arange(len(left.lengths))
    with torch.no_grad():
        first, second = (functional.normalize(vectors(*side.bags(every))) for side in (left, right))
        return (first @ second.T).argmax(1).eq(every).float().mean().item()


def save(tokenizer: Tokenizer, vectors: Tensor, folder: Path) -> None:
    """Write what `SentenceTransformer(folder)` reads, without its import, which takes as long as the training."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"embedding.weight": vectors.contiguous()}, folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "modules.json").write_text(json.dumps(MODULES, indent=2) + "\n", encoding="utf-8")
    (folder / "config_sentence_transformers.json").write_text(json.dumps(SETTINGS, indent=2) + "\n", encoding="utf-8")
