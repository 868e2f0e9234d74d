"""Another accelerator with some fields changed, for sweeps and ablations."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from accelsim.errors import HardwareError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.document_path import path_mistake, put
from accelsim.hardware.loader import load_energy_table
from accelsim.hardware.validation import problems_of


def with_changes(accelerator: Accelerator, changes: Mapping[str, object]) -> Accelerator:
    """A copy with the fields at these dotted paths replaced, checked as a whole.

    Parameters
    ----------
    accelerator : the description to start from.
    changes : dotted path as in the YAML -> value as in the YAML ("51.2 GB/s", 8, a mapping); None takes an optional
        value away; `energy` may be the name of a shipped table.

    Raises
    ------
    HardwareError : a path that does not exist, or a combination that is impossible.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> small = with_changes(load_accelerator("edge_16x16"), {"pe_grid.rows": 8, "dram.bandwidth": "51.2 GB/s"})
    >>> small.pe_grid.rows, small.dram.bandwidth_bytes_per_second
    (8, 51200000000)
    """
    document = accelerator.to_document()
    for path, value in changes.items():
        if path == "energy" and isinstance(value, str):
            value = load_energy_table(value).to_document()
        if mistake := path_mistake(path, document):
            raise HardwareError(mistake)
        put(document, path, value)
    try:
        return Accelerator.model_validate(document)
    except UnicodeEncodeError:
        raise HardwareError("expected Unicode text in every change") from None
    except ValidationError as error:
        first = problems_of(error, model=Accelerator, document=document)[0]
        raise HardwareError(first.text, field=first.field) from None
