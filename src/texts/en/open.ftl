# Where a handed-over link is opened.
open-heading = Your VPN access
open-text = Behind this button is your personal page: the apps for your device, and what to connect with. Open it on the device on which you want to use the VPN, and show it to nobody.
open-button = Open my page
open-left = This link can be opened { $count ->
    [one] once
   *[other] { $count } times
} more, until { $date }.
open-ended = This link opens nothing any more
open-used-up = It was opened as often as it was made for. If that was not you, say so at once.
open-expired = Its time is over.
open-withdrawn = It was withdrawn.
open-not-now = Your page cannot be opened at present. The link was not used up: try again in a few minutes.
