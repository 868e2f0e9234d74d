"""From YAML text to an `Accelerator`, or to one line that says what is wrong and where.

The first problem in the order of the file is told, as ``file:line: dotted.field: expected ..., got ...``. Nothing but
`HardwareError` is raised for what a user can write.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from accelsim.errors import HardwareError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.energy_table import EnergyTable
from accelsim.hardware.presets import energy_table_path, preset_path
from accelsim.hardware.quantity import Spec
from accelsim.hardware.validation import problems_of
from accelsim.problem import Problem, quoted
from accelsim.source_file import read_text
from accelsim.yaml_tree import YamlTree, read_yaml

_Described = TypeVar("_Described", bound=Spec)


def load_accelerator(name_or_path: str | Path) -> Accelerator:
    """Read a shipped accelerator by its name, or a YAML file by its path.

    Parameters
    ----------
    name_or_path : a name without suffix and without folder is a preset ("edge_16x16"), anything else a path.

    Raises
    ------
    HardwareError : the file cannot be read, or is not the description of a possible accelerator.

    Examples
    --------
    >>> load_accelerator("edge_16x16").pe_grid.rows
    16
    """
    path = Path(name_or_path)
    if not path.suffix and str(name_or_path) == path.name:
        path = preset_path(path.name)
    return parse_accelerator(read_text(path, raises=HardwareError), file=str(path))


def parse_accelerator(text: str, *, file: str) -> Accelerator:
    """Understand a YAML description; `file` is its name in messages.

    Raises
    ------
    HardwareError : the text is not the description of a possible accelerator.

    Examples
    --------
    >>> parse_accelerator("schema_version: 1\\nname: npu\\nclok: 1 GHz", file="npu.yaml")
    Traceback (most recent call last):
    accelsim.errors.HardwareError: npu.yaml:1: pe_grid: expected this key, which is missing
    """
    tree = read_yaml(text, file=file, raises=HardwareError)
    problems: list[Problem] = []
    if isinstance(tree.data, dict) and not isinstance(tree.data.get("energy", {}), dict):
        try:
            tree.data["energy"] = load_energy_table(tree.data["energy"])
        except HardwareError as error:
            problems.append(Problem(("energy",), error.problem))
    return _validated(Accelerator, tree, problems)


def load_energy_table(name: object) -> EnergyTable:
    """Read a shipped energy table. Raises `HardwareError` for anything but the name of one.

    >>> load_energy_table("horowitz_45nm").multiply[0].energy_pj
    0.2
    """
    path = energy_table_path(name)
    tree = read_yaml(read_text(path, raises=HardwareError), file=str(path), raises=HardwareError)
    return _validated(EnergyTable, tree, [])


def _validated(model: type[_Described], tree: YamlTree, problems: list[Problem]) -> _Described:
    if not isinstance(tree.data, dict):
        text = f"expected a mapping of keys such as name and pe_grid, got {quoted(tree.data)}"
        raise tree.error([*problems, Problem((), text)])
    try:
        described = model.model_validate(tree.data)
    except ValidationError as error:
        found = problems_of(error, model=model, document=tree.data)
        known = {problem.path for problem in problems}
        raise tree.error(problems + [problem for problem in found if problem.path not in known]) from None
    if problems or tree.problems:
        raise tree.error(problems)
    return described
