"""The base of all value objects."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value: its fields never change, unknown fields and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
