"""Zstandard streams that notice when they are cut short (the zstandard package's own reader ends quietly)."""

import io
from typing import BinaryIO

CHUNK_BYTES = 1 << 16


class ZstdReader(io.RawIOBase):
    """The decompressed bytes of `stream`, frame after frame; a last frame that is cut short raises `EOFError`."""

    def __init__(self, stream: BinaryIO) -> None:
        import zstandard

        self._stream = stream
        self._new_frame = zstandard.ZstdDecompressor().decompressobj
        self._frame = None
        self._compressed = b""
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self._ready and self._fill():
            pass
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _fill(self) -> bool:
        """Decompress one more chunk into `_ready`; False at the end of the file."""
        import zstandard

        chunk = self._compressed or self._stream.read(CHUNK_BYTES)
        self._compressed = b""
        if not chunk:
            if self._frame is not None:
                raise EOFError("compressed file ended before the end of its last frame")
            return False
        self._frame = self._frame or self._new_frame()
        try:
            self._ready = self._frame.decompress(chunk)
        except zstandard.ZstdError as error:
            raise EOFError(str(error)) from None
        if self._frame.eof:
            self._compressed, self._frame = self._frame.unused_data, None
        return True
