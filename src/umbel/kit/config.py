"""Settings, from the environment (UMBEL_...) or the command line; every one has a default."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_LEAST_TOKEN = 16
_MOST_SHARDS = 64
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NODE_SCHEME = "node://"
"""How a node is named where shards are kept."""


def shard_places(text: str) -> list[str]:
    """The folders, buckets and nodes that `repository_shards` names, in order."""
    return [one.strip() for one in text.split(",") if one.strip()]


class Settings(BaseSettings):
    """What an operator may set. Times in seconds, rates in Mbit/s."""

    model_config = SettingsConfigDict(env_prefix="UMBEL_", extra="forbid")

    data_dir: Path = Field(
        Path(".umbel"), description="folder for the database, keys, logs and records of functions"
    )
    database_url: str = Field("", description="database URL; empty: SQLite in data_dir")
    host: str = Field("127.0.0.1", description="address of the front end")
    port: int = Field(8000, ge=0, le=65535, description="port of the front end; 0: any free one")
    trusted_proxies: str = Field(
        "",
        description="networks (CIDRs, separated by commas) of proxies whose `X-Forwarded-For` and"
        " `X-Forwarded-Proto` are believed; empty: none",
    )
    network_file: Path | None = Field(
        None, description="network file (YAML); empty: the built-in sls"
    )
    openflow_port: int = Field(
        6653,
        ge=0,
        le=65535,
        description="port for the switches' OpenFlow connections; 0: any free one",
    )
    tunnels: Literal["gre", "vxlan"] = Field(
        "gre", description="tunnel type of the overlay's links"
    )
    bfd_ms: int = Field(
        100, ge=0, le=10_000, description="BFD interval of tunnels in ms; 0: no BFD"
    )
    policy: Literal["sls", "consolidation", "qos", "virca"] = Field(
        "sls", description="how nodes are chosen for viewers: docs/howto/own-network.md"
    )
    plan_sample_s: float = Field(240.0, gt=0, description="virca: interval of demand samples")
    plan_rca_s: float = Field(300.0, gt=0, description="virca: interval of routing checks")
    plan_virca_s: float = Field(1800.0, gt=0, description="virca: interval of node checks")
    plan_solve_s: float = Field(30.0, gt=0, description="virca: time limit of one solver run")
    plan_gamma: float = Field(10.0, gt=0, description="virca: weight of quality against power")
    demand_lead_s: float = Field(
        300.0,
        ge=0,
        le=3600,
        description="how long before its start an event has edges for its expected viewers; longer"
        " than functions need to start; 0: nothing is made or kept for expected viewers",
    )
    demand_grace_s: float = Field(
        600.0,
        ge=0,
        le=3600,
        description="how long after an event's start its edges wait for expected viewers, and room"
        " is kept for them",
    )
    node_wake_s: float = Field(5.0, ge=0, description="time that a node needs to leave standby")
    trace_file: Path | None = Field(
        None, description="file for the trace of sessions; empty: none. See docs/reference/trace.md"
    )
    most_pixels: int = Field(
        4096 * 2304,
        ge=1,
        description="largest picture that encoders may send, in pixels (width times height)",
    )
    connections_per_address: int = Field(
        512,
        ge=8,
        description="HTTP connections that one address (IPv6: one /64) may have to a listener of"
        " the front end or of a function; raise it where more viewers share an address",
    )
    sessions_per_address: int = Field(
        512,
        ge=1,
        description="viewers' sessions that one address (IPv6: one /64) may open within a minute,"
        " and as many of recordings; raise it where more viewers share an address",
    )
    srtp: bool = Field(
        False,
        description="protect media between functions by SRTP, with a key for each event; it costs"
        " the functions at both ends some CPU",
    )
    worker_memory_mb: int = Field(
        1536, ge=64, description="memory in MiB that a worker process of a media server may use"
    )
    captions_engine: Literal["", "pocketsphinx", "command", "fake"] = Field(
        "",
        description="what recognises speech for captions, at each media server that takes streams"
        " in: docs/howto/captions.md; empty: no captions. `fake` says the same words always",
    )
    captions_command: str = Field(
        "",
        max_length=1000,
        validate_default=True,
        description="the program and its arguments for the engine `command`; `{language}` stands"
        " for the event's language",
    )
    volumes_mb: int = Field(
        102_400,
        ge=0,
        description="room in MiB that volumes and their snapshots may take at one node, together",
    )
    images_mb: int = Field(
        20_480,
        ge=0,
        description="room in MiB that images which are uploaded may take in data_dir, together with"
        " those that are there",
    )
    repository_folder: Path | None = Field(
        None, description="folder for the repository's bytes; empty: `repository` in data_dir"
    )
    repository_bucket: str = Field(
        "",
        description="S3 bucket for the repository's bytes, `https://HOST/BUCKET` or"
        " `https://HOST/BUCKET/PREFIX`; empty: a folder",
    )
    repository_s3_key: str = Field("", description="access key of the repository's buckets")
    repository_s3_secret: str = Field("", description="secret key of the repository's buckets")
    repository_s3_region: str = Field(
        "us-east-1", description="region of the repository's buckets, as their server calls it"
    )
    repository_shards: str = Field(
        "",
        description="folders, S3 buckets, or nodes (`node://NAME`), separated by commas, that each"
        " hold one shard of the repository's bytes; empty: one place holds all",
    )
    repository_parity: int = Field(
        1,
        validate_default=True,
        ge=1,
        le=16,
        description="of the places in `repository_shards`, how many may be lost",
    )
    storage_folder: Path | None = Field(
        None,
        description="folder on each node's machine where nodes named in `repository_shards` keep"
        " theirs; empty: `storage` in data_dir, for nodes of this machine",
    )
    storage_mb: int = Field(
        102_400, ge=1, description="disk in MiB that shards may take at each of these nodes"
    )
    repository_mb: int = Field(
        102_400, ge=1, description="room in MiB that the repository's items of one owner may take"
    )
    repository_items: int = Field(
        100_000, ge=1, description="items that one owner may have in the repository"
    )
    recordings_mb: int = Field(
        20_480, ge=1, description="room in MiB that the recordings of one account may take"
    )
    replay_cache_mb: int = Field(
        1024,
        ge=0,
        le=1_048_576,
        description="disk in MiB that an edge may use for recordings that viewers play; 0: the"
        " front end alone serves recordings",
    )
    replay_cache_folder: Path | None = Field(
        None,
        description="folder on each edge's machine for them; empty: the function's own, or /var/tmp"
        " where that is in memory",
    )
    repository_url_s: float = Field(
        3600.0, gt=0, description="how long an address of an item's transfer lasts after a use"
    )
    linger_s: float = Field(
        10.0, ge=0, description="how long a branch stays after its last viewer left"
    )
    session_ttl_s: float = Field(3600.0, gt=0, description="lifetime of a viewer's token")
    session_idle_s: float = Field(
        60.0, gt=0, description="how long a session stays open without a sign of its viewer"
    )
    access_token_ttl_s: float = Field(8 * 3600.0, gt=0, description="lifetime of a user's token")
    web_session_ttl_s: float = Field(
        7 * 86_400.0, gt=0, le=400 * 86_400.0, description="how long a browser stays signed in"
    )
    sign_up: Literal["closed", "open"] = Field(
        "closed", description="whether people may make accounts for themselves, as viewers"
    )
    sign_ups_per_address: int = Field(
        20,
        ge=1,
        description="accounts that people at one address (IPv6: one /64) may make within an hour",
    )
    public_url: str = Field(
        "", description="URL at which people reach the front end; links in mails begin with it"
    )
    mail_from: str = Field("", description="sender's address of mails; empty: no mails are sent")
    smtp_host: str = Field("localhost", description="mail server that delivers mails")
    smtp_port: int = Field(25, ge=1, le=65535, description="port of the mail server")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        "none", description="how the connection to the mail server is protected"
    )
    smtp_username: str = Field(
        "", description="account at the mail server; empty: none. Needs starttls or tls"
    )
    smtp_password: str = Field("", description="password of that account")
    email_verification: bool = Field(
        False,
        description="whether an e-mail address counts only after its owner opened a link that was"
        " sent there; needs mail_from and public_url",
    )
    push_private: bool = Field(
        False,
        description="whether web push services may be in private networks and over plain http;"
        " for tests, or for a push service of your own",
    )
    most_accounts: int = Field(
        100_000, ge=1, description="accounts, of all roles, at which nobody may make another"
    )
    access_ttl_s: float = Field(
        8 * 3600.0,
        gt=0,
        description="how long a captive-portal sign-in lasts",
    )
    metrics: Literal["off", "on", "token"] = Field(
        "off", description="who may read `/metrics`: nobody, everybody, or clients with the token"
    )
    metrics_token: str = Field(
        "", validate_default=True, description="the bearer token that `metrics` = `token` asks for"
    )
    max_body_bytes: int = Field(262_144, gt=0, description="largest request body that is accepted")
    stop_functions_on_exit: bool = Field(False, description="stop all functions on a clean exit")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="lowest log level that is written"
    )

    @field_validator("metrics_token")
    @classmethod
    def _long_enough(cls, given: str, info: ValidationInfo) -> str:
        if info.data.get("metrics") == "token" and len(given) < _LEAST_TOKEN:
            raise ValueError(f"at least {_LEAST_TOKEN} characters, where metrics is `token`")
        return given

    @field_validator("captions_command")
    @classmethod
    def _is_command(cls, given: str, info: ValidationInfo) -> str:
        if info.data.get("captions_engine") == "command" and not given.strip():
            raise ValueError("a program, where captions_engine is `command`")
        return given

    @field_validator("repository_shards")
    @classmethod
    def _nodes_differ(cls, given: str) -> str:
        nodes = [one for one in shard_places(given) if one.startswith(NODE_SCHEME)]
        if wrong := [one for one in nodes if not _NODE.fullmatch(one.removeprefix(NODE_SCHEME))]:
            raise ValueError(f"{wrong[0]!r} names no node: write `{NODE_SCHEME}NAME`")
        if len(set(nodes)) < len(nodes):
            raise ValueError("a node keeps one shard: name each once")
        return given

    @field_validator("repository_parity")
    @classmethod
    def _fewer_than_shards(cls, given: int, info: ValidationInfo) -> int:
        places = shard_places(info.data.get("repository_shards", ""))
        if places and not given < len(places) <= _MOST_SHARDS:
            raise ValueError(f"2 to {_MOST_SHARDS} shards, and fewer of parity than there are")
        return given

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, given: str) -> str:
        parts = [part.strip() for part in given.split(",") if part.strip()]
        return ",".join(str(ip_network(part)) for part in parts)

    @model_validator(mode="after")
    def _can_mail(self) -> Self:
        if self.email_verification and not (self.mail_from and self.public_url):
            raise ValueError("email_verification needs mail_from and public_url")
        if self.smtp_username and self.smtp_security == "none":
            raise ValueError("smtp_username needs smtp_security: the password would be readable")
        return self

    @field_validator("public_url")
    @classmethod
    def _is_http(cls, given: str) -> str:
        parts = urlsplit(given)
        if given and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("a URL such as https://live.example.org")
        return given.rstrip("/")

    @property
    def database(self) -> str:
        """The URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'umbel.db'}"
