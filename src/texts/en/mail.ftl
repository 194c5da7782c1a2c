# The letter with a code for linking.

mail-subject = { $title }: code for Telegram
mail-intro = Somebody, you we hope, links a Telegram chat to the corporate ID { $id }. The code is:
mail-valid = Type it into the same chat. It is good once, for { $minutes ->
    [one] { $minutes } minute
   *[other] { $minutes } minutes
}.
mail-warning = If it was not you, tell nobody the code and do nothing: without it no chat is linked.
