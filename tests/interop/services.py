"""Services that the gateway carries as bytes, and tools that use them.

    services.py serve ssh
    services.py serve http
    services.py serve https CERTIFICATE KEY
    services.py use ssh|http|https HOST:PORT

`serve` prints `listening 127.0.0.1:PORT` (and, for SSH, `host key FINGERPRINT`
before it) and serves until it is ended. `use` prints what the service said.
SSH is AsyncSSH, HTTP is Python's own server and client.
"""

import asyncio
import http.client
import http.server
import socket
import ssl
import sys


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"pressure 731"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_http(certificate, key):
    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"listening 127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def use_http(secure, host, port):
    if secure:
        # The name below is what a browser would ask for; the address is the
        # listener's, so the check of names is not for this test.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPConnection(host, port, timeout=30)
        plain = socket.create_connection((host, port), timeout=30)
        connection.sock = context.wrap_socket(plain, server_hostname="panel.plant.example")
    else:
        connection = http.client.HTTPConnection(host, port, timeout=30)
    headers = {"Host": "panel.plant.example", "Authorization": "Basic c2VjcmV0", "Connection": "close"}
    connection.request("GET", "/values?token=secret", headers=headers)
    print(connection.getresponse().read().decode(), flush=True)
    connection.close()


async def serve_ssh():
    import asyncssh

    class Anyone(asyncssh.SSHServer):
        def begin_auth(self, username):
            return False

    def told(process):
        process.stdout.write("pressure 731\n")
        process.exit(0)

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        Anyone, "127.0.0.1", 0, server_host_keys=[key], process_factory=told
    )
    print(f"host key {key.get_fingerprint()}", flush=True)
    print(f"listening 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.wait_closed()


async def use_ssh(host, port):
    import asyncssh

    async with asyncssh.connect(
        host, port, known_hosts=None, username="tech-1", client_keys=None, config=None
    ) as connection:
        result = await asyncio.wait_for(connection.run("pressure"), 30)
        print(result.stdout.strip(), flush=True)


def main():
    way, kind, *rest = sys.argv[1:]
    if way == "serve" and kind == "ssh":
        asyncio.run(serve_ssh())
    elif way == "serve":
        serve_http(*(rest or [None, None]))
    else:
        host, port = rest[0].rsplit(":", 1)
        if kind == "ssh":
            asyncio.run(use_ssh(host, int(port)))
        else:
            use_http(kind == "https", host, int(port))


main()
