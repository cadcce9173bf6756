"""The person in the middle of an OAuth flow: a browser that signs in, allows what it is asked, and tells where it was
sent back to. The published clients call it with their link."""

import re
import threading
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


def hidden(page, name):
    value = re.findall(f'name="{name}" value="([^"]*)"', page)[-1]
    return value.replace("&#38;", "&").replace("&#34;", '"').replace("&#39;", "'")


@contextmanager
def user_agent(base, email, password, redirect):
    browser = requests.Session()
    browser.headers.update({"Accept": "text/html", "Sec-Fetch-Site": "same-origin"})
    page = browser.get(f"{base}/sign-in").text
    browser.post(f"{base}/sign-in", {"csrf": hidden(page, "csrf"), "email": email, "password": password})

    def follow(link):
        # A link on another site's page.
        answer = browser.get(link, headers={"Sec-Fetch-Site": "cross-site"}, allow_redirects=False)
        if answer.status_code == 200:
            form = {"csrf": hidden(answer.text, "csrf"), "request": hidden(answer.text, "request"), "decision": "allow"}
            answer = browser.post(f"{base}/oauth/authorize", form, allow_redirects=False)
        location = answer.headers.get("Location", "")
        return location if location.startswith(redirect) else f"{answer.status_code} {location} {answer.text}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            link = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["link"][0]
            body = follow(link).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
