"""Child processes that never outlive the run, free ports, and waiting by polling."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A scenario found something that must not be."""


def check(condition, message):
    if not condition:
        raise Failed(message)


def until(what, condition, seconds=10.0, every=0.02):
    """Polls until the condition gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Failed(f"in vain for {seconds:g} s: {what}")
        time.sleep(every)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One child in a process group of its own, with its output in a file."""

    def __init__(self, name, command, log, env=None, stdin=None, stdout_pipe=False, cwd=None):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout_pipe else output,
                stderr=output,
                env=env,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        if stdin is not None:
            self.popen.stdin.write(stdin.encode())
            self.popen.stdin.close()

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)

    def kill(self):
        """Ends the whole group at once."""
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self, seconds=10.0):
        """Asks to end, and insists after a while. Returns the exit code."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        finally:
            self.signal(signal.SIGKILL)
            if self.popen.stdout:
                self.popen.stdout.close()
        return self.popen.returncode

    def output(self):
        with open(self.log, errors="replace") as log:
            return log.read()
