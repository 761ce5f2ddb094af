"""Everything an installation sets, from `WAYLINE_*` in the environment or a `.env` file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class LaneSettings(BaseModel):
    """How much of one lane a process of `wayline worker` does at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: int = Field(
        ge=2,
        le=1000,
        description="Workflow tasks at a time. Short ones: more than a few per core only wait for it.",
    )
    looks: int = Field(
        ge=1,
        le=1000,
        description="Runs carried at a time; each may hold a thread of the store or wait for a provider.",
    )
    cached: int = Field(
        ge=0,
        le=1_000_000,
        description="Workflows kept in memory, at about 0.1 MB; others are replayed when they wake.",
    )
    pollers: int = Field(
        ge=2,
        le=100,
        description="Requests for work that are open at Temporal. More help when it is far away.",
    )


class WorkerSettings(BaseModel):
    """The lanes of a worker, each with slots of its own: `WAYLINE_WORKER_<LANE>_<WHAT>`."""

    urgent: LaneSettings = LaneSettings(tasks=20, looks=40, cached=500, pollers=5)
    normal: LaneSettings = LaneSettings(tasks=50, looks=100, cached=1000, pollers=5)
    # More would only stand in line for the database, before the urgent ones.
    bulk: LaneSettings = LaneSettings(tasks=10, looks=10, cached=300, pollers=3)
    human: LaneSettings = LaneSettings(tasks=10, looks=20, cached=200, pollers=3)

    def of(self, lane: str) -> LaneSettings:
        """The settings of a lane by its name."""
        found: LaneSettings = getattr(self, lane)
        return found


class Settings(BaseSettings):
    """One installation's settings; the defaults serve `wayline up` on one machine."""

    model_config = SettingsConfigDict(
        env_prefix="WAYLINE_",
        env_file=".env",
        extra="ignore",
        env_nested_delimiter="_",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(default=Path(".wayline"), description="Where embedded services keep their files.")
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL; unset: SQLite under the data folder."
    )
    temporal_address: str | None = Field(
        default=None, description="host:port of a Temporal service; unset: the embedded one."
    )
    temporal_namespace: str = "default"
    workspace: Path | None = Field(
        default=None,
        description="The folder with wayline.yaml; unset: this folder if it has one, else rulesets.",
    )
    host: str = Field(default="127.0.0.1", description="Address the HTTP server listens on.")
    port: int = 8080
    health_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Where `wayline dispatch` and `worker` answer /healthz and /metrics; unset: nowhere.",
    )
    public_url: str | None = Field(
        default=None,
        description="How recipients reach this installation (unsubscribe links); unset: host and port.",
    )
    write_key: SecretStr | None = Field(
        default=None, description="Key for event intake; generated when unset."
    )
    operator_token: SecretStr | None = Field(
        default=None, description="Operator token; generated when unset."
    )
    secret_key: SecretStr | None = Field(default=None, description="Signs links; generated when unset.")
    disabled_plugins: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Names of installed plugins, with commas between, that are not even imported.",
    )
    time_scale: float = Field(default=1.0, gt=0, description="Demo only: journey seconds per real second.")
    max_body: int = Field(
        default=5 * 1024 * 1024, gt=0, description="Bytes an HTTP body may have, also after decompression."
    )
    max_batch: int = Field(default=2000, gt=0, description="Events one HTTP batch may hold.")
    log_format: str = Field(default="json", pattern="^(json|console)$")
    worker: WorkerSettings = WorkerSettings()

    @field_validator("disabled_plugins", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return frozenset(name.strip() for name in value.split(",") if name.strip())

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'wayline.db'}"

    @property
    def workspace_folder(self) -> Path:
        """The folder with wayline.yaml: as set, else this one if it is a workspace, else `rulesets`."""
        if self.workspace is not None:
            return self.workspace
        return Path() if Path("wayline.yaml").is_file() else Path("rulesets")

    @property
    def public_address(self) -> str:
        """How recipients reach this installation, as set or as it listens itself."""
        return self.public_url if self.public_url is not None else self.own_address

    @property
    def own_address(self) -> str:
        """Where the HTTP server answers, as this machine can ask it."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
