# What the Telegram bot says. Texts are HTML: <b>, <code> and <a> only.
language-name = English
ask-id = Hello! I give you access to the corporate VPN. Send me your <b>corporate ID</b>: two letters and digits, such as <code>AB123456</code>.
bad-id = That is not a corporate ID. It is two letters and digits, such as <code>AB123456</code>. Please check it and send it again.
code-sent = If <code>{ $id }</code> is known, a code is on its way to the corporate mail address. Send me the code; it is good for { $minutes ->
    [one] { $minutes } minute
   *[other] { $minutes } minutes
}. The help desk can give you a code, too.
code-ask-helpdesk = Now send me the one-time code for <code>{ $id }</code>. The help desk gives it out.{ $contact }
wrong-code = This code is not right, or it is too old. Check it and send it again, or begin again with /start.
locked = Too many tries. Wait { $minutes ->
    [one] { $minutes } minute
   *[other] { $minutes } minutes
}, then begin again with /start.
linked = ✅ Done: this account is linked to <code>{ $id }</code>. Get your access with /get_config.
linked-replaced = ✅ Done: this account is linked to <code>{ $id }</code>. The account that was linked before has been told. Get your access with /get_config.
already-linked = This account is linked to <code>{ $id }</code>. /get_config gives your access, /status shows it, /unlink ends the link.
not-linked = This account is not linked to anybody. Begin with /start.
denied = Your access is off: { $reason }.{ $contact }
contact = {" "}Ask { $whom }.
reason-held = it is suspended
reason-inactive = it was withdrawn
reason-notyet = it has not begun yet
reason-expired = it has ended
reason-quota = the traffic of this period is used up
reason-other = it is not granted at present
config = <b>Your access</b>

    Link: <code>{ $link }</code>

    Subscription (clients keep themselves up to date with it): <code>{ $subscription }</code>

    <b>iOS, macOS</b>: Streisand or Shadowrocket: copy the link, press +, import from the clipboard.
    <b>Android</b>: v2rayNG or NekoBox: press +, import from the clipboard.
    <b>Windows, Linux</b>: Hiddify or NekoRay: add a profile from the clipboard.

    Whoever has this link has your access: give it to nobody. { $minutes ->
    [one] I delete this message in { $minutes } minute.
   *[other] I delete this message in { $minutes } minutes.
}
config-short = <b>Your access</b> is in the picture, and in the message below.
config-picture = Scan this with your client. It is deleted with the message.
config-later = Your access is being prepared. Ask again in a moment with /get_config.
button-open-subscription = Open the subscription
status-granted = ✅ <b>Access is on</b> (<code>{ $id }</code>)
status-denied = ⛔ <b>Access is off</b> (<code>{ $id }</code>): { $reason }
status-until = Until: { $date }
status-from = From: { $date }
status-devices = Devices online: { $count }
status-devices-of = Devices online: { $count } of { $max }
status-used = Traffic used: { $used }
status-used-of = Traffic used: { $used } of { $limit }, left: { $left }
status-resets = Counted anew: { $date }
status-hold = Suspended by { $source }
status-hold-until = Suspended by { $source } until { $date }
rotate-ask = Make a new password and a new subscription link for <code>{ $id }</code>? The ones you have stop working on every device.
rotate-done = The new access is ready. Get it with /get_config.
unlink-ask = Unlink this account from <code>{ $id }</code>? Your access stays as it is; messages about it end.
unlinked = This account is not linked any more. /start links it again.
yes = Yes
no = No
cancelled = Left as it is.
button-old = This button is not good any more. Ask again.
button-interrupted = This was interrupted, and may or may not be done. Look before you ask again.
language-ask = Choose a language.
language-set = I speak English now.
unknown = I do not understand this. /help says what I can do.
help = <b>What I can do</b>
    /start – link your account
    /get_config – your access: link, picture, subscription
    /status – how your access stands
    /rotate – a new password and link
    /unlink – unlink this account
    /language – language
    /help – this help
help-contact = Questions: { $whom }
try-later = The operator does not answer at present. Please try again in a moment.
refused = Refused: { $why }
notice-granted = ✅ You have access to the VPN. Get it with /get_config.
notice-suspended = ⛔ Your access is off: { $reason }.{ $contact }
notice-restored = ✅ Your access is back.
notice-expiring = ⏳ Your access ends in { $days ->
    [one] { $days } day
   *[other] { $days } days
}: { $date }.
notice-quota = 📊 { $percent }% of your traffic is used.
notice-quota-resets = 📊 { $percent }% of your traffic is used. It is counted anew from { $date }.
notice-replaced = Your corporate ID was linked to another Telegram account. If that was not you, tell your security team at once.{ $contact }
notice-unlinked = This account was unlinked by an admin.{ $contact }
notice-held-back = ⚠️ <b>The guard holds denials back</b>: { $people ->
    [one] { $people } person keeps
   *[other] { $people } people keep
} access although a source says otherwise. { $some }
    Look at them, then confirm or cancel.
command-start = Link your account
command-get-config = Your access
command-status = How your access stands
command-rotate = A new password and link
command-unlink = Unlink this account
command-language = Language
command-help = Help
