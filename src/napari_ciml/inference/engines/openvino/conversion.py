"""Converting a network, keeping it on disk, and cutting out the part of it that is to run."""

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
from platformdirs import user_cache_path

from napari_ciml.inference.engines.openvino import graph
from napari_ciml.network.ciml import CIML
from napari_ciml.paths import sample_data
from napari_ciml.progress import ProgressMonitor

BESIDE = ".napari-ciml-compiled"
"""The folder beside checkpoints."""

_NETWORKS = 8
"""How many networks are kept in a place; then the one that was not used for longest goes."""

_FORM = 5
"""Counts the forms of what is kept; models of another form are not read."""


def convert_or_load(
    core: openvino.Core, network: CIML, key: str, checkpoint: Path, monitor: ProgressMonitor
) -> openvino.Model:
    """Return the whole network as one model, from the disk if it was converted before.

    Parameters
    ----------
    core : openvino.Core
        Reads it.
    network : CIML
        In evaluation mode, on the CPU.
    key : str
        Of the weights.
    checkpoint : pathlib.Path
        The network's file, beside which it is kept where that may be.
    monitor : Monitor
        Told if it has to be converted, which takes seconds.
    """
    path = cache_folder(checkpoint) / f"{key[:32]}.xml"
    model = _read(core, path)
    if model is None:
        monitor.step("Compiling the network (once for each checkpoint)")
        model = _convert(graph.TracedNetwork(network).eval())
        with suppress(OSError, RuntimeError):  # a cache that cannot be written only costs time
            _write(model, path)
    with suppress(OSError):
        os.utime(path)  # used now
        _prune(path.parent)
    return model


def extract_subgraph(
    whole: openvino.Model, network: CIML, subtasks: Collection[str], given: Collection[str]
) -> openvino.Model:
    """Return the part of a model that runs some subtasks, with some encoders' levels as inputs.

    Its outputs are what the subtasks give, and the levels of the encoders that it runs itself.

    Parameters
    ----------
    whole : openvino.Model
        What `converted` returned; stays as it is.
    network : CIML
        What it was converted from.
    subtasks : collection of str
        Names of subtasks.
    given : collection of str
        Names of encoders.
    """
    model = whole.clone()
    parameters = {port.any_name: port.get_node() for port in model.inputs}
    used = [graph.image(name) for name in network.encoders if name in subtasks]
    used += [
        graph.message_mask_input(name) for name in subtasks if network.segmentor(name).auxiliaries
    ]
    for name in (level for encoder in given for level in graph.levels(encoder)):
        source = model.output(name).get_node().input_value(0)
        source.get_tensor().set_names(set())
        instead = opset13.parameter(source.get_partial_shape(), source.get_element_type())
        instead.output(0).get_tensor().set_names({name})
        for target in source.get_target_inputs():
            target.replace_source_output(instead.output(0))
        parameters[name] = instead
        used.append(name)
    run = [name for name in network.required_encoders(subtasks) if name not in given]
    used += [graph.image(name) for name in run if name not in subtasks]
    wanted = [level for name in run for level in graph.levels(name)]
    wanted += [result for name in subtasks for result in graph.results(network, name)]
    ports = [model.output(name).get_node() for name in wanted]
    return openvino.Model(ports, [parameters[name] for name in used], "part")


def in_half_precision(model: openvino.Model) -> openvino.Model:
    """Return a model that takes and gives in bf16 whatever is large and goes on to be computed on.

    Those are levels, the deep half and kappas; images, logits and statistics stay float32.
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


def _convert(whole: graph.TracedNetwork) -> openvino.Model:
    example = whole.example()
    loose = [[*e.shape[:2], -1, -1, -1] if e.dim() > 1 else list(e.shape) for e in example]
    plain = torch.autocast("cpu", enabled=False)  # OpenVINO has its own
    with plain, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, about Python branches on shapes
        model = openvino.convert_model(
            whole, example_input=example, input=[openvino.PartialShape(s) for s in loose]
        )
    for ports, names in ((model.inputs, whole.inputs), (model.outputs, whole.outputs)):
        for port, name in zip(ports, names, strict=True):
            port.get_tensor().set_names({name})
    return model


def cache_folder(checkpoint: Path) -> Path:
    """Return where networks are kept: beside their checkpoint, else in the user's cache.

    Beside one that is shipped nothing is written: its folder is the installation's.
    """
    version = openvino.__version__.split("-")[0]
    folder = checkpoint.absolute().parent
    beside = folder != sample_data() and os.access(folder, os.W_OK)
    kept = folder / BESIDE if beside else user_cache_path("napari-ciml") / "compiled"
    return kept / f"openvino-{version}-{_FORM}"


def _read(core: openvino.Core, path: Path) -> openvino.Model | None:
    try:
        if not path.is_file() or _digest_file(path).read_text() != _digest(path):
            return None
        return core.read_model(path)
    except (OSError, UnicodeDecodeError, RuntimeError):  # damaged, or cut off by a crash
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
    """Delete what was not used for longest, of this version of OpenVINO and of others."""
    by_use = sorted(folder.parent.glob("*/*.bin"), key=_used, reverse=True)
    for path in by_use[_NETWORKS:]:
        path.with_suffix(".xml").unlink(missing_ok=True)  # first: what has none is not read
        _digest_file(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _used(weights: Path) -> float:
    described = weights.with_suffix(".xml")
    return described.stat().st_mtime if described.is_file() else 0.0


def _write(model: openvino.Model, path: Path) -> None:
    """Write weights first, so that a model that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        openvino.save_model(model, made, compress_to_fp16=False)
        _digest_file(made).write_text(_digest(made))
        for suffix in (".bin", ".sha256", ".xml"):
            os.replace(made.with_suffix(suffix), path.with_suffix(suffix))
