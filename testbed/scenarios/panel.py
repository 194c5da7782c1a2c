"""The double of a Blitz panel: see ../panel."""

import json
import urllib.parse
import urllib.request
from datetime import datetime, timedelta

from .node import Node
from .shared import programs
from .vpn import STATS_SECRET

TOKEN = "testbed-panel-token"


class Panel:
    """A panel with its Hysteria server. `auth_url`: whom the server asks, the panel's own auth service unless given."""

    def __init__(self, world, auth_url=None, pace=0.1):
        process = world.start(
            "panel", [programs("panel") + "/panel", "-token", TOKEN, "-pace", str(pace)], stdout_pipe=True
        )
        facts = json.loads(process.popen.stdout.readline())
        self.url = facts["api"]
        self.auth_url = facts["auth"]
        self._control = facts["control"]
        self.node = Node(world, "panel", auth_url or self.auth_url, STATS_SECRET)
        world.nodes.append(self.node)
        self._behind = f"127.0.0.1:{self.node.port}?insecure=1&pinSHA256={self.node.pin}"
        self._put("server", {"link": self._behind, "stats": self.node.stats_url, "secret": STATS_SECRET})

    @property
    def environment(self):
        """What makes it the gateway `default` of an operator."""
        return {"BLITZ_API_URL": self.url, "BLITZ_API_TOKEN": TOKEN}

    @property
    def guard(self):
        """What makes the operator ask the panel's auth service, for a server that asks the operator."""
        return {"BLITZ_AUTH_UPSTREAM": self.auth_url, "BLITZ_STATS_URL": self.node.stats_url}

    def accounts(self):
        """Everything in its database, by account."""
        return self._get("accounts")

    def set_accounts(self, accounts):
        """Puts another database in its place, as a backup does, or a reset."""
        self._put("accounts", accounts)

    def writes(self):
        """What the API was called with that changes something: method, account, fields."""
        calls = self._get("calls")
        return [(call["method"], call["name"], call["fields"]) for call in calls if call["method"] != "GET" and call["name"]]

    def link(self, account):
        """What a person was given who has an account made by hand."""
        password = urllib.parse.quote(self.accounts()[account]["password"], safe="")
        return f"hysteria2://{account}:{password}@{self._behind}"

    def _get(self, what):
        with urllib.request.urlopen(f"{self._control}/{what}", timeout=10) as answer:
            return json.load(answer)

    def _put(self, what, content):
        request = urllib.request.Request(f"{self._control}/{what}", method="PUT", data=json.dumps(content).encode())
        urllib.request.urlopen(request, timeout=10).close()


def by_hand(password, **more):
    """An account as somebody makes it in the panel's pages, ten days ago."""
    created = (datetime.now() - timedelta(days=10)).strftime("%Y-%m-%d")
    return {
        "password": password, "max_download_bytes": 0, "expiration_days": 0, "account_creation_date": created,
        "blocked": False, "unlimited_user": False, "note": "by hand", "upload_bytes": None, "download_bytes": None, **more,
    }
