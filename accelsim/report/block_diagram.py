"""The accelerator as a picture: DRAM, DMA, buffers, PE grid, accumulators, requantizer, vector unit, with
their numbers.

The arrangement follows Figures 1 and 2 of Nagel et al. 2021 (A White Paper on Neural Network Quantization,
arXiv 2106.08295): PEs C[n, m], accumulators beside them, requantization on the way back to memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.memory import OPERANDS as OPERAND_NAMES
from accelsim.hardware.memory import Buffer
from accelsim.report.palette import GREY, INK, MUTED, OPERANDS, PINK, PURPLE, YELLOW
from accelsim.report.pe_grid_drawing import draw_pe_grid, flow_of, has_lanes_at_right
from accelsim.report.svg import Drawing, fit
from accelsim.report.wording import counted, precision_text, rate_text
from accelsim.units import format_scaled, format_size

_WIDTH, _HEIGHT = 1240.0, 736.0


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2


_CHIP = _Box(206, 20, 1014, 660)
_DRAM = _Box(12, 150, 142, 460)
_DMA = _Box(228, 150, 116, 460)
_BUFFERS = _Box(396, 96, 196, 564)
_GRID = _Box(728, 138, 310, 274)
_LANES_BELOW = _Box(728, 438, 310, 52)
_LANES_RIGHT = _Box(1078, 138, 118, 274)
_REQUANTIZER = _Box(728, 510, 310, 64)
_VECTOR = _Box(728, 600, 310, 56)
_TOP_PATH = 76.0
_CHANNELS = (606.0, 652.0)


def draw_block_diagram(accelerator: Accelerator) -> str:
    """The SVG document."""
    drawing = Drawing(width=_WIDTH, height=_HEIGHT, title=f"Block diagram of {accelerator.name}")
    drawing.rectangle(_CHIP.x, _CHIP.y, _CHIP.width, _CHIP.height, fill="none", stroke=MUTED, is_dashed=True, radius=14)
    drawing.text(
        _CHIP.x + 16,
        _CHIP.y + 26,
        fit(accelerator.name, width=380, size=16),
        size=16,
        anchor="start",
        is_bold=True,
    )
    drawing.text(
        _CHIP.x + 16,
        _CHIP.y + 45,
        f"clock {format_scaled(accelerator.clock_hz, 'Hz')}",
        anchor="start",
        colour=MUTED,
    )
    _draw_outside(drawing, accelerator)
    homes = _draw_buffers(drawing, accelerator)
    _draw_grid(drawing, accelerator)
    _draw_lanes(drawing, accelerator)
    _draw_vector_unit(drawing, accelerator)
    _draw_connections(drawing, accelerator, homes)
    _draw_legend(drawing)
    return drawing.to_svg()


def _draw_block(drawing: Drawing, box: _Box, heading: str, lines: list[str], *, colour: str, size: float = 12) -> None:
    """A box with a heading and lines of text, centred."""
    drawing.rectangle(box.x, box.y, box.width, box.height, fill=colour, opacity=0.13, stroke=colour, thickness=1.6)
    x, y = box.middle
    top = y - len(lines) * (size + 4) / 2 + 2
    drawing.text(x, top + 2, fit(heading, width=box.width - 10, size=14), size=14, is_bold=True)
    for place, line in enumerate(lines, start=1):
        drawing.text(x, top + 3 + place * (size + 4), fit(line, width=box.width - 6, size=size), size=size)


def _draw_outside(drawing: Drawing, accelerator: Accelerator) -> None:
    dram, dma = accelerator.dram, accelerator.dma
    _draw_block(
        drawing,
        _DRAM,
        "DRAM",
        [
            format_scaled(dram.bandwidth_bytes_per_second, "B/s"),
            f"{accelerator.dram_bytes_per_cycle:.4g} B/cycle",
            f"read +{accelerator.read_latency_cycles} cycles",
            f"write +{accelerator.write_latency_cycles} cycles",
            f"burst {format_size(dram.burst_bytes)}",
        ],
        colour=GREY,
    )
    _draw_block(
        drawing,
        _DMA,
        "DMA",
        [
            counted(dma.queues, "queue"),
            f"burst {format_size(dma.burst_bytes)}",
            f"issue {counted(dma.issue_cycles, 'cycle')}",
            dma.arbitration.replace("_", " "),
        ],
        colour=GREY,
    )
    y = _DRAM.middle[1]
    drawing.path([(_DRAM.right, y), (_DMA.x, y)], thickness=4.5, is_two_way=True)


def _draw_buffers(drawing: Drawing, accelerator: Accelerator) -> dict[str, _Box]:
    """The buffers one below the other, that of the weights first and that of the outputs last; their places
    by name."""
    buffers = accelerator.memory.buffers
    order = sorted(
        buffers,
        key=lambda name: sum(OPERAND_NAMES.index(operand) for operand in buffers[name].holds) / len(buffers[name].holds),
    )
    gap = 14.0
    height = (_BUFFERS.height - gap * (len(order) - 1)) / len(order)
    homes = {}
    for place, name in enumerate(order):
        box = _Box(_BUFFERS.x, _BUFFERS.y + place * (height + gap), _BUFFERS.width, height)
        homes[name] = box
        _draw_buffer(drawing, box, name, buffers[name])
    return homes


def _draw_buffer(drawing: Drawing, box: _Box, name: str, buffer: Buffer) -> None:
    colour = OPERANDS[buffer.holds[0]] if len(buffer.holds) == 1 else GREY
    if buffer.double_buffered:
        drawing.rectangle(box.x + 7, box.y - 7, box.width, box.height, stroke=colour, thickness=1.2)
        drawing.rectangle(box.x, box.y, box.width, box.height, stroke=colour)
    ports = f" × {buffer.ports} ports" if buffer.ports > 1 else ""
    _draw_block(
        drawing,
        box,
        name,
        [
            format_size(buffer.capacity_bytes),
            f"{buffer.bytes_per_cycle} B/cycle{ports}",
            "double buffered" if buffer.double_buffered else "single buffered",
            "",
        ],
        colour=colour,
    )
    x, y = box.middle[0] - 31 * (len(buffer.holds) - 1), box.middle[1] + 42
    for place, operand in enumerate(buffer.holds):
        drawing.circle(x - 24 + 62 * place, y - 4, 4, colour=OPERANDS[operand])
        drawing.text(x - 17 + 62 * place, y, operand, size=11, anchor="start")
    direction = {"weights", "inputs"} & set(buffer.holds), "outputs" in buffer.holds
    ends = [(_DMA.right, min(max(box.middle[1], _DMA.y + 24), _DMA.bottom - 24)), (box.x, box.middle[1])]
    bend = (_DMA.right + box.x) / 2
    way = ends if ends[0][1] == ends[1][1] else [ends[0], (bend, ends[0][1]), (bend, ends[1][1]), ends[1]]
    drawing.path(way if direction[0] else way[::-1], thickness=2.6, is_two_way=bool(direction[0] and direction[1]))


def _draw_grid(drawing: Drawing, accelerator: Accelerator) -> None:
    grid = accelerator.pe_grid
    draw_pe_grid(drawing, grid, x=_GRID.x, y=_GRID.y, width=_GRID.width, height=_GRID.height)
    x = _GRID.middle[0] + 18
    size = f"PE grid {grid.rows} × {grid.columns}" + (f" × {grid.pixels} pixels" if grid.pixels > 1 else "")
    drawing.text(x, _CHIP.y + 26, size, size=14, anchor="start", is_bold=True)
    weight_bits, input_bits = grid.precision.native_bits
    peak = accelerator.peak_macs_per_cycle
    speed = format_scaled(peak * accelerator.clock_hz, "MAC/s")
    lines = (
        grid.dataflow.replace("_", " "),
        precision_text(grid.precision),
        f"{rate_text(peak)} MACs/cycle at {weight_bits}/{input_bits} bits = {speed}",
    )
    for place, line in enumerate(lines):
        drawing.text(x, _CHIP.y + 45 + 17 * place, fit(line, width=_CHIP.right - x - 8, size=12), anchor="start")


def _draw_lanes(drawing: Drawing, accelerator: Accelerator) -> None:
    """Accumulators below the grid or at its right, then the requantizer."""
    accumulators, grid, requantizer = accelerator.accumulators, accelerator.pe_grid, accelerator.requantizer
    is_right = has_lanes_at_right(grid)
    lanes = grid.rows if grid.dataflow == "dot_product" else grid.columns
    halves = "double buffered" if accumulators.double_buffered else "single buffered"
    start = "bias preloaded" if accumulators.preloads_bias else "start at zero"
    overflow = {"wrap": "wraps", "saturate": "saturates", "error": "overflow stops"}[accumulators.overflow]
    size = f"{lanes} × {accumulators.entries:,} × {accumulators.bits} bits"
    box = _LANES_RIGHT if is_right else _LANES_BELOW
    lines = [
        f"{counted(lanes, 'lane')} ×",
        f"{accumulators.entries:,} entries ×",
        f"{accumulators.bits} bits",
        halves,
        start,
        overflow,
    ]
    _draw_block(
        drawing,
        box,
        "Accumulators" if is_right else f"Accumulators {size}",
        lines if is_right else [f"{halves}, {start}, {overflow}"],
        colour=YELLOW,
    )
    colour = OPERANDS["outputs"]
    if is_right:
        for share in (0.25, 0.5, 0.75):
            y = _GRID.y + _GRID.height * share
            drawing.path([(_GRID.right, y), (box.x, y)], colour=colour)
        drawing.path(
            [
                (box.middle[0], box.bottom),
                (box.middle[0], _REQUANTIZER.middle[1]),
                (_REQUANTIZER.right, _REQUANTIZER.middle[1]),
            ],
            colour=colour,
            thickness=2.6,
        )
    else:
        for share in (0.25, 0.5, 0.75):
            x = _GRID.x + _GRID.width * share
            drawing.path([(x, _GRID.bottom), (x, box.y)], colour=colour)
        drawing.path([(box.middle[0], box.bottom), (box.middle[0], _REQUANTIZER.y)], colour=colour, thickness=2.6)
    _draw_block(
        drawing,
        _REQUANTIZER,
        "Requantizer",
        [f"{counted(requantizer.lanes, 'output')}/cycle, latency {requantizer.latency_cycles}", requantizer.scheme],
        colour=PINK,
    )


def _draw_vector_unit(drawing: Drawing, accelerator: Accelerator) -> None:
    vector = accelerator.vector_unit
    _draw_block(
        drawing,
        _VECTOR,
        "Vector unit",
        [f"{counted(vector.lanes, 'lane')}, latency {counted(vector.latency_cycles, 'cycle')}"],
        colour=PURPLE,
    )


def _draw_connections(drawing: Drawing, accelerator: Accelerator, homes: dict[str, _Box]) -> None:
    """Between the buffers and the units: one coloured path per operand, without crossings of its
    neighbours."""
    flow, memory = flow_of(accelerator.pe_grid), accelerator.memory
    ways: list[tuple[str, float, list[tuple[float, float]], bool]] = [
        (flow.top, _TOP_PATH, [(_GRID.middle[0], _TOP_PATH), (_GRID.middle[0], _GRID.y)], True),
        (flow.left, _GRID.middle[1], [(_GRID.x, _GRID.middle[1])], True),
        ("outputs", _REQUANTIZER.middle[1], [(_REQUANTIZER.x, _REQUANTIZER.middle[1])], False),
        ("inputs", _VECTOR.y + 16, [(_VECTOR.x, _VECTOR.y + 16)], True),
        ("outputs", _VECTOR.bottom - 16, [(_VECTOR.x, _VECTOR.bottom - 16)], False),
    ]
    ports = _ports([(memory.home(operand), target) for operand, target, _, _ in ways], homes)  # type: ignore[arg-type]
    channels = _channels([(port, way[1]) for port, way in zip(ports, ways, strict=True)])
    for (operand, target, end, is_read), port, channel in zip(ways, ports, channels, strict=True):
        start = (_BUFFERS.right, port)
        way = [start, *end] if port == target else [start, (channel, port), (channel, target), *end]
        drawing.path(way if is_read else way[::-1], colour=OPERANDS[operand], thickness=2.6)
    drawing.text(_GRID.middle[0] - 8, _TOP_PATH - 8, f"{flow.top} {flow.top_verb}", size=11, anchor="end", colour=MUTED)
    drawing.text(_GRID.x - 12, _GRID.middle[1] - 8, flow.left, size=11, anchor="end", colour=MUTED)
    drawing.text(_GRID.x - 12, _GRID.middle[1] + 17, flow.left_verb, size=11, anchor="end", colour=MUTED)


def _ports(ways: list[tuple[str, float]], homes: dict[str, _Box]) -> list[float]:
    """Where each path leaves its buffer: level with its target where the buffer reaches so far, apart from
    the others."""
    ports: list[float] = []
    for place, (name, target) in enumerate(ways):
        box = homes[name]
        mates = [mate for mate, way in enumerate(ways) if way[0] == name]
        gap = min(18.0, (box.height - 24) / max(1, len(mates)))
        low = box.y + 12 + gap * mates.index(place)
        high = box.bottom - 12 - gap * (len(mates) - 1 - mates.index(place))
        ports.append(min(max(target, low), high))
    return ports


def _channels(ways: list[tuple[float, float]]) -> list[float]:
    """Where each path runs up or down: paths that climb from left to right, then those that descend, the last
    one first."""
    climbing = [place for place, (port, target) in enumerate(ways) if port > target]
    descending = [place for place, (port, target) in enumerate(ways) if port < target]
    low, high = _CHANNELS
    channels = [low] * len(ways)
    for group in (climbing, descending[::-1]):
        for rank, place in enumerate(group):
            channels[place] = low + (high - low) * (rank + 0.5) / max(2, len(group))
    return channels


def _draw_legend(drawing: Drawing) -> None:
    x, y = _CHIP.x + 8, _HEIGHT - 24
    for label, colour in (
        ("weights", OPERANDS["weights"]),
        ("inputs", OPERANDS["inputs"]),
        ("partial sums and outputs", OPERANDS["outputs"]),
        ("any operand", INK),
    ):
        drawing.path([(x, y - 4), (x + 30, y - 4)], colour=colour, thickness=2.6)
        drawing.text(x + 40, y, label, anchor="start", colour=MUTED)
        x += 68 + 7.2 * len(label)
