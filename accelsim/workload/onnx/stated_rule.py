"""The requantization rule that a model was made for, where its metadata state one.

ONNX states real scales, and how their products become integers is each runtime's own affair. A model for hardware without
floating point says besides which integers its scales are: the entry ``accelsim.requantization``, in JSON, such as
``{"scheme": "dyadic"}``. Multipliers and shifts follow from the scales by that rule (`accelsim.numerics.multiplier`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from accelsim.errors import NumericsError, WorkloadError
from accelsim.numerics.rule import Rule
from accelsim.numerics.rule_names import RepeatableRounding, SchemeName
from accelsim.problem import quoted

if TYPE_CHECKING:
    from onnx import ModelProto

#: The metadata's entry.
KEY = "accelsim.requantization"

_OPTIONS = ("rounding", "multiplier_bits")


def rule_document(rule: Rule) -> dict[str, object]:
    """A rule as plain data, without what it leaves open.

    >>> rule_document(Rule("shift_floor", multiplier_bits=15))
    {'scheme': 'shift_floor', 'multiplier_bits': 15}
    """
    options = {name: getattr(rule, name) for name in _OPTIONS}
    return {"scheme": rule.scheme} | {name: option for name, option in options.items() if option is not None}


def rule_of(document: object) -> Rule:
    """The rule of such data.

    Raises
    ------
    NumericsError : no such data, an unknown scheme, an option that the scheme lacks.

    >>> rule_of({"scheme": "power_of_two", "rounding": "half_even"}).rounding
    'half_even'
    """
    if not isinstance(document, dict) or not {"scheme"} <= document.keys() <= {"scheme", *_OPTIONS}:
        raise NumericsError(f"expected a rule such as {{scheme: dyadic}}, got {quoted(document)}")
    bits = document.get("multiplier_bits")
    for name, names in (("scheme", get_args(SchemeName)), ("rounding", (None, *get_args(RepeatableRounding)))):
        if document.get(name) not in names:
            known = ", ".join(filter(None, names))
            raise NumericsError(f"expected one of {known}, got {quoted(document[name])}", field=name)
    if bits is not None and (isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 31):
        raise NumericsError(f"expected 1 to 31, got {quoted(bits)}", field="multiplier_bits")
    return Rule(document["scheme"], document.get("rounding"), bits)


def stated_rule(model: ModelProto, path: Path) -> Rule | None:
    """The rule that a model states; None where it says nothing.

    Raises
    ------
    WorkloadError : metadata that are no rule.
    """
    text = next((entry.value for entry in model.metadata_props if entry.key == KEY), None)
    if text is None:
        return None
    try:
        return rule_of(json.loads(text))
    except NumericsError as error:
        raise WorkloadError(error.problem, file=str(path), field=f"{KEY}: {error.field}" if error.field else KEY) from None
    except (ValueError, RecursionError):
        raise WorkloadError(f"expected a rule in JSON, got {quoted(text)}", file=str(path), field=KEY) from None
