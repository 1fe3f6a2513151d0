"""Every model of a study is built once before the first run: what is wrong with it shows at once."""

from __future__ import annotations

from collections.abc import Iterable

from training.architectures import Architecture
from training.job import make_job
from training.optim import make_optimizer, starting_lr
from training.run import settle
from training.settings import Settings
from training.studies.material import Material


def try_models(
    material: Material,
    architectures: Iterable[Architecture],
    settings: Settings,
    device: str,
    trust_remote_code: bool,
) -> None:
    """Build every model for the first variant of the data, and its optimizer.

    Raises:
        InputError: An unknown model, option, optimizer, device or precision.
    """
    job = make_job(next(iter(material.variants.values())).examples, False, None, False)
    for each in architectures:
        _, net, _ = settle(
            job, each.model, settings, 0, model_options=each.options, device=device,
            trust_remote_code=trust_remote_code,
        )  # fmt: skip
        lr = settings.lr or starting_lr(settings.optimizer, net.default_learning_rate)
        make_optimizer(
            settings.optimizer, net.module.parameters(), lr, settings.weight_decay, settings.optimizer_options
        )
