"""The training loop of section 4.2, interruptible and resumable."""

import csv
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader

from napari_ciml.decomposition import Decomposition, Message
from napari_ciml.errors import CimlError, InputError
from napari_ciml.files import replacing
from napari_ciml.inference.device import choose_device, mixed_precision
from napari_ciml.monitor import Monitor
from napari_ciml.network.ciml import CIML
from napari_ciml.network.loss import CIMLLoss
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.patches import PatchStream
from napari_ciml.training.settings import TrainSettings

STATE = "state.safetensors"
LOG = "log.csv"
_COLUMNS = ("step", "learning_rate", "loss", "dice", "cross_entropy", "kl")
_CLIP = 12.0


def poly_rate(settings: TrainSettings, epoch: int) -> float:
    """Return the learning rate of an epoch (eq. 13)."""
    return float(settings.learning_rate * (1 - epoch / settings.epochs) ** 0.9)


def draw_muted(
    decomposition: Decomposition, settings: TrainSettings, rng: np.random.Generator
) -> frozenset[Message]:
    """Draw the messages that one step does without."""
    absent = {m for m in decomposition.used_modalities if rng.random() < settings.modality_dropout}
    return frozenset(
        message
        for message in decomposition.messages
        if message.auxiliary in absent or rng.random() < settings.message_dropout
    )


def train(
    cases: list[TrainingCase],
    settings: TrainSettings,
    folder: Path,
    monitor: Monitor,
    device_name: str = "auto",
    resume: bool = False,
) -> CIML:
    """Train a network; after each epoch its state and a line of the log are written.

    Parameters
    ----------
    cases : list of TrainingCase
        In the model's space.
    settings : TrainSettings
        The run.
    folder : pathlib.Path
        Takes ``settings.json``, ``log.csv`` and ``state.safetensors``.
    monitor : Monitor
        Told at each step; cancelling leaves the last epoch's state.
    device_name : str
        As `choose_device`.
    resume : bool
        Go on from the state in ``folder``.

    Raises
    ------
    InputError
        If there is nothing to resume, or it is of another run.
    """
    torch.manual_seed(settings.seed)
    device = choose_device(device_name)
    network = CIML(settings.decomposition, settings.network).to(device)
    adam = torch.optim.Adam(
        network.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, 0.999),
        weight_decay=settings.weight_decay,
    )
    first = _resume(folder, settings, network, adam) if resume else _begin(folder, settings)
    loss_of = CIMLLoss(settings.decomposition, settings.beta)
    batches = iter(_loader(cases, settings, first * settings.iterations))
    network.train()
    for epoch in range(first, settings.epochs):
        for group in adam.param_groups:
            group["lr"] = poly_rate(settings, epoch)
        rng = np.random.default_rng((settings.seed, epoch))
        rows: list[tuple[float, ...]] = []
        for _ in range(settings.iterations):
            monitor.step("Training", epoch * settings.iterations + len(rows), _steps(settings))
            muted = draw_muted(settings.decomposition, settings, rng)
            rows.append(_step(network, adam, loss_of, next(batches), muted, device))
        _log(folder, (epoch + 1) * settings.iterations, poly_rate(settings, epoch), rows)
        _save_state(folder / STATE, network, adam, epoch + 1)
    return network.eval()


def _step(
    network: CIML,
    adam: torch.optim.Adam,
    loss_of: CIMLLoss,
    batch: dict[str, Tensor],
    muted: frozenset[Message],
    device: torch.device,
) -> tuple[float, ...]:
    whole = network.decomposition
    images = {
        m: batch["image"][:, k : k + 1].to(device) for k, m in enumerate(whole.used_modalities)
    }
    targets = {
        r: batch["regions"][:, k : k + 1].to(device) for k, r in enumerate(whole.region_names)
    }
    adam.zero_grad(set_to_none=True)
    with mixed_precision(device):
        predictions = network(images, muted=muted)
    parts = loss_of(predictions, targets)
    parts.total.backward()
    size = torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
    if not torch.isfinite(parts.total):
        raise CimlError(
            "The loss is no longer a number; use a smaller learning rate, and --resume."
        )
    # In half precision single gradients overflow now and then; that step is left out.
    if torch.isfinite(size):
        adam.step()
    return tuple(float(part.detach()) for part in parts)


def _loader(
    cases: list[TrainingCase], settings: TrainSettings, start: int
) -> DataLoader[dict[str, Tensor]]:
    return DataLoader(
        PatchStream(cases, settings, start), batch_size=settings.batch_size, num_workers=1
    )


def _steps(settings: TrainSettings) -> int:
    return settings.epochs * settings.iterations


def _begin(folder: Path, settings: TrainSettings) -> int:
    with replacing(folder / "settings.json") as path:
        path.write_text(settings.model_dump_json(indent=2), encoding="utf-8")
    with replacing(folder / LOG) as path:
        path.write_text(",".join(_COLUMNS) + "\n", encoding="utf-8")
    return 0


def _log(folder: Path, step: int, rate: float, rows: list[tuple[float, ...]]) -> None:
    means = np.mean(rows, axis=0)
    with (folder / LOG).open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow([step, f"{rate:.3g}", *(f"{value:.5f}" for value in means)])


def _save_state(path: Path, network: CIML, adam: torch.optim.Adam, epoch: int) -> None:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in adam.state[parameter].items():
            tensors[f"adam.{name}.{key}"] = value
    tensors["epoch"] = torch.tensor(epoch)
    with replacing(path) as temporary:
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)


def _resume(folder: Path, settings: TrainSettings, network: CIML, adam: torch.optim.Adam) -> int:
    path = folder / STATE
    if not path.is_file():
        raise InputError(f"{folder}: there is no run to resume; leave out --resume.")
    if json.loads((folder / "settings.json").read_text()) != settings.model_dump(mode="json"):
        raise InputError(f"{folder}: the run there has other settings; choose another folder.")
    tensors = load_file(path)
    network.load_state_dict(
        {
            name.removeprefix("network."): t
            for name, t in tensors.items()
            if name.startswith("network.")
        }
    )
    for name, parameter in network.named_parameters():
        prefix = f"adam.{name}."
        adam.state[parameter] = {
            key.removeprefix(prefix): value
            for key, value in tensors.items()
            if key.startswith(prefix)
        }
    return int(tensors["epoch"])
