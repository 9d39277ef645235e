"""Jupyter kernels that are forks of a process in which the chapters' imports are already done.

Importing torch, pandas and seaborn takes half of the time of a short chapter. Each chapter still
has a process of its own, and every one of them starts from the same state: the modules are
imported, and no code of a chapter has run.
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
    """Choose the kernel manager for a build: forked kernels if they save time, else plain ones.

    Each worker imports everything once before its first chapter, which saves time from the third
    chapter on. A fork after these imports is safe on Linux only.

    Args:
        chapters: number of chapters to execute.
        workers: number of processes that execute them.

    Returns:
        The class of the kernel manager.
    """
    many = chapters > 2 * workers
    return ForkedKernel if many and sys.platform == "linux" else AsyncKernelManager


def leave_with_parent() -> None:
    """Let this process end as soon as the process that started it has ended, even if killed."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class ForkedKernel(AsyncKernelManager):
    """A manager that starts its kernel as a fork of the process with the imports.

    That process starts together with the first kernel and keeps the environment of that moment.
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
    """Wraps a ``multiprocessing`` process in the ``subprocess.Popen`` methods that Jupyter calls."""

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
    """Run the kernel in the fork, until Jupyter shuts it down or the process that started it ends."""
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()  # Ctrl-C shall reach the build only, which then stops its kernels
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    leave_with_parent()
    app = IPKernelApp.instance()
    app.initialize(arguments)
    app.start()
