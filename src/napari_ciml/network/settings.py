"""Settings of the network apart from the decomposition. No torch here."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

NormName = Literal["batch", "instance"]

LEVELS = 4
"""Stages of an encoder, and gates of a segmentor (Table 1)."""

STRIDE = 1 << LEVELS
"""Downsampling factor of the deepest level; edges of inputs must be multiples of it."""


class NetworkSettings(BaseModel):
    """Width and components of the network (Table 1; the switches are the rows of Table 5).

    Parameters
    ----------
    base_filters : int
        C; the stages have C, 2C, 4C and 8C channels.
    norm : {"batch", "instance"}
        Batch norm for BraTS, instance norm elsewhere (section 4.2).
    message : bool
        Pass messages; without, every segmentor sees its primary modalities only.
    attention : bool
        Gate messages by cross-modal spatial attention (section 3.2, CIG_Attention of Table 1).
    variational : bool
        Sample kappa and constrain it by the KL term (eq. 7 to 10).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    base_filters: int = Field(default=32, ge=1, le=512)
    norm: NormName = "batch"
    message: bool = True
    attention: bool = True
    variational: bool = True
