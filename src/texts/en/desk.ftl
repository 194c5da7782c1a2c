# What the bot says to admins and the help desk.
desk-help = <b>Help desk</b>
    /show ID – a corporate ID and its person
    /search WORDS – search IDs
    /code ID – a one-time code for linking
    /link ID – a one-time link to a person's page
    /hold ID REASON – suspend
    /release ID REASON – end holds
admin-help = <b>Admins, beside that</b>
    /issue OWNER – issue an ID
    /revoke ID REASON – revoke an ID
    /grant ID – grant access
    /deactivate ID REASON – withdraw access
    /activate ID REASON – give it back
    /online – who is online
    /story ID – what happened to one person
    /events – pending and failed HR events
    /guard – what the guard holds back
not-allowed = This is for { $who ->
    [admins] admins
   *[other] admins and the help desk
} only.
usage = Write it like this: <code>{ $how }</code>
confirm-revoke = Revoke the ID of <b>{ $who }</b>? Reason: { $reason }
confirm-deactivate = Withdraw the access of <b>{ $who }</b>? Reason: { $reason }
confirm-hold = Suspend <b>{ $who }</b>? Reason: { $reason }
confirm-release = End the holds of <b>{ $who }</b>? Reason: { $reason }
confirm-activate = Give <b>{ $who }</b> access again? Reason: { $reason }
confirm-guard-confirm = Confirm { $people ->
    [one] { $people } denial that the guard holds back
   *[other] { $people } denials that the guard holds back
}? { $some }
confirm-guard-cancel = Cancel { $people ->
    [one] { $people } denial that the guard holds back
   *[other] { $people } denials that the guard holds back
}, so that access stays? { $some }
done = Done.
done-accepted = Accepted; it is being carried out.
link-code = One-time code for <b>{ $id }</b>, good until { $until }:
    <code>{ $code }</code>
    Give it to that person only. It is deleted from here.
handover = Link that opens the page of <b>{ $id }</b> once, until { $until }:
    <code>{ $link }</code>
    Give it to that person only. It is deleted from here, and the audit shows who opened it.
handover-denied = There is no access at present. The link says so and stays good.
button-copy-link = Copy the link
issued = Issued: <code>{ $id }</code> ({ $who })
granted = Access is granted to <code>{ $id }</code>. The person gets it with /get_config.
nobody = Nothing found.
no-holds = No hold that you can end.
button-look = Look
button-confirm = Confirm
button-cancel = Cancel
more = … and more: use the command line for the whole list.
guard-none = The guard holds nothing back.
guard-head = <b>Held back</b>: { $people ->
    [one] { $people } person
   *[other] { $people } people
}
command-show = A corporate ID
command-search = Search IDs
command-code = Code for linking
command-link = Link to a person's page
command-hold = Suspend
command-release = End holds
command-issue = Issue an ID
command-revoke = Revoke an ID
command-grant = Grant access
command-deactivate = Withdraw access
command-activate = Give access back
command-online = Who is online
command-story = One person's story
command-events = HR events
command-guard = The guard
