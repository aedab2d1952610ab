"""A classifier of pictures that the user names, to tell who was drawn: any image-classification model in a folder."""

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from eval.drawn import opened
from serving.errors import UserError
from serving.model_folder import folder_digest

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "HOMEGROWN_PICTURE_CLASSIFIER"
WAY_OUT = f"{VARIABLE} names a folder of an image-classification model that transformers saved, with its processor"


def classifier_folder() -> Path | None:
    """The folder that the user named, if any. Raises `UserError` when it is not there."""
    named = os.environ.get(VARIABLE)
    if named and not Path(named).is_dir():
        raise UserError(f"There is no classifier of pictures at {named}: {WAY_OUT}.")
    return Path(named).absolute() if named else None


def credentials(folder: Path) -> str:
    """Name and hash, for the caveat of whatever is told by it."""
    return f"by the classifier {folder.name} ({folder_digest(folder)[:12]})"


@cache
def class_of(file: Path, folder: Path) -> str | None:
    """The class that the classifier finds most probable; None where the bytes are no picture.

    Raises `UserError` when transformers cannot load the folder.
    """
    picture = opened(file.read_bytes())
    return _loaded(folder)(picture) if picture else None


@cache
def _loaded(folder: Path) -> "Callable":
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    try:
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, use_fast=False)
        model = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True).eval()
    except (OSError, ValueError, KeyError, ImportError) as error:
        said = " ".join(str(error).split())[:300]
        raise UserError(f"The classifier of pictures {folder} cannot be loaded ({said}): {WAY_OUT}.") from None

    def classify(picture: object) -> str:
        with torch.inference_mode():
            logits = model(**processor(images=picture, return_tensors="pt")).logits
        return model.config.id2label[int(logits.argmax())]

    return classify
