"""A person links a chat with a code from a letter, and connects with what the bot sends."""

import base64
import contextlib
import json
import re
import subprocess

from .mail import MailServer
from .processes import check, until
from .telegram import Telegram
from .vpn import userinfo

# Reads a picture as the camera of a phone does.
_READ = """
import io, sys
import PIL.Image, zxingcpp
found = zxingcpp.read_barcodes(PIL.Image.open(io.BytesIO(sys.stdin.buffer.read())))
sys.stdout.write("\\n".join(code.text for code in found))
"""
_CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)


def codes_come_by_a_real_mail_server_in_both_languages_and_link(world):
    mail = MailServer(world)
    world.vpn.environment.update(mail.settings())
    world.one_node()
    people = {"en": ("AB140001", 4711), "ru": ("AB140002", 4712)}
    for number, (language, (corporate_id, account)) in enumerate(people.items()):
        world.vpn.declare_user(corporate_id, email=f"{language}@example.com")
        world.vpn.configuration(corporate_id)
        path = f"/telegram/accounts/{account}"
        asked = {"corporate_id": corporate_id, "chat": account, "language": language}
        answer = world.vpn.expect("POST", f"{path}/code", asked, status=202)
        check(answer["by_mail"] is True, f"the code does not come by mail: {answer}")
        letter = mail.next(number)
        check(letter.envelope["to"] == [f"{language}@example.com"], f"it goes to {letter.envelope['to']}")
        check(letter.envelope["from"] == "vpn@example.com", f"it comes from {letter.envelope['from']}")
        check(letter.message["To"] == f"{language}@example.com", f"it is addressed to {letter.message['To']}")
        check(letter.message["Auto-Submitted"] == "auto-generated", "it does not say that a machine wrote it")
        for text in (letter.message["Subject"], letter.form("plain"), letter.form("html")):
            check(bool(_CYRILLIC.search(text)) == (language == "ru"), f"not in the language {language}: {text}")
        code = letter.code()
        wrong = code.translate(str.maketrans("0123456789", "1234567890"))
        world.vpn.expect("POST", f"{path}/link", {"chat": account, "code": wrong}, status=403)
        linked = world.vpn.expect("POST", f"{path}/link", {"chat": account, "code": code})
        check(linked["corporate_id"] == corporate_id, f"another one is linked: {linked}")
        check(code not in world.vpn.process.output(), "the code stands in the log")
    check(len(mail.letters()) == len(people), "there are more letters than were asked for")
    return "two letters in two forms each, by STARTTLS and with a login; the codes in them link"


def a_mail_server_with_the_certificate_of_a_stranger_gets_no_code_and_doctor_says_so(world):
    mail = MailServer(world)
    world.vpn.environment.update({**mail.settings(), "SMTP_CA_FILE": mail.another_authority()})
    world.one_node()
    world.vpn.declare_user("AB140001", email="anna@example.com")
    world.vpn.configuration("AB140001")
    asked = {"corporate_id": "AB140001", "chat": 4711, "language": "en"}
    world.vpn.expect("POST", "/telegram/accounts/4711/code", asked, status=202)
    until("the operator talks to the mail server", lambda: mail.greeted() > 0, 20)
    said = {}
    for name, change in {
        "stranger": {},
        "right": {"SMTP_CA_FILE": mail.authority},
        "name": {"SMTP_CA_FILE": mail.authority, "SMTP_HOST": "127.0.0.1"},
        "login": {"SMTP_CA_FILE": mail.authority, "SMTP_PASSWORD": "another"},
    }.items():
        said[name] = _doctor_on_mail(world, change)
    check(said["right"]["result"] == "ok", f"doctor: {said['right']}")
    for name in ("stranger", "name"):
        check(said[name]["result"] == "failed" and "TLS" in said[name]["message"], f"doctor: {said[name]}")
        check("SMTP_CA_FILE" in said[name]["advice"], f"doctor: {said[name]}")
    check(said["login"]["result"] == "failed" and "SMTP_PASSWORD" in said["login"]["advice"], f"doctor: {said['login']}")
    check(not mail.letters(), "a letter was sent to a server that cannot be trusted")
    return f"doctor: {said['stranger']['message']}"


def _doctor_on_mail(world, change):
    """What `doctor` finds about mail, with other settings than the operator's."""
    done = subprocess.run(
        [
            world.tools.operator, "doctor", "--output", "json", "--data", world.vpn.data, "--desired", f"folder:{world.vpn.folder}",
            "--listen", f"127.0.0.1:{world.vpn.api_port}", "--auth-listen", f"127.0.0.1:{world.vpn.auth_port}",
        ],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**world.vpn.settings(), **change},
    )
    checks = json.loads(done.stdout)["checks"]
    return next(one for one in checks if one["name"] == "mail server")


def the_official_client_connects_with_the_picture_that_the_bot_sends(world):
    mail = MailServer(world)
    with contextlib.closing(Telegram()) as telegram:
        world.vpn.environment.update({**mail.settings(), **telegram.settings()})
        node = world.one_node(obfuscation="between us & the node")
        world.vpn.declare_user("AB140001", email="anna@example.com", owner="Anna")
        link = world.vpn.link("AB140001")
        anna = 4711
        telegram.asks(anna, "/start")
        telegram.asks(anna, "AB140001")
        linked = telegram.asks(anna, mail.next(0).code())
        check("AB140001" in linked["text"], f"the bot says: {linked['text']}")
        sent = telegram.asks(anna, "/get_config")
        check(sent.get("photo") and sent["protect_content"] == "true", f"no protected picture: {sorted(sent)}")
        read = _text_in(world, sent["photo"])
        check(read == link, "the picture is of another link than the API hands out")
        picture = world.vpn.expect("GET", f"/telegram/accounts/{anna}/config")["qr_code"]
        check(base64.b64decode(picture.rpartition(",")[2]) == sent["photo"], "the bot sends another picture than it is given")
        # Nothing but what the camera saw.
        device = world.client(read, "camera").connected()
        device.download()
        check(sum(node.online().values()) == 1, f"the node shows {node.online()}")
        check(not telegram.unknown, f"the bot calls what Telegram does not have: {telegram.unknown}")
        check(userinfo(link) not in world.vpn.process.output(), "the link stands in the log")
    return "linked by a letter; the picture was read, and the client got in with what stood in it"


def _text_in(world, picture):
    """What a QR code says."""
    read = subprocess.run([world.tools.python, "-c", _READ], input=picture, capture_output=True)
    check(read.returncode == 0, f"the picture cannot be read: {read.stderr.decode()[-500:]}")
    texts = read.stdout.decode().splitlines()
    check(len(texts) == 1, f"{len(texts)} codes are in the picture")
    return texts[0]
