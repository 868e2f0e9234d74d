"""A testbench in Verilog that drives a design with cases and checks every output and the cycles.

It needs nothing but the design: all vectors stand in it. Both are read by Icarus Verilog with ``-g2012`` (``$fatal``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from accelsim.rtl.beats import element_shape, packed, packed_channel, port_bits
from accelsim.rtl.block_streams import Beat
from accelsim.rtl.cases import Case
from accelsim.rtl.design import GridDesign
from accelsim.rtl.top_ports import (
    bank_ports,
    layer_ports,
    load_ports,
    read_ports,
    result_shape,
    stream_ports,
    table_ports,
)

#: Cycles that a case may take beyond what it should, before the testbench gives it up.
_PATIENCE_CYCLES = 10_000


def testbench_of(design: GridDesign, cases: Sequence[Case], *, name: str, header: Iterable[str]) -> str:
    """The testbench of the module `name`.

    Parameters
    ----------
    header : lines of a comment at the file's head.
    """
    lines = [f"// {line}".rstrip() for line in header]
    lines += ["", f"module {name}_testbench;", *_signals(design, name), "", *_vectors(design, cases), "",
              *_driving(design, cases), "endmodule", ""]
    return "\n".join(lines)


def _signals(design: GridDesign, name: str) -> list[str]:
    """Clock, reset, the design's ports, and the design."""
    outputs = ["stream_ready", "fold_done", "outputs_valid"] + ([] if design.is_output_stationary else ["load_ready"])
    banks = bank_ports(design)
    lines = ["  reg clk = 0;", "  reg rst = 1;", "  always #5 clk = ~clk;", ""]
    lines += [f"  wire {port};" for port in outputs] + [f"  wire {_range(result_shape(design))}outputs;"]
    lines += [f"  wire [{design.grid.pes - 1}:0] takes;"] * bool(banks)
    lines += [f"  wire {_range(shape)}{port};" for port, shape in banks.items()]
    ports = ["clk", "rst", "outputs", *outputs, *banks, *["takes"] * bool(banks)]
    for channel, members in _channels(design).items():
        lines += [f"  wire {channel}_valid;"] if channel != "layer" else []
        lines += [f"  wire {_range(shape)}{port};" for port, shape in members.items()]
        ports += [*members] + ([f"{channel}_valid"] if channel != "layer" else [])
    lines += ["", f"  {name} dut ("]
    return [*lines, ",\n".join(f"    .{port}({port})" for port in ports), "  );"]


def _channels(design: GridDesign) -> dict[str, Mapping[str, Any]]:
    """Channel -> its ports."""
    channels = {"table": table_ports(design), "load": load_ports(design), "stream": stream_ports(design),
                "read": read_ports(design), "layer": layer_ports(design)}
    return {channel: ports for channel, ports in channels.items()
            if ports or (channel == "load" and not design.is_output_stationary)}


def _range(shape: Any) -> str:
    bits = port_bits(shape)
    return f"[{bits - 1}:0] " if bits > 1 else ""


def _vectors(design: GridDesign, cases: Sequence[Case]) -> list[str]:
    """Memories with every beat of every channel, one case after the other, and where each case ends."""
    beats: dict[str, Callable[[Case], Sequence[Beat]]] = {
        "table": lambda case: case.table, "load": lambda case: case.loads, "stream": lambda case: case.streams,
        "read": lambda case: [read.beat for read in case.reads], "layer": lambda case: [case.layer]}
    lines: list[str] = []
    for channel, ports in _channels(design).items():
        words = [packed_channel(ports, beat) for case in cases for beat in beats[channel](case)]
        if ports:
            lines += _memory(f"{channel}_beats", sum(port_bits(shape) for shape in ports.values()), words)
            joined = ", ".join(reversed(list(ports)))
            place = "current" if channel == "layer" else f"{channel}_place"
            lines.append(f"  assign {{{joined}}} = {channel}_beats[{place}];")
        if channel != "layer":
            lines += _memory(f"{channel}_ends", 32, _ends([len(beats[channel](case)) for case in cases]))
    lines += _banks(design, cases)
    bits, width = port_bits(result_shape(design)), element_shape(result_shape(design)).width
    reads = [read for case in cases for read in case.reads]
    ones = (1 << width) - 1
    lines += _memory("read_expected", bits, [packed([value or 0 for value in read.expected], width) for read in reads])
    lines += _memory("read_counts", bits, [packed([0 if value is None else ones for value in read.expected], width)
                                           for read in reads])
    lines += _memory("read_after", 32, [read.after for read in reads])
    lines += _memory("grid_cycles", 32, [case.grid_cycles for case in cases])
    return lines + _memory("requantize_cycles", 32, [case.requantize_cycles for case in cases])


