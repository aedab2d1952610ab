"""What can be set about serving. A flag wins over a `HOMEGROWN_*` variable, that over the default here."""

import json
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from serving.errors import UserError

Settings = TypeVar("Settings", bound=BaseSettings)


class ServingSettings(BaseSettings):
    """Every dial of `homegrown serve`. Field `api_key` is read from `HOMEGROWN_API_KEY`, and so on."""

    model_config = SettingsConfigDict(env_prefix="HOMEGROWN_", env_ignore_empty=True, populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    api_key: SecretStr | None = Field(default=None, description="a key that opens everything, 16 characters or more")
    login_s: int = Field(default=7 * 86400, ge=60, description="how long a login on the page lasts")
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default=[], description="names of this server besides localhost, with commas between them or as a JSON list"
    )
    engine_url: str | None = Field(default=None, description="base URL of a vLLM that runs elsewhere")
    engine_api_key: SecretStr | None = Field(default=None, description="the key that the vLLM elsewhere asks for")
    engine_start_s: float = Field(default=900.0, gt=0, description="how long the engine may take to become ready")
    max_model_len: int | None = Field(default=None, ge=16, description="context in tokens; default: the model's own")
    dtype: Literal["bfloat16", "float16", "float32"] | None = None
    kv_cache_gib: int | None = Field(default=None, ge=1, description="memory for the KV cache on CPUs")
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("HOMEGROWN_DATABASE_URL", "DATABASE_URL"),
        description="SQLite or PostgreSQL; default: homegrown.db in the home",
    )
    embedding_model: str | None = Field(
        default=None, description="folder, name or hub id; default: the one grown with the model"
    )
    max_body_bytes: int = Field(default=4 * 2**20, ge=1024)
    log: Path | None = Field(default=None, description="file of the log; default: standard error of `serve`")
    log_contents: bool = Field(default=False, description="whether the log holds what people write and are answered")
    shutdown_s: float = Field(default=10.0, ge=0, le=3600, description="how long running answers may go on at the end")
    drain_s: float = Field(default=600.0, ge=0, description="how long they may once another model was promoted")
    alignment: bool = Field(default=True, description="whether chats align the default model in the background")
    images: bool = Field(default=True, description="whether pictures are drawn")
    image_model: str | None = Field(default=None, description="folder, name or hub id; default: images, once grown")
    image_queue: int = Field(default=16, ge=1, description="requests for pictures that may wait")
    image_batch: int = Field(default=8, ge=1, le=64, description="pictures drawn at once")
    image_dtype: Literal["bfloat16", "float16", "float32"] | None = None
    image_loras: Path | None = Field(default=None, description="folder of LoRA files; default: loras in the home")
    image_url_s: int = Field(default=3600, ge=1, description="how long the URL of a picture works")
    image_check: str | None = Field(default=None, description='"module:function" that may refuse a prompt')

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _listed(cls, names: object) -> object:
        if not isinstance(names, str):
            return names
        if not names.startswith("["):
            return [name.strip() for name in names.split(",") if name.strip()]
        try:
            return json.loads(names)
        except ValueError:
            raise ValueError('write ["chat.example.org"], or the names alone with commas between them') from None

    @field_validator("api_key")
    @classmethod
    def _long(cls, key: SecretStr | None) -> SecretStr | None:
        if key and len(key.get_secret_value()) < 16:
            raise ValueError("it needs 16 characters or more")
        return key

    def secrets(self) -> list[str]:
        """What must never be shown; shorter ones could be any word."""
        values = (self.api_key, self.engine_api_key, self.database_url)
        return [secret for value in values if value and len(secret := value.get_secret_value()) >= 8]


def read_settings(**flags: object) -> ServingSettings:
    """The settings in force. Those that are None were not given as a flag; raises `UserError` as `checked` does."""
    return checked(ServingSettings, **flags)


def checked(kind: type[Settings], **flags: object) -> Settings:
    """The settings of `kind` with these flags in force, but for those that are None.

    Raises `UserError` naming the first setting that cannot be used.
    """
    try:
        return kind(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
    prefix = kind.model_config["env_prefix"]
    name = str(first["loc"][0]).upper().removeprefix(prefix)
    flag = f"--{name.lower().replace('_', '-')} or " if name.lower() in flags else ""
    reason = first["msg"].removeprefix("Value error, ")
    raise UserError(
        f"The setting {name.lower()} ({flag}{prefix}{name}) cannot be used: {reason[:1].lower()}{reason[1:]}."
    )
