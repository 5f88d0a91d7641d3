"""Convert a network to OpenVINO, cache it on disk, and extract the part that is to run."""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import openvino
import torch
from openvino import opset13

from napari_ciml.inference.engines.openvino import graph
from napari_ciml.network.ciml import CIML
from napari_ciml.paths import sample_data, user_cache_folder
from napari_ciml.progress import ProgressMonitor

FOLDER = ".napari-ciml-compiled"
"""Name of the cache folder beside checkpoints."""

_MAX_NETWORKS = 8
"""Number of networks in a cache folder; the least recently used ones are deleted."""

_CACHE_FORMAT = 6
"""Version of the cached models; models of another version are not read."""


def convert_or_load(
    core: openvino.Core, network: CIML, key: str, checkpoint: Path, monitor: ProgressMonitor
) -> openvino.Model:
    """Return the whole network as one model, from the disk cache if it was converted before.

    Parameters
    ----------
    core : openvino.Core
        Reads the model.
    network : CIML
        In evaluation mode, on the CPU.
    key : str
        Hash of the weights.
    checkpoint : pathlib.Path
        Path of the checkpoint; the cache is beside it where that is writable.
    monitor : ProgressMonitor
        Receives a step before the conversion, which takes seconds.
    """
    path = cache_folder(checkpoint) / f"{key[:32]}.xml"
    model = _read(core, path)
    if model is None:
        monitor.step("Compiling the network (once for each checkpoint)")
        model = _convert(graph.TracedNetwork(network).eval())
        with suppress(OSError, RuntimeError):  # a cache that cannot be written only costs time
            _write(model, path)
    with suppress(OSError):
        os.utime(path)  # marks it as recently used
        _prune(path.parent)
    return model


def extract_subgraph(
    model: openvino.Model, network: CIML, subtasks: Collection[str], given: Collection[str]
) -> openvino.Model:
    """Return the part of a model that runs some subtasks.

    Its outputs are the results of the subtasks, and the levels of the encoders that it runs.

    Parameters
    ----------
    model : openvino.Model
        As `convert_or_load` returns it; it is not changed.
    network : CIML
        The converted network.
    subtasks : collection of str
        Names of the subtasks.
    given : collection of str
        Names of encoders whose levels become inputs.
    """
    part = model.clone()
    parameters = {port.any_name: port.get_node() for port in part.inputs}
    inputs = [graph.image(name) for name in network.encoders if name in subtasks]
    inputs += [
        graph.message_mask_input(name) for name in subtasks if network.segmentor(name).auxiliaries
    ]
    for name in (level for encoder in given for level in graph.levels(encoder)):
        parameters[name] = _replace_by_input(part, name)
        inputs.append(name)
    encoders = [name for name in network.required_encoders(subtasks) if name not in given]
    inputs += [graph.image(name) for name in encoders if name not in subtasks]
    outputs = [level for name in encoders for level in graph.levels(name)]
    outputs += [result for name in subtasks for result in graph.results(network, name)]
    nodes = [part.output(name).get_node() for name in outputs]
    return openvino.Model(nodes, [parameters[name] for name in inputs], "part")


def _replace_by_input(model: openvino.Model, name: str) -> openvino.Node:
    """Make an output of a model an input, which everything behind it reads."""
    source = model.output(name).get_node().input_value(0)
    source.get_tensor().set_names(set())
    parameter = opset13.parameter(source.get_partial_shape(), source.get_element_type())
    parameter.output(0).get_tensor().set_names({name})
    for target in source.get_target_inputs():
        target.replace_source_output(parameter.output(0))
    return parameter


def in_half_precision(model: openvino.Model) -> openvino.Model:
    """Return a model whose large inputs and outputs are bf16: levels, deep features and kappas.

    Images, logits and statistics stay float32.
    """
    large = ("level", "deep", "kappa")
    ports = openvino.preprocess.PrePostProcessor(model)
    for port in model.inputs:
        if port.any_name.startswith(large):
            ports.input(port.any_name).tensor().set_element_type(openvino.Type.bf16)
    for port in model.outputs:
        if port.any_name.startswith(large):
            ports.output(port.any_name).tensor().set_element_type(openvino.Type.bf16)
    return ports.build()


def _convert(traced: graph.TracedNetwork) -> openvino.Model:
    """Convert a network with dynamic edges of the tile."""
    example = traced.example()
    shapes = [[*e.shape[:2], -1, -1, -1] if e.dim() > 1 else list(e.shape) for e in example]
    no_autocast = torch.autocast("cpu", enabled=False)  # OpenVINO converts precision itself
    with no_autocast, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, about Python branches on shapes
        model = openvino.convert_model(
            traced, example_input=example, input=[openvino.PartialShape(s) for s in shapes]
        )
    for ports, names in ((model.inputs, traced.inputs), (model.outputs, traced.outputs)):
        for port, name in zip(ports, names, strict=True):
            port.get_tensor().set_names({name})
    return model


def cache_folder(checkpoint: Path) -> Path:
    """Return the cache folder of a checkpoint: beside it if writable, else in the user's cache.

    Nothing is written beside a bundled checkpoint, which lies in the installation.
    """
    version = openvino.__version__.split("-")[0]
    folder = checkpoint.absolute().parent
    is_writable = folder != sample_data() and os.access(folder, os.W_OK)
    cache = folder / FOLDER if is_writable else user_cache_folder() / "compiled"
    return cache / f"openvino-{version}-{_CACHE_FORMAT}"


def _read(core: openvino.Core, path: Path) -> openvino.Model | None:
    try:
        if not path.is_file() or _digest_file(path).read_text() != _digest(path):
            return None
        return core.read_model(path)
    except (OSError, UnicodeDecodeError, RuntimeError):  # damaged, or truncated by a crash
        return None


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _digest(path: Path) -> str:
    """Return the SHA-256 of a model's two files, in hexadecimal."""
    digests = []
    for suffix in (".xml", ".bin"):
        with path.with_suffix(suffix).open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return " ".join(digests)


def _prune(folder: Path) -> None:
    """Delete the least recently used networks, of all versions of OpenVINO and of the cache."""
    by_use = sorted(folder.parent.glob("*/*.bin"), key=_last_use, reverse=True)
    for path in by_use[_MAX_NETWORKS:]:
        path.with_suffix(".xml").unlink(missing_ok=True)  # first: weights alone are not read
        _digest_file(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _last_use(weights: Path) -> float:
    description = weights.with_suffix(".xml")
    return description.stat().st_mtime if description.is_file() else 0.0


def _write(model: openvino.Model, path: Path) -> None:
    """Write a model, its weights first, so that an existing description is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        openvino.save_model(model, temporary, compress_to_fp16=False)
        _digest_file(temporary).write_text(_digest(temporary))
        for suffix in (".bin", ".sha256", ".xml"):
            os.replace(temporary.with_suffix(suffix), path.with_suffix(suffix))
