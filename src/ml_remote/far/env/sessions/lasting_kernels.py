"""Kernels of JupyterLab's server that outlive it.

Its process for such a kernel is only a proxy. Restart and *Shut Down Kernel* are asked for by a
person, and reach the kernel through it as messages. What the server ends on its own account, when
it ends itself or when nobody looks, is the proxy alone: the kernel may be shown in VS Code, too,
and a cell may run in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jupyter_server.services.kernels.kernelmanager import (
    AsyncMappingKernelManager,
    ServerKernelManager,
)

from ..kernels import LASTING

__all__ = ["LeavingKernelManager", "LeavingKernelsManager"]

_IS_LEFT: ContextVar[bool] = ContextVar("is_left", default=False)


class LeavingKernelManager(ServerKernelManager):
    """One kernel of the server."""

    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        """End the kernel as it is asked for; of one that is to be left, the proxy."""
        spec = self.kernel_spec
        if not _IS_LEFT.get() or spec is None or LASTING not in spec.argv:
            await super().shutdown_kernel(now=now, restart=restart)
            return
        self.shutting_down = True
        self.stop_restarter()
        if self.has_kernel:
            assert self.provisioner is not None
            await self.provisioner.terminate()
        await self.finish_shutdown()
        await self.cleanup_resources()


class LeavingKernelsManager(AsyncMappingKernelManager):
    """All kernels of the server; those that outlive it are left when it ends or tidies up."""

    async def shutdown_all(self, now: bool = False) -> None:
        """Leave every kernel, at the end of the server."""
        with _left():
            await super().shutdown_all(now=now)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """Leave a kernel at which nobody looks any more."""
        with _left():
            await super().cull_kernel_if_idle(kernel_id)


@contextmanager
def _left() -> Iterator[None]:
    token = _IS_LEFT.set(True)
    try:
        yield
    finally:
        _IS_LEFT.reset(token)
