"""A link that somebody hands over, in a real browser: its first page, its button, and what is read where it opens nothing."""

from .looks import LOOKS, fits, looked_at
from .processes import check

_USES = 20
# Status, and words in English and in Russian.
_ENDS = {
    "used": (410, "as often as it was made for", "столько раз, на сколько"),
    "withdrawn": (410, "It was withdrawn", "Её отозвали"),
    "guessed": (404, "is not known", "Такой ссылки нет"),
}
_BUTTON = 'main form button[type="submit"]'


def a_link_is_handed_over(world, drive, corporate_id, support):
    """Looks at all of it; gives how many pages that were."""
    page = world.vpn.configuration(corporate_id)["subscription_url"]
    link = _made(world, corporate_id, _USES)["url"]
    # Each is opened, and the next one can be opened once less.
    visits = list(looked_at("handed-over", link, press=[_BUTTON]))
    seen = drive(visits)["seen"]
    check(len(seen) == 2 * len(visits), f"{len(visits)} links led to {len(seen)} pages")
    for number, (first, opened) in enumerate(zip(seen[::2], seen[1::2])):
        fits(first)
        fits(opened)
        left = f"opened {_USES - number} times more" if first["language"] == "en" else f"открыть ещё {_USES - number} "
        check(first["status"] == 200 and left in first["text"], f"{first['name']} answers {first['status']}: {first['text']}")
        check(first["buttons"] == 1, f"{first['name']} has {first['buttons']} buttons")
        told = [word for word in (corporate_id, page, corporate_id.lower()) if word in str(first)]
        check(not told, f"the first page {first['name']} tells {told} before it is opened")
        check(opened["status"] == 200 and opened["url"].startswith(page + "?"), f"{opened['name']} led to {opened['url']}")
        check(opened["language"] == first["language"] and opened["links"], f"{opened['name']} is not the person's page")
    return len(seen) + _ends(world, drive, corporate_id, support)


def _made(world, corporate_id, uses):
    return world.vpn.expect("POST", f"/user/{corporate_id}/links", {"uses": uses}, 201)


def _ends(world, drive, corporate_id, support):
    used, withdrawn = (_made(world, corporate_id, 1) for _ in range(2))
    world.vpn.expect("DELETE", f"/user/{corporate_id}/links/{withdrawn['id']}", status=204)
    looks = {"language": "en", "theme": "light", "width": 1280, "script": False}
    drive([{**looks, "name": "handed-over-once", "url": used["url"], "press": [_BUTTON]}])
    urls = {"used": used["url"], "withdrawn": withdrawn["url"], "guessed": withdrawn["url"] + "x"}
    seen = drive([visit for name, url in urls.items() for visit in looked_at(f"handed-over-{name}", url)])["seen"]
    for page in seen:
        fits(page)
        status, *words = next(end for name, end in _ENDS.items() if page["name"].startswith(f"handed-over-{name}-"))
        said = words[page["language"] != "en"]
        check(page["status"] == status, f"{page['name']} answered {page['status']}")
        check(said in page["text"] and support in page["text"], f"{page['name']} says: {page['text']}")
    check(len(seen) == len(_ENDS) * 2 * len(LOOKS), f"{len(seen)} pages of links that open nothing were seen")
    return len(seen)
