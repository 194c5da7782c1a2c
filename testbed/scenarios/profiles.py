"""What clients read at the address of a subscription, and that they get in with nothing else."""

import contextlib
import json
import os
import subprocess

from .hopping import HoppingPorts
from .processes import check, until
from .shared import programs

MEGABYTE = 1024 * 1024
_SING_BOX = "SFA/1.14.1 (600; sing-box 1.14.1; language ru_RU)"


def sing_box_checks_the_profile_and_connects_hopping_obfuscated_and_pinned(world):
    program = os.path.join(programs("sing-box"), "sing-box")
    node = _hidden_node(world)
    with contextlib.closing(HoppingPorts(node.port)) as hopping:
        _declare(world, node, hopping.declared, certificate=node.certificate)
        profile = _profile(world, program)
        (outbound,) = [it for it in profile["outbounds"] if it["type"] == "hysteria2"]
        check(outbound["server_ports"] == [hopping.declared.replace("-", ":")], f"ports are {outbound.get('server_ports')}")
        check(outbound["obfs"]["type"] == "salamander", "the obfuscation is missing")
        check("insecure" not in outbound["tls"], "the certificate would not be verified")
        # Often enough to be seen.
        outbound["hop_interval"] = "5s"
        device = world.sing_box(program, profile, "sing-box").connected()
        device.download()
        device.upload(MEGABYTE)
        until("sing-box on a second port", lambda: len(hopping.used) > 1 or not device.gets_through(), 30)
        device.ping()
        used = len(hopping.used)
        check(used > 1, "the client stayed on one port")
    check(sum(node.online().values()) == 1, f"the node shows {node.online()}")
    # With the certificate of another server nobody is let in.
    other = world.node("other", obfuscation="another")
    _declare(world, node, str(node.port), certificate=other.certificate)
    until("the other certificate in the profile", lambda: _profile(world, program) != profile, 10)
    stranger = world.sing_box(program, _profile(world, program), "stranger").connected()
    check(not stranger.gets_through(), "a server with another certificate was believed")
    return f"{used} ports used; another server's certificate is refused"


def the_official_client_reads_its_own_form(world):
    node = _hidden_node(world)
    with contextlib.closing(HoppingPorts(node.port)) as hopping:
        _declare(world, node, hopping.declared, certificate=node.certificate, insecure=False)
        status, _, text = world.vpn.subscription("AB110001", form="hysteria")
        check(status == 200, f"the subscription answered {status}")
        # The client is told where to listen by the scenario.
        parse = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin.read()), sys.stdout)"
        read = subprocess.run([world.tools.python, "-c", parse], input=text, capture_output=True, text=True, check=True)
        configuration = {key: value for key, value in json.loads(read.stdout).items() if key not in ("socks5", "http")}
        check(configuration["server"] == f"127.0.0.1:{hopping.declared}", "the ports are others")
        check(configuration["tls"] == {"insecure": True, "pinSHA256": node.pin}, f"the pin is another: {configuration['tls']}")
        device = world.client(configuration, "official").connected()
        device.download()
        wrong = {**configuration, "tls": {"insecure": True, "pinSHA256": "00" * 32}}
        stranger = world.client(wrong, "stranger")
        until("the client with another pin gives up", lambda: not stranger.process.running(), 30)
    return "hopping, obfuscated, pinned by the hash of the declared certificate"


def _hidden_node(world):
    node = world.node(obfuscation="between us")
    world.vpn.environment["OBFS"] = "between us"
    return node


def _declare(world, node, ports, **more):
    """The person and the gateway; starts the operator where it does not run."""
    obfs = {"type": "salamander", "password": {"env": "OBFS"}}
    more = {"pinSha256": None, **more}
    world.vpn.declare_gateway(node, ports=ports, obfs=obfs, **more)
    world.vpn.declare_user("AB110001")
    if not world.vpn.process:
        world.vpn.start()


def _profile(world, program):
    """The profile that sing-box is given, after sing-box itself has checked it."""
    status, headers, text = world.vpn.subscription("AB110001", _SING_BOX)
    check(status == 200, f"the subscription answered {status}")
    check(headers["Content-Type"] == "application/json", f"it is {headers['Content-Type']}")
    path = os.path.join(world.path, "profile.json")
    with open(path, "w") as file:
        file.write(text)
    done = subprocess.run([program, "check", "-c", path], capture_output=True, text=True)
    check(done.returncode == 0 and not done.stderr.strip(), f"sing-box check: {done.stderr.strip()[-500:]}")
    return json.loads(text)
