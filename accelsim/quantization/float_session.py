"""A float network in onnxruntime, ready to run batch after batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError

if TYPE_CHECKING:
    from accelsim.quantization.float_model import FloatModel


class _Memory(NamedTuple):
    """Shapes of a run's inputs, and what it wrote."""

    shapes: dict[str, tuple[int, ...]]
    values: dict[str, NDArray[Any]]


class FloatSession:
    """Runs a float network and fetches some of its tensors; only these are computed and kept, for one batch.

    Parameters
    ----------
    model : the network.
    tensors : names of tensors that nodes write, or of inputs.
    memories : so many runs of equal shapes, one after the other, write their tensors to places of their own; the next one
        writes where the first of them wrote. Whoever looks at them before that saves the time in which fresh memory is
        handed out, a fifth of a run that fetches everything. 0: every run has fresh memory.
    threads : of onnxruntime; one a processor if left out.

    Raises
    ------
    WorkloadError : a model that onnxruntime refuses, a tensor that is not there.
    """

    def __init__(self, model: FloatModel, tensors: Sequence[str], *, memories: int = 0, threads: int | None = None) -> None:
        self._model = model
        self._threads = threads
        #: The oldest first: what is bound next, once there are as many as asked for.
        self._memories: deque[_Memory] = deque(maxlen=memories)
        self._given = tuple(name for name in tensors if name in model.inputs)
        self._fetched = tuple(dict.fromkeys(name for name in tensors if name not in model.inputs))
        for name in self._fetched:
            if model.writer(name) is None:
                raise model.error("expected a tensor that the network computes, got none of that name", name)
        self._session: Any = self._made() if self._fetched else None

    def _made(self) -> Any:
        import onnxruntime
        from onnx import helper

        proto = self._model.proto
        del proto.graph.output[:]
        proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in self._fetched)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.intra_op_num_threads = self._threads or 0
        try:
            return onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own types, which share no public base
            raise self._model.error(f"onnxruntime does not take this model: {error}") from error

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The tensors by name.

        Raises
        ------
        WorkloadError : inputs that onnxruntime refuses.
        """
        found = {name: inputs[name] for name in self._given}
        if self._session is not None:
            try:
                found |= self._fetch(inputs)
            except Exception as error:
                raise self._refused(error) from error
        return found

    def _fetch(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        shapes = {name: array.shape for name, array in inputs.items()}
        memories = self._memories
        if len(memories) == memories.maxlen and memories and all(each.shapes == shapes for each in memories):
            memory = memories[0]
            memories.rotate(-1)
            binding = self._session.io_binding()
            for name, array in inputs.items():
                binding.bind_cpu_input(name, np.ascontiguousarray(array))
            for name, array in memory.values.items():
                binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
            self._session.run_with_iobinding(binding)
            return memory.values
        values = dict(zip(self._fetched, self._session.run(list(self._fetched), dict(inputs)), strict=True))
        memories.append(_Memory(shapes, values))
        return values

    def _refused(self, error: Exception) -> WorkloadError:
        return self._model.error(f"onnxruntime does not run this model on these inputs: {error}")
