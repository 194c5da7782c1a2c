# The page of a subscription.
page-no-access = No access
page-unknown = Unknown link
page-too-many = Too many attempts
page-not-now = Not available at present
page-denied-notyet = Your access has not begun yet.
page-denied-expired = Your access has expired.
page-denied-quota = You have used up your traffic.
page-denied-off = Your access is switched off.
page-unknown-text = This link is not known, or was replaced by a new one.
page-too-many-text = Too many links that nobody has were opened from your network. Try again in { $minutes ->
    [one] { $minutes } minute
   *[other] { $minutes } minutes
}.
page-not-now-text = There is no server to connect to at present. Try again later.
page-ask = Ask whoever gave you this link.
page-ask-whom = Ask { $whom }.
page-usage = Access
page-used = { $used } of { $limit } used
page-used-unlimited = { $used } used, no limit
page-traffic = Traffic used
page-until = until { $date }
page-no-end = no end date
page-days-left = { $days ->
    [0] less than a day left
    [one] { $days } day left
   *[other] { $days } days left
}
page-apps = Connect
page-apps-text = Install one of the apps, come back to this page, and tap “Import”.
page-your-device = your device
page-install = Install
page-import = Import
page-install-app = Install { $app }
page-import-app = Import into { $app }
page-subscription = Subscription
page-subscription-text = Scan this code with your phone, or add the address to your app once: it keeps the servers up to date. Keep it to yourself.
page-qr = QR code of the subscription
page-qr-link = QR code of the link { $name }
page-copy = Copy address
page-copy-link = Copy link
page-copied = Copied
page-press = Select and copy it
page-links = Single links
page-links-text = For apps that know no subscriptions. They do not follow when servers change.
page-questions = Questions: { $whom }
page-language = Language
