# Страница подписки.
page-no-access = Нет доступа
page-unknown = Неизвестная ссылка
page-too-many = Слишком много попыток
page-not-now = Сейчас недоступно
page-denied-notyet = Ваш доступ ещё не начался.
page-denied-expired = Срок вашего доступа истёк.
page-denied-quota = Ваш трафик израсходован.
page-denied-off = Ваш доступ выключен.
page-unknown-text = Такой ссылки нет, или её заменили новой.
page-too-many-text = Из вашей сети открывали слишком много несуществующих ссылок. Попробуйте через { $minutes ->
    [one] { $minutes } минуту
    [few] { $minutes } минуты
   *[other] { $minutes } минут
}.
page-not-now-text = Сейчас нет ни одного сервера для подключения. Попробуйте позже.
page-ask = Обратитесь к тому, кто дал вам эту ссылку.
page-ask-whom = Обратитесь: { $whom }.
page-usage = Доступ
page-used = Израсходовано { $used } из { $limit }
page-used-unlimited = Израсходовано { $used }, без ограничения
page-traffic = Израсходованный трафик
page-until = до { $date }
page-no-end = бессрочно
page-days-left = { $days ->
    [0] осталось меньше дня
    [one] остался { $days } день
    [few] осталось { $days } дня
   *[other] осталось { $days } дней
}
page-apps = Подключение
page-apps-text = Установите одно из приложений, вернитесь на эту страницу и нажмите «Импорт».
page-your-device = ваше устройство
page-install = Установить
page-import = Импорт
page-install-app = Установить { $app }
page-import-app = Импорт в { $app }
page-subscription = Подписка
page-subscription-text = Отсканируйте код телефоном или один раз добавьте адрес в приложение: оно само обновляет серверы. Никому его не показывайте.
page-qr = QR-код подписки
page-qr-link = QR-код ссылки { $name }
page-copy = Скопировать адрес
page-copy-link = Скопировать ссылку
page-copied = Скопировано
page-press = Выделите и скопируйте
page-links = Отдельные ссылки
page-links-text = Для приложений без подписок. При смене серверов эти ссылки не обновляются.
page-questions = Вопросы: { $whom }
page-language = Язык
