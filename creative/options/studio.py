"""Settings of the studio: where the site listens and who may come in."""

from __future__ import annotations

from pathlib import Path

from creative.settings import Field, Inputs, Record


class StudioInputs(Inputs):
    """Nothing: the studio is given its files in the browser."""


class StudioSettings(Record):
    """How the site is served: to this machine only, unless told otherwise."""

    host: str = Field(
        "127.0.0.1", title="Host", description="Address to listen on; 0.0.0.0 lets other machines in", min_length=1
    )
    port: int = Field(7860, ge=0, le=65535, title="Port", description="Port to listen on; 0 takes a free one")
    user: str | None = Field(None, title="User", description="Name to log in with; none: no login", min_length=1)
    password_env: str = Field(
        "CREATIVE_STUDIO_PASSWORD",
        title="Password variable",
        description="Environment variable that holds the user's password",
        min_length=1,
    )
    output: Path = Field(Path("out"), title="Output", description="Folder that results are saved in and shown from")
