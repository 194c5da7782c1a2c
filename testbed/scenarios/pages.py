"""The page of a subscription in a real browser: nothing overflows, everybody can use it, and what it hands out is what is documented."""

import base64
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
from datetime import datetime, timedelta, timezone

from .handed_over import a_link_is_handed_over
from .hopping import HoppingPorts
from .looks import LOOKS, fits, looked_at
from .packages import installed
from .processes import check, until
from .shared import programs
from .vpn import userinfo

_TESTBED = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_TITLE = "Example & Söhne VPN"
# The hardest colour to read text in, or on.
_COMPANY = {
    "SUBSCRIPTION_TITLE": _TITLE,
    "SUBSCRIPTION_COLOR": "#ffde00",
    "SUPPORT_CONTACT": "help desk, room 214",
    "SUPPORT_URL": "https://help.example.com/vpn",
}
_LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="160" height="40" viewBox="0 0 160 40"><rect width="160" height="40" fill="#333"/>'
    '<script>document.title = "it ran"</script></svg>'
)
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148"
# For one call of the driver, on a machine with something else to do.
_SECONDS = 600.0


def the_page_in_a_real_browser(world):
    chromium, missing = _browser()
    if missing:
        return f"SKIPPED: {missing}"
    modules = programs("page")
    screenshots = os.environ.get("TESTBED_PAGES") or os.path.join(os.path.dirname(modules), "pages")
    shutil.rmtree(screenshots, ignore_errors=True)
    os.makedirs(screenshots)

    def drive(visits, paint=None):
        plan = {"chromium": chromium, "screenshots": screenshots, "visits": visits, "paint": paint}
        done = subprocess.run(
            ["node", os.path.join(_TESTBED, "page", "drive.mjs"), modules],
            input=json.dumps(plan), capture_output=True, text=True, timeout=_SECONDS,
        )
        check(done.returncode == 0, f"the driver of the browser ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout)

    vpn = world.vpn
    node = world.node(obfuscation="between us")
    logo = os.path.join(world.path, "logo.svg")
    with open(logo, "w") as file:
        file.write(_LOGO)
    vpn.environment.update(_COMPANY, OBFS="between us", SUBSCRIPTION_LOGO_FILE=logo, SELF_SERVICE="link,password",
                           FAILED_ATTEMPTS_PER_MINUTE="30")
    with contextlib.closing(HoppingPorts(node.port)) as hopping:
        vpn.declare_gateway(node, ports=hopping.declared, obfs={"type": "salamander", "password": {"env": "OBFS"}})
        pages = _people(world)
        url = pages["granted"]
        handed_over = a_link_is_handed_over(world, drive, "AB120001", _COMPANY["SUPPORT_CONTACT"])
        seen = drive(_visits(url, pages), paint=url)
    for page in seen["seen"]:
        fits(page)
    _hands_out_what_is_documented(world, url, [page for page in seen["seen"] if page["name"].startswith("granted")])
    for name, words in _DENIALS.items():
        found = [page for page in seen["seen"] if page["name"].startswith(f"{name}-")]
        check(len(found) == 8, f"{name} was seen {len(found)} times")
        for page in found:
            status, said = words[0], words[1 if page["language"] == "en" else 2]
            check(page["status"] == status, f"{page['name']} answered {page['status']}")
            check(said in page["text"] and _COMPANY["SUPPORT_CONTACT"] in page["text"], f"{page['name']} says: {page['text']}")
    renewed = _renews(world, drive, url)
    plain = _without_a_company(world, drive, renewed)
    paint = statistics.median(seen["paints"])
    count = len(seen["seen"]) + plain + handed_over
    return f"{count} pages and more in Chromium {seen['version']}; first paint after {paint:.0f} ms; pictures: {screenshots}"


# What a denied person reads: status, and words in English and in Russian.
_DENIALS = {
    "held": (403, "switched off", "выключен"),
    "expired": (403, "has expired", "истёк"),
    "notyet": (403, "not begun yet", "ещё не начался"),
    "quota": (403, "used up your traffic", "израсходован"),
    "noserver": (503, "no server to connect to", "нет ни одного сервера"),
    "unknown": (404, "is not known", "Такой ссылки нет"),
    "toomany": (429, "Try again in", "Попробуйте через"),
}


def _browser():
    """The browser, or what is missing."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            return None, f"{program} is missing; install Node.js 20 or later"
    chromium = installed("chromium", lambda: shutil.which("chromium"))
    return chromium, None if chromium else "chromium is missing; install it"


def _people(world):
    """Declares one person of each kind, starts the operator, and gives the address of each one's page."""
    vpn, now = world.vpn, datetime.now(timezone.utc)
    kinds = {"granted": "AB120001", "held": "AB120002", "expired": "AB120003", "notyet": "AB120004", "quota": "AB120005", "noserver": "AB120006"}
    for corporate_id in kinds.values():
        vpn.declare_user(corporate_id)
    vpn.declare_user(
        kinds["granted"], maxDevices=3, validUntil=(now + timedelta(days=40, hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        traffic={"limit": "100Mi", "period": "Month"},
    )
    vpn.start()
    pages = {kind: vpn.configuration(corporate_id)["subscription_url"] for kind, corporate_id in kinds.items()}
    # The hopping ports are for one client at a time; who is over the limit may go.
    device = world.client(vpn.link(kinds["quota"]), "quota").connected()
    device.download()
    until("the traffic is counted", lambda: vpn.configuration(kinds["quota"])["traffic_stats"]["download"] >= 10_000_000, 20)
    device.process.kill()
    world.client(vpn.link(kinds["granted"]), "granted").connected().download()
    vpn.declare_hold("helpdesk-page-ab120002", kinds["held"])
    vpn.declare_user(kinds["expired"], validUntil="2001-01-01T00:00:00Z")
    vpn.declare_user(kinds["notyet"], validFrom="2999-01-01T00:00:00Z")
    vpn.declare_user(kinds["quota"], traffic={"limit": "1Mi"})
    vpn.declare_user(kinds["noserver"], gateways=["nowhere"])
    for kind, reason in (("held", "Held"), ("expired", "Expired"), ("notyet", "NotYetValid"), ("quota", "OverQuota")):
        until(f"{kind} is denied", lambda kind=kind, reason=reason: vpn.user(kinds[kind]).get("reason") == reason, 20)
    until("no server", lambda: vpn.call("GET", f"/user/{kinds['noserver']}/config")[0] == 503, 20)
    until("the traffic is counted", lambda: vpn.configuration(kinds["granted"])["traffic_stats"]["download"] >= 10_000_000, 20)
    pages["unknown"] = pages["toomany"] = pages["granted"] + "x"
    return pages


def _visits(url, pages):
    visits = list(looked_at("granted", url))
    for visit in visits:
        visit.update(agent=_IPHONE if visit["width"] == 320 else None, codes=visit["script"])
    for kind in _DENIALS:
        for language, theme, width in LOOKS:
            visits.append({
                "name": f"{kind}-{language}-{theme}-{width}",
                "url": pages[kind], "language": language, "theme": theme, "width": width, "script": True,
                "guess": pages[kind] if kind == "toomany" else None,
            })
    return visits


def _documented(url):
    """The addresses of the import buttons, as docs/clients.md has them."""
    encoded = lambda text: re.sub(rb"[^0-9A-Za-z]", lambda found: b"%%%02X" % found.group()[0], text.encode()).decode()
    with open(os.path.join(os.path.dirname(_TESTBED), "docs", "clients.md")) as file:
        rows = re.findall(r"^\| [^|]+ \| [^|]+ \| `([a-z0-9-]+://[^`]+)` \|$", file.read(), re.M)
    check(len(rows) >= 6, f"docs/clients.md has {len(rows)} rows of apps")
    values = {"ADDRESS": url, "BASE64": base64.b64encode(url.encode()).decode(), "ENCODED": encoded(url), "NAME": encoded(_TITLE)}
    return {re.sub("|".join(values), lambda found: values[found.group()], row) for row in rows}


def _hands_out_what_is_documented(world, url, pages):
    documented = _documented(url)
    _, _, links = world.vpn.subscription("AB120001", form="uri")
    links = links.splitlines()
    check("mport=" in links[0], f"the link does not hop: {links}")
    check(len(pages) == 16, f"{len(pages)} pages were seen")
    for page in pages:
        name, addresses = page["name"], page["addresses"]
        imports = {address for address in addresses if not address.startswith(("http", "?"))}
        check(imports == documented, f"{name} imports by {sorted(imports ^ documented)}, and docs/clients.md says otherwise")
        check(page["links"] == links, f"{name} has other links than the subscription")
        check(page["status"] == 200 and page["logo"] > 0, f"{name} answered {page['status']}, with a logo of {page['logo']} pixels")
        check(page["first"] == ("iPhone, iPad" if "-320-" in name else "Linux"), f"{name} has {page['first']} first")
        # Without script there is nothing to press but what sends a form.
        check(page["buttons"] == (2 + 1 + len(links) if name.endswith("script") else 2), f"{name} shows {page['buttons']} buttons")
        for words in ("1 of 3", "40 days left", "MiB of 100 MiB") if page["language"] == "en" else ("1 из 3", "осталось 40 дней", "из 100 МиБ"):
            check(words in page["text"], f"{name} does not say {words!r}: {page['text']}")
        if "codes" in page:
            check(page["codes"] == [url, *links], f"a camera reads in {name}: {page['codes']}")


def _renews(world, drive, url):
    """A new link and a new password, pressed; gives the address of the new page."""
    steps = ['button[value="link"]', 'main form button[type="submit"]']
    visit = {"url": url, "language": "ru", "theme": "dark", "width": 320, "script": False}
    asked, question, new = drive([{**visit, "name": "renew-link", "press": steps}])["seen"]
    for page in (asked, question, new):
        fits(page)
    check("импортируйте" in question["text"] and "импортируйте" in new["text"], "nobody is told to import again")
    now = world.vpn.configuration("AB120001")["subscription_url"]
    check(now != url and new["url"].startswith(now + "?"), "the browser did not go on to the new page")
    steps = ['button[value="password"]', 'main form button[type="submit"]']
    before = world.vpn.link("AB120001")
    visit.update(url=now, language="en", theme="light", width=1280, script=True)
    seen = drive([
        {**visit, "name": "renew-password", "press": steps},
        # The old address leads to nobody.
        {**visit, "name": "renewed-away", "url": url},
    ])["seen"]
    for page in seen:
        fits(page)
    check(userinfo(world.vpn.link("AB120001")) != userinfo(before), "the password is the old one")
    check("You have a new password" in seen[2]["text"], "the new password was not told")
    # Unknown, or one more unknown link than are answered in a minute.
    check(seen[3]["status"] in (404, 429), f"the old page answers {seen[3]['status']}")
    return now


def _without_a_company(world, drive, url):
    """The operator's own look."""
    vpn = world.vpn
    code = vpn.process.stop()
    check(code == 0, f"the operator ended with {code}")
    for name in (*_COMPANY, "SUBSCRIPTION_LOGO_FILE", "SELF_SERVICE"):
        vpn.environment.pop(name)
    vpn.start()
    visits = [
        {"name": f"plain-{language}-{theme}-{width}", "url": url, "language": language, "theme": theme, "width": width, "script": True}
        for language, theme, width in LOOKS
    ]
    seen = drive(visits)["seen"]
    for page in seen:
        fits(page)
        check(page["status"] == 200 and page["logo"] == 0, f"{page['name']} is of a company")
    return len(seen)
