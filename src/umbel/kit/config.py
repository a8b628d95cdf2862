"""Settings, from the environment (UMBEL_...) or the command line; every one has a default."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator may set. Times in seconds, rates in Mbit/s."""

    model_config = SettingsConfigDict(env_prefix="UMBEL_", extra="forbid")

    data_dir: Path = Field(Path(".umbel"), description="database, keys, logs, function records")
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite in data_dir")
    host: str = Field("127.0.0.1", description="address the front end listens on")
    port: int = Field(8000, ge=0, le=65535, description="its port; 0: the kernel chooses")
    network_file: Path | None = Field(None, description="nodes and links; empty: built-in SLS")
    openflow_port: int = Field(
        6653, ge=0, le=65535, description="where switches find the controller; 0: any free one"
    )
    tunnels: Literal["gre", "vxlan"] = Field("gre", description="how the overlay's links are made")
    bfd_ms: int = Field(100, ge=0, le=10_000, description="between a tunnel's life signs; 0: none")
    policy: Literal["sls", "consolidation", "qos", "virca"] = Field(
        "sls", description="where a viewer is served: docs/howto/own-network.md"
    )
    plan_sample_s: float = Field(240.0, gt=0, description="virca: between samples of the demand")
    plan_rca_s: float = Field(300.0, gt=0, description="virca: between looks at the routing")
    plan_virca_s: float = Field(1800.0, gt=0, description="virca: between looks at the nodes")
    plan_solve_s: float = Field(30.0, gt=0, description="virca: time for one run of the solver")
    plan_gamma: float = Field(10.0, gt=0, description="virca: weight of quality against power")
    node_wake_s: float = Field(5.0, ge=0, description="how long a node takes out of standby")
    trace_file: Path | None = Field(
        None, description="who watched what, where and when, for replays: docs/reference/trace.md"
    )
    linger_s: float = Field(10.0, ge=0, description="how long a branch outlives its last viewer")
    session_ttl_s: float = Field(3600.0, gt=0, description="life of a viewer's token")
    session_idle_s: float = Field(60.0, gt=0, description="an unseen session ends after this")
    access_token_ttl_s: float = Field(8 * 3600.0, gt=0, description="life of a user's token")
    access_ttl_s: float = Field(
        8 * 3600.0,
        gt=0,
        description="how long a client may pass that signed in at a closed network",
    )
    max_body_bytes: int = Field(262_144, gt=0, description="largest request body read")
    stop_functions_on_exit: bool = Field(False, description="leave nothing running on a clean exit")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least grave line that is logged"
    )

    @property
    def database(self) -> str:
        """The URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'umbel.db'}"
