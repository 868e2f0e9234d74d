"""Which operand widths a PE multiplies, and how fast.

One model per kind, told apart by `kind`; each kind is data plus the pure functions of `PrecisionKind`. A grid's peak is
``rows * columns * pixels * macs_per_pe_cycle``.

============  ==========================================================  ==============================================
kind          operands are rounded up to                                  fewer bits
============  ==========================================================  ==============================================
fixed         the multiplier (gated: nothing)                             move fewer bytes (gated: switch less energy too)
subword       the fastest mode that they fit                              run in a faster mode
bit_fusion    2, 4, 8 bits; whole passes above                            let a PE take more pairs of operands
bit_serial    the bits of a cycle (serial), the wires (parallel)          take fewer cycles
binary        1 bit by input_bits                                         move fewer bytes
ternary       2 bits by input_bits                                        move fewer bytes
shift_add     the shifter                                                 move fewer bytes
codebook      the width of the table's entries                            move fewer bytes
float         16 or 32 bits                                               move fewer bytes
============  ==========================================================  ==============================================

Which integers the PEs of a kind multiply in a run that carries some: `accelsim.hardware.precision_integers`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from accelsim.hardware.precision_binary import BinaryPrecision, TernaryPrecision
from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
from accelsim.hardware.precision_bit_serial import BitSerialPrecision
from accelsim.hardware.precision_codebook import CodebookPrecision
from accelsim.hardware.precision_fixed import FixedPrecision
from accelsim.hardware.precision_float import FloatPrecision
from accelsim.hardware.precision_shift_add import ShiftAddPrecision
from accelsim.hardware.precision_subword import SubwordPrecision

Precision = Annotated[
    FixedPrecision | SubwordPrecision | BitFusionPrecision | BitSerialPrecision | BinaryPrecision | TernaryPrecision
    | ShiftAddPrecision | CodebookPrecision | FloatPrecision, Field(discriminator="kind")]
