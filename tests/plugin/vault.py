"""A channel with a secret, and what comes of loading plugins, for tests of the registry."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from pydantic import BaseModel, SecretStr, field_validator, model_validator

from engine.plugin import (
    Accepted,
    Capabilities,
    Channel,
    Message,
    Preflight,
    SendResult,
    hookimpl,
)
from engine.plugin.registry import Registry, load_registry


class VaultSettings(BaseModel):
    host: str
    port: int = 25
    password: SecretStr = SecretStr("")

    @field_validator("password")
    @classmethod
    def not_short(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) == 3:
            raise ValueError(f"{value.get_secret_value()} is too short")
        return value

    @model_validator(mode="after")
    def not_on_the_moon(self) -> VaultSettings:
        if self.host == "moon":
            raise ValueError(f"{self.host} {self.password.get_secret_value()}")
        return self


class VaultChannel:
    name = "vault"
    nonblocking = True
    settings: type[BaseModel] = VaultSettings
    capabilities = Capabilities()

    def __init__(self, configuration: VaultSettings | None = None) -> None:
        self.configuration = configuration
        self.closed = 0

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, VaultSettings)
        if settings.host == "broken":
            raise RuntimeError(f"cannot log in with {settings.password.get_secret_value()}")
        return VaultChannel(settings)

    def preflight(self, message: Message) -> Preflight:
        return Preflight(True)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        return Accepted()

    async def close(self) -> None:
        self.closed += 1
        if self.configuration and self.configuration.host == "stubborn":
            raise OSError


def offering(name: str, **hooks: Any) -> ModuleType:
    """A plugin module whose hooks return the given values."""
    module = ModuleType(name)
    for hook, value in hooks.items():
        function = hookimpl(value) if callable(value) else hookimpl(lambda value=value: value)
        setattr(module, hook, function)
    return module


def loaded(*plugins: object, **environ: str) -> Registry:
    return load_registry(entry_points=False, extra=plugins, environ=environ)


def fault_of(*plugins: object) -> str:
    return "\n".join(map(str, loaded(*plugins).faults))
