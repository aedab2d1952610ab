"""Where a picture comes from, as far as the file tells: its metadata, its C2PA manifest, and the watermark."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from serving.images import c2pa, watermark
from serving.images.files import UnreadablePictureError, decode, open_picture
from serving.images.provenance import Origin, read_origin

MAX_FILE_BYTES = 64 * 2**20
MARKED_P, LEAST_SHOWN_P = 0.001, 1e-99
SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class Evidence:
    """What is known of one picture. `p` is the watermark's p-value; `size` is in px."""

    file: str
    size: tuple[int, int]
    origin: Origin | None
    manifest: c2pa.Manifest | None
    p: float

    @property
    def marked(self) -> bool:
        """Whether the watermark is in it."""
        return self.p < MARKED_P

    @property
    def generated_here(self) -> bool:
        """Whether the picture says or shows that this program made it."""
        return bool(self.marked or self.origin or (self.manifest and self.manifest.ours))

    def as_dict(self) -> dict:
        """The same for a program."""
        return {
            "file": self.file,
            "generated_here": self.generated_here,
            "origin": self.origin and dataclasses.asdict(self.origin),
            "c2pa": self.manifest and dataclasses.asdict(self.manifest),
            "watermark": {"found": self.marked, "p": self.p},
        }

    def lines(self) -> list[str]:
        """The same in plain words: the verdict, then what each kind of evidence says."""
        said = [
            f"  metadata:  {_about_origin(self.origin)}",
            f"  C2PA:      {_about_manifest(self.manifest)}",
            f"  watermark: {self._about_watermark()}",
        ]
        return [f"{visible(self.file)} {self._verdict()}", *said]

    def _verdict(self) -> str:
        if self.marked:
            return "was generated with Homegrown."
        if self.manifest and self.manifest.ours:
            return f"was generated with Homegrown, as {visible(self.manifest.signer)} has signed."
        if self.origin:
            return "says that it was generated with Homegrown; only its metadata does, which anyone can write."
        return "has no sign of Homegrown, which does not prove that it was not generated."

    def _about_watermark(self) -> str:
        if self.marked:
            p = f"p = {self.p:.0e}" if self.p > LEAST_SHOWN_P else f"p < {LEAST_SHOWN_P:.0e}"
            return f"found, {p} (so rarely does an unmarked picture look as marked)"
        small = "; pictures below 256x256 are not marked" if min(self.size) < watermark.MIN_SIDE else ""
        return f"not found, p = {self.p:.2g}{small}"


def examine(path: Path) -> Evidence:
    """What is known of the picture at `path`. Raises `UnreadablePictureError` when it is none that can be read."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnreadablePictureError(f"it is larger than {MAX_FILE_BYTES // 2**20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadablePictureError((error.strerror or str(error)).lower()) from None
    picture = open_picture(data)
    p = watermark.detect(decode(picture))
    manifest = c2pa.read_manifest(data) if c2pa.installed() else None
    return Evidence(str(path), picture.size, read_origin(data), manifest, p)


def visible(text: str) -> str:
    """`text` on one line, without characters that a terminal would obey."""
    shown = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[: SHOWN_CHARACTERS - 1] + "…"


def _about_origin(origin: Origin | None) -> str:
    if origin is None:
        return "none of ours"
    width, height = origin.native_size
    return visible(origin.software) + (
        f" drew it on {visible(origin.created)} with the model {visible(origin.model)} "
        f"(sha256 {visible(origin.model_sha256[:12])}), seed {origin.seed}, at {width}x{height} px, "
        f'from the words "{visible(origin.prompt)}"'
    )


def _about_manifest(manifest: c2pa.Manifest | None) -> str:
    if manifest is None:
        return "none" if c2pa.installed() else "not looked for (pip install 'homegrown[c2pa]')"
    generated = "generated" if manifest.generated else "not said to be generated"
    states = {
        "Valid": "the signature is sound, but who the signer is was not checked",
        "Trusted": "the signature is sound, and its signer on the trust list",
    }
    state = states.get(manifest.state, "broken: picture or manifest was changed after it was signed")
    return f"{generated}, by {visible(manifest.generator)}, signed by {visible(manifest.signer)}; {state}"
