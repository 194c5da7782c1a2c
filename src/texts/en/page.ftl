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
page-over = Over the limit: { $percent } % of it are used.
page-resets = Traffic is counted anew on { $date }.
page-devices = Devices online now: { $online }
page-devices-of = Devices online now: { $online } of { $most }
page-traffic-days = Traffic of the last 30 days
page-traffic-text = { $total } in all, at most { $most } in a day. Days begin at 00:00 UTC.
page-traffic-table = Day by day
page-traffic-day = Day
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
page-renew = New link or password
page-renew-why = For when somebody else may know your link or your password.
page-renew-link = New link
page-renew-link-text = Your page and your subscription get a new address, and the old one stops working at once. Then import the subscription into your apps again. Devices that are connected stay connected: where somebody else may have used your access, make a new password too.
page-renew-link-yes = Make a new link
page-renew-password = New password
page-renew-password-text = Every device is disconnected, and the old password stops working at once. Then update the subscription in your apps, or import it again.
page-renew-password-yes = Make a new password
page-renew-no = Leave it as it is
page-renewed-link = This is your new page. The old address does not work any more: import the subscription into your apps again, and bookmark this page.
page-renewed-password = You have a new password. Update the subscription in your apps, or import it again.
page-renew-refused = Nothing was changed
page-renew-foreign = The request came from another site. Open your page, and renew it there.
page-renew-not-offered = Links and passwords are not renewed on this page.
page-renew-elsewhere = Your password is not made here, so it cannot be renewed here.
page-renew-outdated = It was renewed already since this question was asked. Your page shows what is valid now.
page-renew-too-often = You renewed your link or password too often today. Try again in { $hours ->
    [one] { $hours } hour
   *[other] { $hours } hours
}.
page-renew-not-now = It cannot be renewed at present. Try again later.
page-renew-soon = Nearly done
page-renew-soon-text = It is renewed and takes effect in a moment. Then go on to your page.
page-back = To my page
