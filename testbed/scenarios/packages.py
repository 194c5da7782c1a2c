"""What comes with the machine, and not from a registry of a language."""

import os
import shutil
import subprocess


def installed(package, find):
    """What `find` gives, which root may install as this package of Debian when it is missing; nothing when that fails."""
    found = find()
    if found or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    install = ["install", "--yes", "--quiet", "--no-install-recommends", package]
    # The lists of packages may be missing, or older than what they name.
    _ = _apt_get(install) or (_apt_get(["update", "--quiet"]) and _apt_get(install))
    return find()


def _apt_get(arguments):
    try:
        done = subprocess.run(
            # Another one may be installing something.
            ["apt-get", "-o", "DPkg::Lock::Timeout=120", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, timeout=300,
        )
    except subprocess.TimeoutExpired:
        # Where there is no network.
        return False
    return done.returncode == 0
