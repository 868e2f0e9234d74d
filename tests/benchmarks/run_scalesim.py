"""Runs SCALE-Sim 3.0.0 on a topology file and prints what it published, as JSON.

Standalone: it is executed by the Python that SCALE-Sim is installed in (``pip install scalesim==3.0.0 "numpy<2"``), which
need not have accelsim::

    $SCALESIM_PYTHON tests/benchmarks/run_scalesim.py topology.csv --kind gemm --dataflow ws --rows 8 --columns 8

SCALE-Sim runs in its CALC mode (the DRAM always keeps up, so that there are no stalls) with its default buffers, and writes
no traces. `cycles` are the column "Total Cycles" of its COMPUTE_REPORT.csv; `cpu_seconds` leave out the imports.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

#: All keys that scalesim/scale_config.py, read_conf_file asks for; sizes are its defaults (__init__).
_CONFIG = """\
[general]
run_name = run
[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {columns}
IfmapSramSzkB: 256
FilterSramSzkB: 256
OfmapSramSzkB: 128
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: {dataflow}
ReadRequestBuffer: 60
WriteRequestBuffer: 60
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("topology", type=Path)
    parser.add_argument("--kind", choices=("conv", "gemm"), required=True)
    parser.add_argument("--dataflow", choices=("ws", "os", "is"), required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--columns", type=int, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(arguments, Path(folder))))


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """One run; what it writes goes to `folder`."""
    from scalesim.scale_sim import scalesim

    config, layout = folder / "run.cfg", folder / "layout.csv"
    config.write_text(_CONFIG.format(rows=arguments.rows, columns=arguments.columns, dataflow=arguments.dataflow))
    with arguments.topology.open() as stream:
        names = [row[0] for row in csv.reader(stream) if row][1:]
    # The layout is not consulted without the custom layouts, but a file with a line per layer has to be there.
    layout.write_text("\n".join(["header,"] + [",".join([name.replace("DP", "dp")] + ["1"] * 20) + "," for name in names]))
    started = time.process_time()
    simulator = scalesim(save_disk_space=True, verbose=False, config=str(config), topology=str(arguments.topology),
                         layout=str(layout), input_type_gemm=arguments.kind == "gemm")
    simulator.run_scale(top_path=str(folder))
    cpu_seconds = time.process_time() - started
    with (folder / "run" / "COMPUTE_REPORT.csv").open() as stream:
        report = list(csv.DictReader(stream, skipinitialspace=True))
    return {"version": version("scalesim"), "layers": names, "cycles": [int(float(row["Total Cycles"])) for row in report],
            "stall_cycles": [int(float(row["Stall Cycles"])) for row in report], "cpu_seconds": cpu_seconds,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


if __name__ == "__main__":
    main()
