"""A program that knows nothing of OAuth, nor of any proxy: gets a URL with Python's own HTTP client."""

import sys
import urllib.parse
import urllib.request

url = sys.argv[1]
with urllib.request.urlopen(url) as answer:
    print("urllib", answer.status, answer.read().decode())
with urllib.request.urlopen(urllib.parse.urljoin(url, "/orders"), data=b"one") as answer:
    print("urllib", answer.read().decode())
