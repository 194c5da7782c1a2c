"""A mail server (aiosmtpd) with certificates of authorities that the scenario makes, and what came there."""

import email
import email.policy
import glob
import json
import os
import re
import subprocess

from .processes import check, free_port, until

_SERVER = os.path.join(os.path.dirname(__file__), "mail_process.py")
_CODE = re.compile(r"\b\d{4} \d{4}\b")
_NAME, _PASSWORD = "vpn", "testbed-mail-password"


class Letter:
    """A letter: who it is from and for, by the envelope, and its two forms."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.envelope = json.loads(file.readline())
            self.message = email.message_from_binary_file(file, policy=email.policy.default)

    def form(self, kind):
        """The text of one form: `plain` or `html`."""
        part = self.message.get_body((kind,))
        check(part is not None, f"the letter has no {kind} form: {self.message.get_content_type()}")
        return part.get_content()

    def code(self):
        """The code, which is the same in both forms."""
        found = {kind: _CODE.findall(self.form(kind)) for kind in ("plain", "html")}
        codes = {code for codes in found.values() for code in codes}
        check(all(found.values()) and len(codes) == 1, f"not one code in both forms: { {k: len(v) for k, v in found.items()} }")
        return codes.pop()


class MailServer:
    """The server, which bears the name `localhost`."""

    def __init__(self, world):
        self.world = world
        self.port = free_port()
        self.path = os.path.join(world.path, "mail")
        os.makedirs(os.path.join(self.path, "letters"))
        self.authority, certificate, key = self._certified("authority", "localhost")
        self.process = world.start(
            "mail-server", [world.tools.python, _SERVER],
            stdin=json.dumps({
                "port": self.port, "certificate": certificate, "key": key, "name": _NAME, "password": _PASSWORD,
                "folder": os.path.join(self.path, "letters"),
            }),
        )
        until("the mail server listens", lambda: "listens" in self.process.output(), 20)

    def settings(self):
        """What an operator needs to send by it."""
        return {
            "SMTP_HOST": "localhost", "SMTP_PORT": str(self.port), "SMTP_SECURITY": "starttls", "SMTP_USERNAME": _NAME,
            "SMTP_PASSWORD": _PASSWORD, "SMTP_FROM": "VPN <vpn@example.com>", "SMTP_CA_FILE": self.authority,
        }

    def another_authority(self):
        """The certificate of an authority that signed nothing here."""
        return self._certified("stranger", "localhost")[0]

    def greeted(self):
        """How often a client has begun to talk, before TLS and after."""
        return self.process.output().count("greeted")

    def letters(self):
        return [Letter(path) for path in sorted(glob.glob(os.path.join(self.path, "letters", "*.eml")))]

    def next(self, before):
        """The letter that comes after so many."""
        until(f"letter {before + 1}", lambda: len(self.letters()) > before, 30)
        return self.letters()[before]

    def _certified(self, authority, host):
        """The certificate of a new authority, and a certificate of the host that it signed, with its key."""
        at = lambda name: os.path.join(self.path, f"{authority}-{name}.pem")
        new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        self._openssl(*new, "-subj", f"/CN={authority}", "-keyout", at("key"), "-out", at("certificate"))
        self._openssl(
            *new, "-CA", at("certificate"), "-CAkey", at("key"), "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
            "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", at("host-key"), "-out", at("host-certificate"),
        )
        return at("certificate"), at("host-certificate"), at("host-key")

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        check(done.returncode == 0, f"openssl {arguments[0]}: {done.stderr.strip()[-500:]}")
