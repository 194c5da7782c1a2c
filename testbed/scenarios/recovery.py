"""The data folder is lost, and put back by the commands of docs/recovery.md."""

import glob
import json
import os
import re
import shutil
import subprocess

from .processes import check, until
from .vpn import userinfo

_DOCUMENT = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "recovery.md")


def a_lost_data_folder_is_put_back_by_the_documents_commands(world):
    vpn = world.vpn
    backups = os.path.join(world.path, "backups")
    vpn.environment.update({"BACKUP_DIR": backups, "BACKUP_EVERY": "1m", "BACKUP_KEEP": "3"})
    node = world.one_node()
    for person in ("AB910001", "AB910002"):
        vpn.declare_user(person)
    stays, leaver = vpn.link("AB910001"), vpn.link("AB910002")
    world.client(stays, "before").connected().ping()
    prefix = vpn.username("AB910002") + "."
    vpn.deactivate("AB910002")
    check(not vpn.lets_in(userinfo(leaver)), "the leaver gets in before anything was lost")
    # Backups come by themselves; this one has to have the leaver in it.
    first = until("a backup", lambda: _newest(backups))
    vpn.process.stop()
    _run(world, vpn, "history", "backup", "--to", backups)
    newest = _newest(backups)
    check(newest != first, "the command took no backup of its own")
    rows = _manifest(newest)["audit"]["seq"]
    # The secrets are given by the environment here: they are what the document has kept apart.
    shutil.rmtree(vpn.data)
    taken = _commands("folder")
    for command in taken:
        command = command.replace("/backup/2026-03-15T020000Z", newest).replace("/var/lib/vpn-operator", vpn.data)
        _shell(world, vpn, command)
    vpn.start()
    check(vpn.link("AB910001") == stays, "the link changed")
    check(vpn.lets_in(userinfo(stays)), "who stays does not get in")
    world.client(stays, "after").connected().ping()
    check(not vpn.lets_in(userinfo(leaver)), "the leaver is in again")
    world.client(leaver, "leaver").refused()
    user = vpn.user("AB910002")
    check((user["access"], user["reason"]) == ("Denied", "Held"), f"the leaver is shown as {user}")
    who = vpn.expect("GET", "/audit/who?denied=true")
    shown = {person["corporate_id"]: person["access"] for person in who["people"]}
    check(shown == {"AB910001": "Granted", "AB910002": "Denied"}, f"audit who says {shown}")
    answer = _run(world, vpn, "history", "check")
    found = int(re.search(r"(\d+) audit rows", answer).group(1))
    check(found >= rows, f"the audit has {found} rows, the backup had {rows}")
    check(not node.online(prefix), f"the node shows {node.online(prefix)}")
    return f"{len(taken)} commands of the document; {found} audit rows, their chain unbroken; the leaver stays out"


def _newest(folder):
    found = sorted(path for path in glob.glob(os.path.join(folder, "2*")) if os.path.exists(os.path.join(path, "manifest.json")))
    return found[-1] if found else None


def _manifest(folder):
    with open(os.path.join(folder, "manifest.json")) as file:
        return json.load(file)


def _commands(mark):
    """The lines of the block in the document that is marked so."""
    with open(_DOCUMENT) as file:
        text = file.read()
    block = re.search(rf"<!-- testbed: {mark} -->\n```sh\n(.*?)```", text, re.S)
    check(block, f"docs/recovery.md has no block that is marked {mark}")
    lines = [line.split("  #")[0].strip() for line in block.group(1).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _environment(world, vpn):
    bin = os.path.join(world.path, "bin")
    os.makedirs(bin, exist_ok=True)
    program = os.path.join(bin, "vpn-operator")
    if not os.path.exists(program):
        os.symlink(world.tools.operator, program)
    return {"PATH": f"{bin}:{os.environ.get('PATH', '')}", "DATA_DIR": vpn.data, "DESIRED": f"folder:{vpn.folder}"}


def _run(world, vpn, *arguments):
    done = subprocess.run(
        [world.tools.operator, *arguments], env=_environment(world, vpn), capture_output=True, text=True, timeout=60, check=False
    )
    check(done.returncode == 0, f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _shell(world, vpn, command):
    done = subprocess.run(
        ["sh", "-euc", command], env=_environment(world, vpn), capture_output=True, text=True, timeout=60, check=False
    )
    check(done.returncode == 0, f"{command}: ended with {done.returncode}: {done.stderr}")
