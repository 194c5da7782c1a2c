"""A mail server that takes letters with STARTTLS and a login only. Each letter becomes a file in the folder that is named."""

import json
import os
import signal
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class _Folder:
    """Keeps what comes, in the order in which it comes."""

    def __init__(self, path):
        self._path = path
        self._count = 0

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        print("greeted", flush=True)
        return responses

    async def handle_DATA(self, server, session, envelope):
        if session.ssl is None or not session.authenticated:
            return "530 Must issue a STARTTLS command and log in first"
        self._count += 1
        name = os.path.join(self._path, f"{self._count:04}")
        with open(name + ".new", "wb") as draft:
            draft.write(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos}).encode() + b"\n")
            draft.write(envelope.content)
        os.replace(name + ".new", name + ".eml")
        return "250 OK"


def main():
    settings = json.load(sys.stdin)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(settings["certificate"], settings["key"])

    def known(server, session, envelope, mechanism, login):
        name, password = (getattr(login, part, b"").decode() for part in ("login", "password"))
        return AuthResult(success=(name, password) == (settings["name"], settings["password"]), handled=False)

    controller = Controller(
        _Folder(settings["folder"]), hostname="127.0.0.1", port=settings["port"], require_starttls=True, tls_context=tls,
        auth_required=True, auth_require_tls=True, authenticator=known,
    )
    controller.start()
    print("listens", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    controller.stop()


main()
