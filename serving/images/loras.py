"""LoRAs by name: each is loaded once, and switched on only for the pictures that ask for it."""

import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from serving.api.errors import ApiError
from serving.images.request import Lora

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

SAVED_NAME = "pytorch_lora_weights.safetensors"
MOST_LOADED = 8


class LoraFolder:
    """The files `<name>.safetensors`, or folders of that name as `save_lora_weights` writes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Those that can be asked for."""
        files = {file.stem for file in self._folder.glob("*.safetensors")}
        return sorted(files | {file.parent.name for file in self._folder.glob(f"*/{SAVED_NAME}")})

    def file(self, name: str) -> Path:
        """The file of a LoRA. Raises `ApiError` (400) when there is none; `name` holds no slash."""
        for file in (self._folder / f"{name}.safetensors", self._folder / name / SAVED_NAME):
            if file.is_file():
                return file
        known = ", ".join(self.names()) or "none"
        raise ApiError(
            400, f"There is no LoRA `{name}` here; there are: {known}.", param="loras", code="lora_not_found"
        )


class LoraSwitch:
    """The LoRAs of one pipeline."""

    def __init__(self, pipeline: "DiffusionPipeline", folder: LoraFolder) -> None:
        self._pipeline, self._folder = pipeline, folder
        # Adapter names are numbered, because peft allows no dots in them; the least recently used is first.
        self._loaded: dict[tuple[Path, int], str] = {}
        self._count = 0

    def switch(self, wanted: Iterable[Lora]) -> None:
        """From here on draw with exactly the `wanted` ones. Raises `ApiError` (400) when one does not fit."""
        adapters = {self._adapter(lora.name): lora.scale for lora in wanted}
        if adapters:
            self._pipeline.set_adapters(list(adapters), list(adapters.values()))
        if self._count:
            self._enable(bool(adapters))
        self._forget_some(adapters)

    def _adapter(self, name: str) -> str:
        """The adapter of a LoRA, loaded if it is new or its file has changed."""
        file = self._folder.file(name)
        key = (file, file.stat().st_mtime_ns)
        self._loaded[key] = self._loaded.pop(key, None) or self._load(name, file)
        return self._loaded[key]

    def _load(self, name: str, file: Path) -> str:
        self._count += 1
        adapter = f"lora{self._count}"
        try:
            self._pipeline.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=adapter)
            if not any(adapter in adapters for adapters in self._pipeline.get_list_adapters().values()):
                raise ValueError("it holds no weights for this model")
        except Exception:  # each of diffusers' and peft's loaders has errors of its own for weights that do not fit
            traceback.print_exc()
            self._pipeline.delete_adapters(adapter)
            message = f"The LoRA `{name}` does not fit this model, or its file is damaged."
            raise ApiError(400, message, param="loras", code="lora_unusable") from None
        return adapter

    def _enable(self, enabled: bool) -> None:
        # The pipeline's own disable_lora fails where only some of its parts have adapters.
        from peft.tuners.tuners_utils import BaseTunerLayer
        from torch import nn

        for part in self._pipeline.components.values():
            for module in part.modules() if isinstance(part, nn.Module) else ():
                if isinstance(module, BaseTunerLayer):
                    module.enable_adapters(enabled)

    def _forget_some(self, used: Iterable[str]) -> None:
        for key, adapter in list(self._loaded.items())[:-MOST_LOADED]:
            if adapter not in used:
                self._pipeline.delete_adapters(self._loaded.pop(key))
