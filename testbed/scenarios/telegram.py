"""A double of Telegram's Bot API, as far as a conversation needs it: updates by long polling, texts, pictures, buttons."""

import email.parser
import email.policy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .processes import until

TOKEN = "123456:testbed-token-of-the-bot"


class Telegram:
    """The server, and the people who write."""

    def __init__(self):
        self.unknown = []
        self._news = threading.Condition()
        self._updates = []
        self._said = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fields = _fields(self.headers["Content-Type"], body)
                status, answer = double._answer(self.path, fields)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def settings(self):
        """What an operator needs to have a bot here."""
        return {"TELEGRAM_API_URL": self.url, "TELEGRAM_BOT_TOKEN": TOKEN}

    def asks(self, account, text, language="en"):
        """Somebody writes; answers what the bot says next to them: fields of the message, `photo` as bytes."""
        with self._news:
            before = len([said for said in self._said if said["chat"] == account])
            self._updates.append({
                "update_id": len(self._updates) + 1,
                "message": {
                    "message_id": 1, "date": 0, "text": text, "chat": {"id": account, "type": "private"},
                    "from": {"id": account, "is_bot": False, "first_name": "Anna", "language_code": language},
                },
            })
            self._news.notify_all()

        def answered():
            with self._news:
                said = [said for said in self._said if said["chat"] == account]
            return said[before] if len(said) > before else None

        return until(f"the bot answers {text.split()[0]}", answered, 30)

    def _answer(self, path, fields):
        bot, _, method = path.lstrip("/").partition("/")
        if bot != f"bot{TOKEN}":
            return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
        if method == "getUpdates":
            return 200, {"ok": True, "result": self._since(int(fields["offset"]), float(fields["timeout"]))}
        if method in ("sendMessage", "sendPhoto"):
            return 200, {"ok": True, "result": {"message_id": self._keep(fields)}}
        result = {
            "getMe": {"id": 123456, "is_bot": True, "first_name": "VPN", "username": "testbed_bot"},
            "getWebhookInfo": {"url": ""},
            **dict.fromkeys(("setMyCommands", "deleteMessage", "answerCallbackQuery", "editMessageReplyMarkup"), True),
        }.get(method)
        if result is None:
            self.unknown.append(method)
            return 404, {"ok": False, "error_code": 404, "description": "Not Found"}
        return 200, {"ok": True, "result": result}

    def _since(self, offset, seconds):
        def new():
            return [update for update in self._updates if update["update_id"] >= offset]

        with self._news:
            self._news.wait_for(new, seconds)
            return new()

    def _keep(self, fields):
        with self._news:
            self._said.append({**fields, "chat": int(fields["chat_id"]), "text": fields.get("text") or fields.get("caption")})
            return len(self._said)


def _fields(kind, body):
    """What a method is called with: JSON, or a form with a file."""
    if not kind.startswith("multipart/"):
        return json.loads(body)
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in form.iter_parts():
        content = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        fields[name] = content if part.get_filename() else content.decode()
    return fields
