# Тексты для администраторов и службы поддержки.
desk-help = <b>Служба поддержки</b>
    /show ID – корпоративный ID и его владелец
    /search СЛОВА – поиск ID
    /code ID – одноразовый код привязки
    /link ID – одноразовая ссылка на страницу человека
    /hold ID ПРИЧИНА – приостановить
    /release ID ПРИЧИНА – снять приостановку
admin-help = <b>Администраторам ещё</b>
    /issue ВЛАДЕЛЕЦ – выдать ID
    /revoke ID ПРИЧИНА – отозвать ID
    /grant ID – дать доступ
    /deactivate ID ПРИЧИНА – отозвать доступ
    /activate ID ПРИЧИНА – вернуть доступ
    /online – кто в сети
    /story ID – история человека
    /events – ожидающие и неудачные события HR
    /guard – что удерживает защита
not-allowed = Это только для { $who ->
    [admins] администраторов
   *[other] администраторов и службы поддержки
}.
usage = Напишите так: <code>{ $how }</code>
confirm-revoke = Отозвать ID: <b>{ $who }</b>? Причина: { $reason }
confirm-deactivate = Отозвать доступ: <b>{ $who }</b>? Причина: { $reason }
confirm-hold = Приостановить: <b>{ $who }</b>? Причина: { $reason }
confirm-release = Снять приостановки: <b>{ $who }</b>? Причина: { $reason }
confirm-activate = Вернуть доступ: <b>{ $who }</b>? Причина: { $reason }
confirm-guard-confirm = Подтвердить { $people ->
    [one] { $people } удержанное отключение
    [few] { $people } удержанных отключения
    [many] { $people } удержанных отключений
   *[other] { $people } удержанного отключения
}? { $some }
confirm-guard-cancel = Отменить { $people ->
    [one] { $people } удержанное отключение
    [few] { $people } удержанных отключения
    [many] { $people } удержанных отключений
   *[other] { $people } удержанного отключения
} и сохранить доступ? { $some }
done = Готово.
done-accepted = Принято, выполняется.
link-code = Одноразовый код для <b>{ $id }</b>, действует до { $until }:
    <code>{ $code }</code>
    Передайте его только этому человеку. Отсюда он будет удалён.
handover = Ссылка, которая один раз откроет страницу <b>{ $id }</b>, действует до { $until }:
    <code>{ $link }</code>
    Передайте её только этому человеку. Отсюда она будет удалена, а кто её открыл, покажет аудит.
handover-denied = Сейчас доступа нет. Ссылка так и ответит и останется в силе.
button-copy-link = Скопировать ссылку
issued = Выдан: <code>{ $id }</code> ({ $who })
granted = Доступ для <code>{ $id }</code> открыт. Человек получит его: /get_config.
nobody = Ничего не найдено.
no-holds = Нет приостановки, которую вы можете снять.
button-look = Посмотреть
button-confirm = Подтвердить
button-cancel = Отменить
more = … и ещё: весь список есть в командной строке.
guard-none = Защита ничего не удерживает.
guard-head = <b>Удержано</b>: { $people ->
    [one] { $people } человек
    [few] { $people } человека
    [many] { $people } человек
   *[other] { $people } человека
}
command-show = Корпоративный ID
command-search = Поиск ID
command-code = Код привязки
command-link = Ссылка на страницу
command-hold = Приостановить
command-release = Снять приостановки
command-issue = Выдать ID
command-revoke = Отозвать ID
command-grant = Дать доступ
command-deactivate = Отозвать доступ
command-activate = Вернуть доступ
command-online = Кто в сети
command-story = История человека
command-events = События HR
command-guard = Защита
