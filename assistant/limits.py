"""How much one answer of the agent may take. A small model loops: there is always an end."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Limits(BaseSettings):
    """Per answer. Field `seconds` is read from `HOMEGROWN_AGENT_SECONDS`, and so on."""

    model_config = SettingsConfigDict(env_prefix="HOMEGROWN_AGENT_", env_ignore_empty=True, frozen=True)

    model_calls: int = Field(default=4, ge=1, description="calls of the model; the last is offered no tools")
    tool_calls: int = Field(default=6, ge=0)
    calls_per_tool: int = Field(default=3, ge=0, description="of one and the same tool")
    seconds: float = Field(default=120.0, gt=0)
    tokens: int = Field(default=8192, ge=1, description="that the model may write")
