"""In which ways each page is looked at, and what must hold of all of them."""

import itertools

from .processes import check

# Language, theme, and width of the window.
LOOKS = list(itertools.product(("en", "ru"), ("light", "dark"), (320, 1280)))


def looked_at(name, url, **more):
    """Visits of one page in every language, theme and width, with and without script."""
    for (language, theme, width), script in itertools.product(LOOKS, (True, False)):
        yield {
            "name": f"{name}-{language}-{theme}-{width}-{'script' if script else 'bare'}",
            "url": url, "language": language, "theme": theme, "width": width, "script": script,
            "keyboard": script and theme == "light", **more,
        }


def fits(page):
    """What must hold of every page."""
    name = page["name"]
    check(not page["overflowing"], f"{name} is wider than the window: {page['overflowing']}")
    check(not page["violations"], f"axe-core found in {name}: {page['violations']}")
    # The picture of a refused answer says only that it was refused.
    said = [words for words in page.get("said", ()) if "Failed to load resource" not in words]
    check(not said, f"the browser said of {name}: {said}")
    check(len(page.get("requests", [1])) == 1, f"{name} asked for {page.get('requests')}")
    if keys := page.get("keys"):
        check(keys["shown"] and keys["stops"] == keys["reachable"], f"the keyboard reaches in {name}: {keys}")
