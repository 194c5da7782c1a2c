# Тексты бота Telegram. Это HTML: только <b>, <code> и <a>.
language-name = Русский
ask-id = Здравствуйте! Я выдаю доступ к корпоративному VPN. Пришлите ваш <b>корпоративный ID</b>: две буквы и цифры, например <code>AB123456</code>.
bad-id = Это не корпоративный ID. Он состоит из двух букв и цифр, например <code>AB123456</code>. Проверьте и пришлите ещё раз.
code-sent = Если <code>{ $id }</code> известен, код отправлен на корпоративную почту. Пришлите мне код; он действует { $minutes ->
    [one] { $minutes } минуту
    [few] { $minutes } минуты
    [many] { $minutes } минут
   *[other] { $minutes } минуты
}. Код может выдать и служба поддержки.
code-ask-helpdesk = Теперь пришлите одноразовый код для <code>{ $id }</code>. Его выдаёт служба поддержки.{ $contact }
wrong-code = Код неверен или устарел. Проверьте и пришлите ещё раз или начните снова: /start.
locked = Слишком много попыток. Подождите { $minutes ->
    [one] { $minutes } минуту
    [few] { $minutes } минуты
    [many] { $minutes } минут
   *[other] { $minutes } минуты
} и начните снова: /start.
linked = ✅ Готово: этот аккаунт привязан к <code>{ $id }</code>. Получите доступ: /get_config.
linked-replaced = ✅ Готово: этот аккаунт привязан к <code>{ $id }</code>. Прежнему аккаунту об этом сообщено. Получите доступ: /get_config.
already-linked = Этот аккаунт привязан к <code>{ $id }</code>. /get_config выдаёт доступ, /status показывает его состояние, /unlink снимает привязку.
not-linked = Этот аккаунт ни к кому не привязан. Начните с /start.
denied = Ваш доступ выключен: { $reason }.{ $contact }
contact = {" "}Обратитесь: { $whom }.
reason-held = он приостановлен
reason-inactive = он отозван
reason-notyet = он ещё не начался
reason-expired = его срок истёк
reason-quota = трафик этого периода израсходован
reason-other = сейчас он не предоставлен
config = <b>Ваш доступ</b>

    Ссылка: <code>{ $link }</code>

    Подписка (клиенты обновляются по ней сами): <code>{ $subscription }</code>

    <b>iOS, macOS</b>: Streisand или Shadowrocket: скопируйте ссылку, нажмите +, импорт из буфера обмена.
    <b>Android</b>: v2rayNG или NekoBox: нажмите +, импорт из буфера обмена.
    <b>Windows, Linux</b>: Hiddify или NekoRay: добавьте профиль из буфера обмена.

    У кого эта ссылка, у того ваш доступ: никому её не давайте. { $minutes ->
    [one] Я удалю это сообщение через { $minutes } минуту.
    [few] Я удалю это сообщение через { $minutes } минуты.
    [many] Я удалю это сообщение через { $minutes } минут.
   *[other] Я удалю это сообщение через { $minutes } минуты.
}
config-short = <b>Ваш доступ</b> на картинке и в сообщении ниже.
config-picture = Отсканируйте клиентом. Картинка будет удалена вместе с сообщением.
config-later = Доступ готовится. Спросите ещё раз через минуту: /get_config.
button-open-subscription = Открыть подписку
status-granted = ✅ <b>Доступ включён</b> (<code>{ $id }</code>)
status-denied = ⛔ <b>Доступ выключен</b> (<code>{ $id }</code>): { $reason }
status-until = До: { $date }
status-from = С: { $date }
status-devices = Устройств в сети: { $count }
status-devices-of = Устройств в сети: { $count } из { $max }
status-used = Израсходовано трафика: { $used }
status-used-of = Израсходовано трафика: { $used } из { $limit }, осталось: { $left }
status-resets = Новый отсчёт: { $date }
status-hold = Приостановлено: { $source }
status-hold-until = Приостановлено: { $source }, до { $date }
rotate-ask = Создать новый пароль и новую ссылку подписки для <code>{ $id }</code>? Прежние перестанут работать на всех устройствах.
rotate-done = Новый доступ готов. Получите его: /get_config.
unlink-ask = Отвязать этот аккаунт от <code>{ $id }</code>? Доступ останется, сообщения о нём прекратятся.
unlinked = Этот аккаунт больше не привязан. Привязать снова: /start.
yes = Да
no = Нет
cancelled = Всё осталось как есть.
button-old = Эта кнопка больше не действует. Спросите ещё раз.
button-interrupted = Действие прервалось: неизвестно, выполнено ли оно. Проверьте, прежде чем повторять.
language-ask = Выберите язык.
language-set = Теперь я говорю по-русски.
unknown = Я этого не понимаю. /help подскажет, что я умею.
help = <b>Что я умею</b>
    /start – привязать аккаунт
    /get_config – ваш доступ: ссылка, картинка, подписка
    /status – состояние доступа
    /rotate – новый пароль и ссылка
    /unlink – отвязать аккаунт
    /language – язык
    /help – эта справка
help-contact = Вопросы: { $whom }
try-later = Оператор сейчас не отвечает. Попробуйте ещё раз чуть позже.
refused = Отказано: { $why }
notice-granted = ✅ У вас есть доступ к VPN. Получите его: /get_config.
notice-suspended = ⛔ Ваш доступ выключен: { $reason }.{ $contact }
notice-restored = ✅ Ваш доступ снова включён.
notice-expiring = ⏳ Ваш доступ закончится через { $days ->
    [one] { $days } день
    [few] { $days } дня
    [many] { $days } дней
   *[other] { $days } дня
}: { $date }.
notice-quota = 📊 Израсходовано { $percent }% трафика.
notice-quota-resets = 📊 Израсходовано { $percent }% трафика. Новый отсчёт с { $date }.
notice-replaced = Ваш корпоративный ID привязан к другому аккаунту Telegram. Если это были не вы, сразу сообщите службе безопасности.{ $contact }
notice-unlinked = Администратор снял привязку этого аккаунта.{ $contact }
notice-held-back = ⚠️ <b>Защита удерживает отключения</b>: { $people ->
    [one] { $people } человек сохраняет
    [few] { $people } человека сохраняют
    [many] { $people } человек сохраняют
   *[other] { $people } человека сохраняют
} доступ, хотя источник говорит иное. { $some }
    Посмотрите и подтвердите или отмените.
command-start = Привязать аккаунт
command-get-config = Ваш доступ
command-status = Состояние доступа
command-rotate = Новый пароль и ссылка
command-unlink = Отвязать аккаунт
command-language = Язык
command-help = Справка
