"""The log: one JSON object a line, written by a thread of its own. It never holds a secret."""

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue

from serving.errors import UserError

LOGGERS = ("homegrown", "uvicorn.error")
LIMIT_BYTES = 8 * 2**20
KEPT_FILES = 3
REDACTED = "[redacted]"

log = logging.getLogger("homegrown")


class JsonFormatter(logging.Formatter):
    """A record as a line of JSON. `extra={"fields": {...}}` adds its fields; `secrets` are blotted out wherever."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__()
        self._secrets = [json.dumps(secret)[1:-1] for secret in secrets]  # as they look in a line

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **vars(record).get("fields", {}),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        line = json.dumps(told, default=str)
        for secret in self._secrets:
            line = line.replace(secret, REDACTED)
        return line


@contextlib.contextmanager
def logging_to(file: Path | None, secrets: list[str]) -> Iterator[None]:
    """Write the log to `file`, None for standard error, while the block runs.

    The file is replaced when it is full; `KEPT_FILES` older ones are kept. Raises `UserError` when it cannot be
    written.
    """
    queue: SimpleQueue = SimpleQueue()
    # A slow reader of our standard error must not hold up the event loop.
    handler = QueueHandler(queue)
    handler.setFormatter(JsonFormatter(secrets))
    listener = QueueListener(queue, _writer(file))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    log.setLevel(logging.INFO)
    listener.start()
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        listener.stop()


def _writer(file: Path | None) -> logging.Handler:
    if file is None:
        return logging.StreamHandler(sys.stderr)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFileHandler(file, maxBytes=LIMIT_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"The log {file} cannot be written ({reason}): name another with HOMEGROWN_LOG.") from None
