"""The colours of every figure, table and page: one colour per meaning, the same everywhere.

The hues are those of Okabe and Ito, which people with the common colour deficiencies tell apart, on light and
on dark ground. Figures use `INK`, `MUTED`, `RULE` and `GROUND` for everything that is not data; the HTML page
replaces exactly these four by its own variables, so that figures follow its light or dark scheme.

References
----------
M. Okabe, K. Ito, "Color Universal Design", 2008: the eight-colour set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

INK = "#1b2330"
MUTED = "#5d6776"
RULE = "#dde2e9"
GROUND = "#fefefe"

BLUE, SKY, GREEN, YELLOW = "#0072b2", "#56b4e9", "#009e73", "#f0e442"
ORANGE, VERMILLION, PINK, GREY = "#e69f00", "#d55e00", "#cc79a7", "#999999"
PURPLE, WINE = "#7e57c2", "#882255"

#: Work, then the causes of stalls in the order of `accelsim.results.stalls.STALL_CAUSES`.
CYCLES: Mapping[str, str] = {
    "compute": BLUE,
    "weights": ORANGE,
    "activations": SKY,
    "dram": VERMILLION,
    "program_order": PURPLE,
    "buffer_port": GREEN,
    "requantizer": PINK,
    "output_room": YELLOW,
    "drain": GREY,
}

#: Components of energy; buffers take the tints of `BUFFERS` in the order of the description.
COMPONENTS: Mapping[str, str] = {
    "multipliers": BLUE,
    "adders": SKY,
    "registers": GREEN,
    "codebook": WINE,
    "accumulators": YELLOW,
    "requantizer": PINK,
    "vector_unit": PURPLE,
    "dram": VERMILLION,
    "leakage": GREY,
}
BUFFERS = (ORANGE, "#f7c766", "#b87a00", "#fbe0aa", "#8a5c00")

#: Kinds of layers on the grid.
KINDS: Mapping[str, str] = {
    "conv": BLUE,
    "depthwise": ORANGE,
    "matmul": GREEN,
    "conv_transpose": PINK,
    "other": GREY,
}

#: Operands, in the block diagram.
OPERANDS: Mapping[str, str] = {"weights": ORANGE, "inputs": BLUE, "outputs": GREEN}

#: What overflows, in the order of `accelsim.results.overflow.Place`.
PLACES: Mapping[str, str] = {"bias": PURPLE, "accumulator": BLUE, "wires": ORANGE, "row_sum": GREEN}

#: Widths of accumulators: what no inputs can exceed, what running sums reached, what final sums reached.
WIDTHS: Mapping[str, str] = {"worst_case": INK, "running": SKY, "final": BLUE}

#: Shares of wrong outputs, from few to most.
WRONG = ("#fde7b0", "#f8bf57", "#ec8a2c", "#cf5019", "#8b2210")

#: Designs of a comparison, in the order in which they were given.
DESIGNS = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILLION, PURPLE, GREY)


def component_colours(components: Iterable[str]) -> dict[str, str]:
    """Component -> colour, in the order in which stacks show them; what the palette does not know is grey.

    Examples
    --------
    >>> component_colours(["dram", "buffers.scratchpad", "multipliers"])
    {'multipliers': '#0072b2', 'buffers.scratchpad': '#e69f00', 'dram': '#d55e00'}
    """
    names = list(components)
    buffers = [name for name in names if name.startswith("buffers.")]
    order = [name for name in COMPONENTS if name not in ("dram", "leakage")] + buffers
    order += [name for name in names if name not in order and name not in ("dram", "leakage")] + [
        "dram",
        "leakage",
    ]
    tints = {name: BUFFERS[index % len(BUFFERS)] for index, name in enumerate(buffers)}
    return {name: tints.get(name, COMPONENTS.get(name, GREY)) for name in order if name in names}
