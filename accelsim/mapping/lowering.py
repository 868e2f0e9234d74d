"""A grid layer as matrix products: what the PE grid really executes.

A convolution runs as an implicit GEMM: position m is one (image, row, column) of the output, reduction step k one
(r, s, c) of the window with c fastest, n one output channel. Nothing is copied for it: tiles of the input are loaded with
their halo as they lie in DRAM (`accelsim.mapping.footprint`).
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.hardware.accelerator import Accelerator
from accelsim.numerics.axis import Axis
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Convolution, MatMul


@dataclass(frozen=True, slots=True)
class GemmWork:
    """`groups` independent products of (m x k) by (k x n), and the geometry behind m and k.

    Parameters
    ----------
    groups : groups of a convolution, or the batch of a matrix product.
    images : N; the positions of a group are images x rows.out_size x columns.out_size.
    channels : c, input channels of one group; k = rows.kernel * columns.kernel * channels.
    n : output channels of one group.
    has_channel_groups : True where groups are slices of the channels of one tensor (convolution), False where each
        group is a matrix of its own (batched product).
    weight_bits, input_bits, output_bits, bias_bits : element widths; bias_bits is 0 without a bias.
    sum_channels : 1 where each group has a channel of ones beside its n, which gives the sum of a position's inputs.
    scale_groups : runs of K with a weight scale of their own.
    """

    groups: int
    images: int
    rows: Axis
    columns: Axis
    channels: int
    n: int
    has_channel_groups: bool
    weight_bits: int
    input_bits: int
    output_bits: int
    bias_bits: int = 0
    sum_channels: int = 0
    scale_groups: int = 1

    @property
    def window(self) -> int:
        """Kernel positions."""
        return self.rows.kernel * self.columns.kernel

    @property
    def m(self) -> int:
        return self.images * self.rows.out_size * self.columns.out_size

    @property
    def k(self) -> int:
        return self.window * self.channels

    @property
    def scale_group_length(self) -> int:
        """Reduction steps that share a weight scale; the last group may be shorter."""
        return -(-self.k // self.scale_groups)

    @property
    def macs(self) -> int:
        """Of the layer itself, without channels of ones."""
        return self.groups * self.m * self.k * self.n

    @property
    def sum_macs(self) -> int:
        """Of the channels of ones."""
        return self.groups * self.m * self.k * self.sum_channels


def lower(layer: Layer, *, has_row_sum_unit: bool = False) -> GemmWork:
    """The matrix products of a grid layer.

    Asymmetric weights add a channel of ones to every group, unless a unit beside the grid sums the inputs: the term
    ``-z_w * sum_k x_k`` depends on the data, and a channel of ones computes ``sum_k x_k`` as any other channel is computed
    (Nagel et al. 2021, arXiv 2106.08295, section 2.4.1: "equivalent to adding an extra channel"). Left out: of a product of
    two activations, z_x times the sums of the second, which then depend on the data too and fit into no bias.

    Examples
    --------
    >>> from accelsim.workload.operation import MatMul
    >>> from accelsim.workload.tensor import Tensor
    >>> layer = Layer("fc", MatMul(m=2, k=64, n=10), (Tensor("x", (2, 64), 8),), Tensor("y", (2, 10), 8),
    ...               weights=Tensor("w", (10, 64), 4, is_constant=True))
    >>> work = lower(layer)
    >>> work.m, work.k, work.n, work.weight_bits
    (2, 64, 10, 4)
    """
    operation = layer.operation
    assert isinstance(operation, Convolution | MatMul), "only grid layers are lowered"
    if isinstance(operation, MatMul):
        rows, columns = Axis(operation.m, operation.m), Axis(1, 1)
        groups, images, channels, n = operation.batch, 1, operation.k, operation.n
    else:
        rows, columns = (_axis(operation, axis) for axis in (0, 1))
        groups, images = operation.groups, operation.batch
        channels, n = operation.in_channels // groups, operation.out_channels // groups
    return GemmWork(
        groups=groups, images=images, rows=rows, columns=columns, channels=channels, n=n,
        has_channel_groups=isinstance(operation, Convolution), weight_bits=layer.stationary.bits,
        input_bits=layer.streamed.bits, output_bits=layer.output.bits,
        bias_bits=layer.bias.bits if layer.bias is not None else 0,
        sum_channels=1 if layer.has_asymmetric_weights and not has_row_sum_unit else 0,
        scale_groups=layer.weight_scale_groups)


def executed_macs(layer: Layer, accelerator: Accelerator) -> int:
    """MACs that the grid executes for a layer: its own, and those of channels of ones; 0 off the grid.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> from accelsim.workload.operation import MatMul
    >>> from accelsim.workload.tensor import Tensor
    >>> layer = Layer("fc", MatMul(m=2, k=64, n=10), (Tensor("x", (2, 64), 8),), Tensor("y", (2, 10), 8),
    ...               weights=Tensor("w", (10, 64), 8, is_constant=True), has_asymmetric_weights=True)
    >>> layer.macs, executed_macs(layer, load_accelerator("edge_16x16"))
    (1280, 1408)
    """
    if not layer.is_on_grid:
        return 0
    work = lower(layer, has_row_sum_unit=accelerator.pe_grid.row_sum_unit)
    return work.macs + work.sum_macs


def _axis(convolution: Convolution, axis: int) -> Axis:
    size, kernel, dilation = convolution.in_size[axis], convolution.kernel[axis], convolution.dilation[axis]
    pad, out = convolution.pads[axis], convolution.out_size[axis]
    if convolution.is_transposed:
        # The flipped kernel slides with stride 1 over the stretched input; its padding is what the kernel's reach leaves.
        return Axis(size, out, kernel, 1, dilation, dilation * (kernel - 1) - pad, convolution.stride[axis])
    return Axis(size, out, kernel, convolution.stride[axis], dilation, pad)