def _banks(design: GridDesign, cases: Sequence[Case]) -> list[str]:
    """The words of each fold, and for each PE the place in them at which its bank is."""
    ports = bank_ports(design)
    if not ports:
        return []
    (port, shape), = ports.items()
    bits = port_bits(shape)
    words = [packed_channel(ports, beat) for case in cases for beat in case.banks]
    return [*_memory("bank_beats", bits, words),
            *_BANKS.format(port=port, pes=design.grid.pes, bits=bits // design.grid.pes).splitlines()]


def _memory(name: str, bits: int, words: Sequence[int]) -> list[str]:
    return [f"  reg [{bits - 1}:0] {name} [0:{len(words) - 1}];", "  initial begin",
            *(f"    {name}[{place}] = {bits}'h{word:x};" for place, word in enumerate(words)), "  end"]


def _ends(counts: Sequence[int]) -> list[int]:
    """Where each case's words end.

    >>> _ends([2, 0, 3])
    [2, 2, 5]
    """
    return [sum(counts[:place + 1]) for place in range(len(counts))]


def _driving(design: GridDesign, cases: Sequence[Case]) -> list[str]:
    """What offers beats, counts cycles and compares outputs."""
    longest = max(case.grid_cycles + len(case.reads) for case in cases) + _PATIENCE_CYCLES
    channels = [channel for channel in _channels(design) if channel != "layer"]
    counters = [*(f"{channel}_place" for channel in channels), "current", "answered", "done", "wrong", "cycle",
                "first_cycle", "done_cycle", "output_cycle", "pause", "failures"]
    ready = {"table": "", "load": " && load_ready", "stream": " && stream_ready", "read": ""}
    offering = [channel for channel in channels if channel in ("load", "stream")]
    waits = {"table": "", "load": " && is_decoding", "stream": " && is_decoding"}
    return _TEMPLATE.format(
        cases=len(cases), counters=", ".join(counters), patience=longest, settle=design.grid.swap_spacing + 2,
        resets="\n".join(f"    {counter} = 0;" for counter in counters),
        decoding="running && table_place == table_ends[current]" if "table" in channels else "running",
        valids="\n".join(f"  assign {channel}_valid = running{waits[channel]} && {channel}_place < {channel}_ends[current];"
                         for channel in channels if channel != "read"),
        takes="\n".join(f"    if ({channel}_valid{ready[channel]}) {channel}_place <= {channel}_place + 1;"
                        for channel in channels),
        starts=" || ".join(f"{channel}_valid" for channel in offering)).splitlines()


_BANKS = """\
  genvar pe;
  generate
    for (pe = 0; pe < {pes}; pe = pe + 1) begin : banks
      integer place = 0;
      assign {port}[pe * {bits} +: {bits}] = bank_beats[place][pe * {bits} +: {bits}];
      always @(posedge clk) if (takes[pe]) place <= place + 1;
    end
  endgenerate
"""

_TEMPLATE = """\
  localparam CASES = {cases};
  integer {counters};
  initial begin
{resets}
    first_cycle = -1;
    repeat (2) @(negedge clk);
    rst = 0;
  end

  // Beats are offered as soon as a case begins (and its table is written); requests follow the folds on which they wait.
  wire running = !rst && current < CASES && pause == 0;
  wire is_decoding = {decoding};
{valids}
  assign read_valid = running && read_place < read_ends[current] && done >= read_after[read_place];

  wire right = ((outputs ^ read_expected[answered]) & read_counts[answered]) === {{$bits(outputs){{1'b0}}}};
  wire is_over = running && answered == read_ends[current];
  wire [31:0] took = done_cycle - first_cycle + 1;
  wire [31:0] requantized = output_cycle - done_cycle;
  wire late = took !== grid_cycles[current]
    || (requantize_cycles[current] != 0 && requantized !== requantize_cycles[current]);

  always @(posedge clk) if (!rst && pause != 0) pause <= pause - 1;
  else if (running && !is_over) begin
    cycle <= cycle + 1;
{takes}
    if (first_cycle < 0 && ({starts})) first_cycle <= cycle;
    if (fold_done) begin
      done <= done + 1;
      done_cycle <= cycle;
    end
    if (outputs_valid) begin
      answered <= answered + 1;
      output_cycle <= cycle;
      if (!right) begin
        wrong <= wrong + 1;
        $display("case %0d: request %0d gave %h, expected %h where %h", current, answered, outputs,
          read_expected[answered], read_counts[answered]);
      end
    end
    if (cycle > {patience}) $fatal(1, "FAIL: case %0d hangs", current);
  end else if (is_over) begin
    $display("case %0d: %0d cycles of the grid (%0d expected), %0d requests wrong", current, took, grid_cycles[current],
      wrong);
    if (requantize_cycles[current] != 0)
      $display("        %0d cycles of the requantizer (%0d expected)", requantized, requantize_cycles[current]);
    if (late || wrong != 0) failures <= failures + 1;
    done <= 0;
    wrong <= 0;
    cycle <= 0;
    first_cycle <= -1;
    pause <= {settle};
    current <= current + 1;
  end else if (!rst && current == CASES) begin
    if (failures != 0) $fatal(1, "FAIL: %0d of %0d cases", failures, CASES);
    $display("PASS: %0d cases, %0d requests", CASES, answered);
    $finish;
  end
"""
