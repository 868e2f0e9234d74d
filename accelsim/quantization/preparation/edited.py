"""A float network after a step of preparation, and what the step did."""

from __future__ import annotations

from typing import NamedTuple

from accelsim.quantization.float_model import FloatModel


class Edited(NamedTuple):
    """A new model and one remark for each thing that was done, or left undone with the reason."""

    model: FloatModel
    remarks: tuple[str, ...] = ()
