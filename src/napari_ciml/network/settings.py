"""What a network is made of, apart from the decomposition; no torch here."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

NormName = Literal["batch", "instance"]

LEVELS = 4
"""Encoder stages, and gates in each segmentor (Table 1)."""

STRIDE = 2**LEVELS
"""Input edges must be multiples of this: the deepest level has P/16."""


class NetworkSettings(BaseModel):
    """Widths and parts of the network (Table 1; the switches are the rows of Table 5).

    Parameters
    ----------
    base_filters : int
        C; the stages have C, 2C, 4C and 8C channels.
    norm : {"batch", "instance"}
        Batch norm for BraTS, instance norm elsewhere (section 4.2).
    message : bool
        Pass messages at all; without, every segmentor sees its primary modality only.
    attention : bool
        Gate messages by cross-modal spatial attention.
    variational : bool
        Sample kappa and constrain it by the KL term.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    base_filters: int = Field(default=32, ge=1, le=512)
    norm: NormName = "batch"
    message: bool = True
    attention: bool = True
    variational: bool = True
