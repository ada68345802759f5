"""What updates a network's weights: momentum, and AdamW.

They compute what torch.optim.SGD and AdamW do, bit for bit, by functions of torch that do not
import its compiler, for which everybody would wait one to three seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

__all__ = ["AdamW", "MakeOptimizer", "Momentum", "Optimizer"]

Weights: TypeAlias = Iterable[nn.Parameter]
Kept: TypeAlias = Mapping[str, list[Any]]


class _Updates(ABC):
    """An optimiser that keeps some tensors for each weight, and updates all weights in one call."""

    def __init__(self, weights: Weights, lr: float, *names: str) -> None:
        self._weights = [weight for weight in weights if weight.requires_grad]
        kinds = {(one.device.type, one.is_floating_point()) for one in self._weights}
        self._fused = kinds <= {("cpu", True), ("cuda", True)}
        self._kept: dict[str, list[Any]] = {
            name: [torch.zeros_like(one) for one in self._weights] for name in names
        }
        self._kept["steps"] = [
            torch.zeros((), device=one.device if self._fused else "cpu") for one in self._weights
        ]
        self.param_groups: list[dict[str, Any]] = [{"params": self._weights, "lr": lr}]

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights that have gradients."""
        which = [number for number, one in enumerate(self._weights) if one.grad is not None]
        kept = {name: [tensors[number] for number in which] for name, tensors in self._kept.items()}
        weights: list[Any] = [self._weights[number] for number in which]
        # An embedding's gradients can be sparse, and what is kept is not.
        self._update(weights, [weight.grad.to_dense() for weight in weights], kept)

    @abstractmethod
    def _update(self, weights: list[Tensor], gradients: list[Tensor], kept: Kept) -> None: ...

    def zero_grad(self) -> None:
        """Clear the gradients."""
        for weight in self._weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept."""
        return dict(self._kept)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        for name, mine in self._kept.items():
            for tensor, saved in zip(mine, state_dict[name], strict=True):
                tensor.copy_(saved)


class Momentum(_Updates):
    """Stochastic gradient descent with Nesterov's momentum, which suits most networks."""

    def __init__(
        self, weights: Weights, lr: float, *, momentum: float = 0.9, weight_decay: float = 5e-4
    ) -> None:
        super().__init__(weights, lr, "velocities")
        self._momentum, self._weight_decay = momentum, weight_decay

    def _update(self, weights: list[Tensor], gradients: list[Tensor], kept: Kept) -> None:
        sgd(
            weights,
            gradients,
            kept["velocities"],
            lr=self.param_groups[0]["lr"],
            momentum=self._momentum,
            weight_decay=self._weight_decay,
            dampening=0.0,
            nesterov=True,
            maximize=False,
            fused=self._fused,
        )


class AdamW(_Updates):
    """AdamW: steps of its own size for each weight; quick for a short training.

    Source: I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization (2019).
    """

    def __init__(
        self,
        weights: Weights,
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(weights, lr, "means", "squares")
        self._betas, self._weight_decay = betas, weight_decay

    def _update(self, weights: list[Tensor], gradients: list[Tensor], kept: Kept) -> None:
        adamw(
            weights,
            gradients,
            kept["means"],
            kept["squares"],
            [],
            kept["steps"],
            lr=self.param_groups[0]["lr"],
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=self._weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
            fused=self._fused,
        )


Optimizer: TypeAlias = _Updates | torch.optim.Optimizer
MakeOptimizer = Callable[..., Optimizer]
"""Of a network's weights, and `lr`, what updates them."""
