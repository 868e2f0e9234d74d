"""Random precision kinds of a PE, as the YAML has them, and the widths that they take."""

from __future__ import annotations

from hypothesis import strategies as st

from accelsim.hardware.precision_subword import SubwordPrecision

RATIOS = ("1/4", "1/3", "1/2", "1", "2", "3", "4", "16")


def _is_sound(document):
    try:
        SubwordPrecision.model_validate(document)
    except ValueError:
        return False
    return True


@st.composite
def subwords(draw, *, is_nested=False):
    """Modes whose faster ones are not the wider ones; if nested, each fits into the one before."""
    count = draw(st.integers(1, 4))
    rates = sorted((draw(st.sampled_from(RATIOS)) for _ in range(count)), key=RATIOS.index)
    cells = sorted({(draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from((1, 2, 4, 8)))) for _ in range(count)},
                   key=lambda bits: (-bits[0] * bits[1], bits))
    if is_nested:
        cells = [bits for place, bits in enumerate(cells)
                 if all(bits[0] <= wider[0] and bits[1] <= wider[1] for wider in cells[:place])]
    modes = [{"weight_bits": w, "input_bits": a, "macs_per_cycle": rate} for (w, a), rate in zip(cells, rates, strict=False)]
    document = {"kind": "subword", "modes": modes, "widens": draw(st.sampled_from(("reduction", "channels")))}
    return document if _is_sound(document) else {**document, "modes": modes[:1]}


bit_fusions = st.builds(
    lambda fused, weight, given: {"kind": "bit_fusion", "fused_bits": fused, "weight_bits": max(weight, fused),
                                  "input_bits": max(given, fused)},
    st.sampled_from((4, 8, 16)), st.integers(4, 20), st.integers(4, 20))


@st.composite
def bit_serials(draw):
    document = {"kind": "bit_serial", "serial": draw(st.sampled_from(("weights", "inputs", "both"))),
                "weight_bits": draw(st.integers(1, 10)), "input_bits": draw(st.integers(1, 10)),
                "bits_per_cycle": draw(st.integers(1, 3)), "overhead_cycles": draw(st.integers(0, 5)),
                "one_bit_reduction": draw(st.sampled_from((1, "4/3", 2)))}
    if draw(st.booleans()):
        document["depthwise_overhead_cycles"] = draw(st.integers(0, 9))
    if draw(st.booleans()):
        document["pointwise"] = {"reduction": draw(st.sampled_from(("1/4", "1/3", "1/2", "1"))),
                                 "overhead_cycles": draw(st.integers(0, 5))}
    return document


codebooks = st.builds(
    lambda length, per_weight, entry, given: {"kind": "codebook", "index_bits": length * per_weight, "vector_length": length,
                                              "entry_bits": max(entry, per_weight), "input_bits": given},
    st.integers(1, 3), st.integers(1, 5), st.integers(1, 16), st.integers(1, 16))
logic = st.one_of(
    st.builds(lambda bits: {"kind": "binary", "input_bits": bits}, st.integers(1, 8)),
    st.builds(lambda bits: {"kind": "ternary", "input_bits": bits}, st.integers(1, 8)),
    st.builds(lambda code, bits: {"kind": "shift_add", "weight_bits": code, "input_bits": bits},
              st.integers(2, 6), st.integers(1, 16)),
    st.builds(lambda bits: {"kind": "float", "bits": bits}, st.sampled_from((16, 32))))
fixed = st.builds(
    lambda weight, given, gated: {"kind": "fixed", "weight_bits": weight, "input_bits": given, "gated": gated},
    st.integers(1, 16), st.integers(1, 16), st.booleans())

#: Any kind.
precisions = st.one_of(fixed, subwords(is_nested=True), bit_fusions, bit_serials(), codebooks, logic)


@st.composite
def widths(draw, precision):
    """(weight, input) widths that a kind takes."""
    weight_bits, input_bits = draw(st.sampled_from(precision.limits))
    return draw(st.integers(1, weight_bits)), draw(st.integers(1, input_bits))
