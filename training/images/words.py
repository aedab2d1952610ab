"""The tokenizer of an image model: the words of its captions whole, every other word letter by letter.

So a word that no caption holds still has a spelling that a LoRA can be taught to know.
"""

import string
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

PAD, START = "[PAD]", "[START]"
MARKS = ",.!?'\"-:;()&/"
LONGEST = 48  # tokens of a caption; what is longer is cut
MULTIPLE = 24  # to which captions are padded: few lengths, so that little is compiled

NORMALIZER = normalizers.BertNormalizer(strip_accents=True, lowercase=True)


def caption_tokenizer(words: list[str]) -> Tokenizer:
    """WordPiece that knows `words`, letters, digits and marks; `PAD` is 0, and `START` begins every caption."""
    letters = string.ascii_lowercase + string.digits
    pieces = [PAD, START, "[UNK]", *letters, *(f"##{letter}" for letter in letters), *MARKS]
    known = dict.fromkeys([*pieces, *sorted(words)])
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(known)}, unk_token="[UNK]"))
    tokenizer.normalizer = NORMALIZER
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{START} $A", special_tokens=[(START, 1)])
    tokenizer.enable_padding(pad_id=0, pad_token=PAD, pad_to_multiple_of=MULTIPLE)
    tokenizer.enable_truncation(LONGEST)
    return tokenizer


def words_of(caption: str) -> list[str]:
    """The words and marks of a caption, as the tokenizer takes it apart."""
    plain = NORMALIZER.normalize_str(caption)
    return [word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(plain)]


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write what `PreTrainedTokenizerFast.from_pretrained` reads."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, unk_token="[UNK]", model_max_length=LONGEST
    ).save_pretrained(folder)
