"""What the API does is what openapi.json says, asked with everything that the document allows and forbids."""

import json
import os
import re
import subprocess

from .processes import check
from .vpn import CORPORATE_SECRET

_CONFIGURATION = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "schemathesis.toml")
# How much is asked: every operation's corners once, and then so many requests each.
_EXAMPLES = 25
_SECONDS = 300.0


def the_api_is_as_openapi_json_describes_it(world):
    vpn = world.vpn
    # Whole batteries of wrong secrets are sent, and none of them may be turned away for being one too many.
    vpn.environment["FAILED_ATTEMPTS_PER_MINUTE"] = "1000000"
    # Events are taken, and refused for their signature.
    vpn.environment["WEBHOOK_SECRET"] = "a-secret-of-the-sender"
    world.one_node()
    vpn.declare_user("AB123456", owner="Anna Ivanova")
    vpn.link("AB123456")
    served = vpn.expect("GET", "/openapi.json")
    root = os.path.dirname(os.path.dirname(_CONFIGURATION))
    with open(os.path.join(root, "openapi.json")) as kept:
        # Where it is served is nothing that can be checked in.
        check(served.pop("servers") == [{"url": "/"}], "the document names another server than the one that serves it")
        check(served == json.load(kept), "the operator serves another document than the one that is checked in")
    report = os.path.join(world.path, "schemathesis.log")
    program = os.path.join(os.path.dirname(world.tools.python), "schemathesis")
    with open(report, "w") as log:
        done = subprocess.run(
            [
                program, "--config-file", _CONFIGURATION, "run", f"http://127.0.0.1:{vpn.api_port}/openapi.json",
                "--header", f"X-Corporate-Secret: {CORPORATE_SECRET}", "--max-examples", str(_EXAMPLES),
                "--seed", os.environ.get("TESTBED_SEED", "1"), "--no-color", "--generation-database", "none",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=world.path, timeout=_SECONDS,
        )
    with open(report, errors="replace") as log:
        said = log.read()
    check(done.returncode == 0, f"schemathesis found something:\n{said[-6000:]}")
    vpn.expect("GET", "/user/AB123456")
    cases = re.search(r"(\d[\d,]*) generated", said)
    return f"{cases.group(1) if cases else 'all'} requests, nothing found"
