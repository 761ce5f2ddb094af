"""Everything an installation sets, from `WAYLINE_*` in the environment or a `.env` file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One installation's settings; the defaults serve `wayline up` on one machine."""

    model_config = SettingsConfigDict(env_prefix="WAYLINE_", env_file=".env", extra="ignore")

    data_dir: Path = Field(default=Path(".wayline"), description="Where embedded services keep their files.")
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL; unset: SQLite under the data folder."
    )
    temporal_address: str | None = Field(
        default=None, description="host:port of a Temporal service; unset: the embedded one."
    )
    temporal_namespace: str = "default"
    workspace: Path = Field(default=Path("rulesets"), description="The folder with wayline.yaml.")
    host: str = Field(default="127.0.0.1", description="Address the HTTP server listens on.")
    port: int = 8080
    public_url: str = Field(
        default="http://127.0.0.1:8080",
        description="How recipients reach this installation (unsubscribe links).",
    )
    write_key: SecretStr | None = Field(
        default=None, description="Key for event intake; generated when unset."
    )
    operator_token: SecretStr | None = Field(
        default=None, description="Operator token; generated when unset."
    )
    secret_key: SecretStr | None = Field(default=None, description="Signs links; generated when unset.")
    time_scale: float = Field(default=1.0, gt=0, description="Demo only: journey seconds per real second.")
    max_body: int = Field(
        default=5 * 1024 * 1024, gt=0, description="Bytes an HTTP body may have, also after decompression."
    )
    max_batch: int = Field(default=2000, gt=0, description="Events one HTTP batch may hold.")
    log_format: str = Field(default="json", pattern="^(json|console)$")

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'wayline.db'}"
