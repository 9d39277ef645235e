"""Kernels that need not import what every chapter imports: forks of a process that has done so.

A chapter's kernel is still a process of its own, and starts from the same state: modules, and
nothing run. Half of what a short chapter took was the import of torch, pandas and seaborn.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner


def manager(chapters: int, workers: int) -> type[AsyncKernelManager]:
    """Whose kernels so many chapters best run in, each worker one after the other.

    Importing everything beforehand, once for each worker, pays from the third chapter on. Elsewhere
    than on Linux a fork after these imports is not safe (macOS) or not possible (Windows).
    """
    many = chapters > 2 * workers
    return ForkedKernel if many and sys.platform == "linux" else AsyncKernelManager


def leave_with_parent() -> None:
    """From now on, this process ends when the one that started it has, in whatever way."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class ForkedKernel(AsyncKernelManager):
    """A kernel that is a fork.

    The process that is forked is started with the first one, in the environment of then.
    """

    async def _async_pre_start_kernel(self, **kwargs: Any) -> Any:
        if self.provisioner is None:
            self.provisioner = _Provisioner(
                kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
            )
        return await super()._async_pre_start_kernel(**kwargs)

    pre_start_kernel = _async_pre_start_kernel


class _Provisioner(LocalProvisioner):
    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork instead of running ``cmd``, whose arguments the kernel gets."""
        context = get_context("forkserver")
        context.set_forkserver_preload(["sgdm_lib.book.build.preloaded"])
        arguments = cmd[cmd.index("-f") :]
        self.cwd = kwargs.get("cwd") or os.getcwd()
        env = dict(kwargs.get("env") or os.environ)
        process = context.Process(target=_serve, args=(arguments, self.cwd, env))
        process.start()
        forked: Any = _Forked(process)
        self.process, self.pid = forked, process.pid
        return self.connection_info


class _Forked:
    """A process of multiprocessing, with the methods of ``subprocess.Popen`` that are asked for."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.pid is not None and self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _serve(arguments: list[str], cwd: str, env: dict[str, str]) -> None:
    """In the fork: be the kernel until it is shut down, or who asked for it has gone."""
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()  # Ctrl-C is for the one who waits for the chapter
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    leave_with_parent()
    app = IPKernelApp.instance()
    app.initialize(arguments)
    app.start()
