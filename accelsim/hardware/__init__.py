"""What the chip is: frozen models of its YAML description, their loader, and the shipped presets."""

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.accumulators import Accumulators
from accelsim.hardware.changes import with_changes
from accelsim.hardware.dma import Dma
from accelsim.hardware.dram import Dram
from accelsim.hardware.energy_table import EnergyTable, OperationPoint, SramPoint
from accelsim.hardware.loader import load_accelerator, load_energy_table, parse_accelerator
from accelsim.hardware.memory import Buffer, Memory
from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.precision import Precision
from accelsim.hardware.precision_binary import BinaryPrecision, TernaryPrecision
from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
from accelsim.hardware.precision_bit_serial import BitSerialPrecision, PointwiseForm
from accelsim.hardware.precision_codebook import CodebookPrecision
from accelsim.hardware.precision_fixed import FixedPrecision
from accelsim.hardware.precision_float import FloatPrecision
from accelsim.hardware.precision_kind import PrecisionKind
from accelsim.hardware.precision_shift_add import ShiftAddPrecision
from accelsim.hardware.precision_subword import SubwordMode, SubwordPrecision
from accelsim.hardware.presets import energy_table_names, energy_table_path, preset_names, preset_path
from accelsim.hardware.requantizer import Requantizer
from accelsim.hardware.schema import json_schema
from accelsim.hardware.step_cost import LayerForm, StepCost
from accelsim.hardware.summary import AcceleratorSummary, summarize
from accelsim.hardware.vector_unit import VectorUnit

__all__ = [
    "Accelerator", "AcceleratorSummary", "Accumulators", "BinaryPrecision", "BitFusionPrecision", "BitSerialPrecision",
    "Buffer", "CodebookPrecision", "Dma", "Dram", "EnergyTable", "FixedPrecision", "FloatPrecision", "LayerForm",
    "Memory", "OperationPoint", "PeGrid", "PointwiseForm", "Precision", "PrecisionKind", "Requantizer",
    "ShiftAddPrecision", "SramPoint", "StepCost", "SubwordMode", "SubwordPrecision", "TernaryPrecision", "VectorUnit",
    "energy_table_names", "energy_table_path", "json_schema", "load_accelerator", "load_energy_table",
    "parse_accelerator", "preset_names", "preset_path", "summarize", "with_changes",
]
