#!/usr/bin/python3
"""Logging in where passwords are asked for (sql.auth scram, sql.password_file), by every door that takes SQL; what is
refused as a password file; `sherdd --check-config`.
"""
import base64
import importlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile

import grpc
import psycopg2

from cluster import BIN, query
from server import SHERDD, Failed, Server, expect, expect_text, run_cases

SHERD = os.path.abspath(os.path.join(BIN, "sherd"))
PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../api/proto")
SECRET = "correct horse: battery %s"  # a colon, blanks and a percent sign, which must arrive as they are
# The password "pencil", with the salt of RFC 7677's example.
VERIFIER = ("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")


def password_file(s, text, mode=0o600):
    path = os.path.join(s.dir, "password")
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    s.values["sql.password_file"] = path
    return path


def beyond_loopback(s):
    """Listens on all addresses: passwords are asked for by default."""
    s.values["node.listen"] = "0.0.0.0"
    return s


def log_in(s, password, user="sherd"):
    c = psycopg2.connect(host="127.0.0.1", port=s.ports["sql"], user=user, dbname="sherd", password=password,
                         connect_timeout=10)
    c.autocommit = True
    return c


def expect_refused(s, password, user="sherd"):
    try:
        log_in(s, password, user).close()
    except psycopg2.OperationalError as e:
        expect_text(str(e), f"password authentication failed for user \"{user}\"")
        return
    raise Failed(f"\"{user}\" was let in")


def psql_state(s, password):
    """The SQLSTATE that a refused login carries: psycopg2 does not tell it of connections that fail."""
    r = subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", str(s.ports["sql"]), "-U", "sherd", "-w", "-c", "SELECT 1",
                        "sherd"], env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, timeout=30)
    return r.returncode, r.stdout + r.stderr


def by_postgresql_clients():
    with beyond_loopback(Server()) as s:
        password_file(s, SECRET + "\r\na second line\n")
        s.start()
        c = log_in(s, SECRET)
        expect(query(c, "SELECT current_user") == [("sherd",)], "another user")
        query(c, "CREATE ROLE guest LOGIN")
        query(c, "CREATE ROLE other LOGIN SUPERUSER")
        c.close()
        code, said = psql_state(s, SECRET)
        expect(code == 0 and "1 row" in said, said)
        code, said = psql_state(s, "wrong")
        expect(code == 2, f"exit code {code}")
        expect_text(said, "password authentication failed for user \"sherd\"")
        for wrong in ("", "wrong", SECRET + " ", SECRET + "\na second line", VERIFIER):
            if wrong:
                expect_refused(s, wrong)
        for user in ("guest", "other", "nobody"):  # they have no password: not the superuser's either
            expect_refused(s, SECRET, user)


def by_a_verifier():
    with beyond_loopback(Server()) as s:
        password_file(s, VERIFIER + "\n", 0o640)
        s.start()
        expect(query(log_in(s, "pencil"), "SELECT 1") == [(1,)], "no answer")
        expect_refused(s, VERIFIER)
        sql(s, "pencil")
        sql(s, VERIFIER, expected=2)


def the_password_changes():
    with beyond_loopback(Server()) as s:
        password_file(s, "first\n")
        s.start()
        log_in(s, "first").close()
        expect(s.stop() == 0, s.text())
        password_file(s, "second\n")
        s.start()
        log_in(s, "second").close()
        expect_refused(s, "first")
        sql(s, "first", expected=2)


def sql(s, password, *arguments, expected=0):
    environment = {k: v for k, v in os.environ.items() if k != "SHERD_PASSWORD"}
    if password is not None:
        environment["SHERD_PASSWORD"] = password
    r = subprocess.run([SHERD, "sql", "-p", str(s.ports["grpc"]), "-At", "-c", "SELECT 6 * 7", *arguments],
                       env=environment, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
                       start_new_session=True)
    expect(r.returncode == expected, f"exit code {r.returncode}:\n{r.stdout}{r.stderr}")
    if expected == 0:
        expect(r.stdout == "42\n", r.stdout)
    return r.stdout + r.stderr


def by_sherd_sql():
    with beyond_loopback(Server()) as s:
        password_file(s, SECRET)
        s.start()
        sql(s, SECRET)
        expect_text(sql(s, "wrong", expected=2), "password authentication failed")
        expect_text(sql(s, None, expected=2), "carries no password", "SHERD_PASSWORD", "-W")
        expect_text(sql(s, SECRET, "-U", "guest", expected=2), "for user \"guest\"")
        expect_text(sql(s, SECRET, "-W", expected=2), "terminal")
        expect(at_a_terminal(s, SECRET) == 0, "the password that was typed is refused")
        expect(at_a_terminal(s, "wrong") == 2, "a wrong password that was typed is taken")


def at_a_terminal(s, password):
    """sherd sql -W with the password typed; it must not be echoed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(SHERD, [SHERD, "sql", "-p", str(s.ports["grpc"]), "-W", "-At", "-c", "SELECT 6 * 7"])
    said = b""
    is_typed = False
    try:
        while True:
            ready, _, _ = select.select([terminal], [], [], 30)
            expect(ready, f"no answer: {said}")
            try:
                said += os.read(terminal, 1024)
            except OSError:  # the other end is closed
                break
            if not is_typed and b"Password for user sherd: " in said:
                os.write(terminal, password.encode() + b"\n")
                is_typed = True
    except Failed:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(terminal)
    _, status = os.waitpid(pid, 0)
    expect(password.encode() not in said, f"the password is shown: {said}")
    code = os.waitstatus_to_exitcode(status)
    expect((b"42" in said) == (code == 0), str(said))
    return code


def load_proto():
    """The modules of the .proto files, made now by protoc; grpcio's generic calls need no more."""
    out = tempfile.mkdtemp(prefix="sherd-test-")
    subprocess.run(["protoc", f"-I{PROTO}", f"--python_out={out}", "sherd/v1/common.proto", "sherd/v1/sql.proto"], check=True)
    sys.path.insert(0, out)
    return importlib.import_module("sherd.v1.sql_pb2")


def basic(user, password):
    return (("authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()),)


def by_grpc():
    pb = load_proto()
    with beyond_loopback(Server()) as s:
        password_file(s, SECRET)
        s.start()
        with grpc.insecure_channel(f"127.0.0.1:{s.ports['grpc']}") as channel:
            open_session = channel.unary_unary("/sherd.v1.Sql/OpenSession", pb.OpenSessionRequest.SerializeToString,
                                               pb.OpenSessionReply.FromString)
            execute = channel.unary_stream("/sherd.v1.Sql/Execute", pb.ExecuteRequest.SerializeToString,
                                           pb.ExecuteReply.FromString)

            def refused(call, request, metadata):
                try:
                    r = call(request, metadata=metadata, timeout=20)
                    list(r) if call is execute else None
                except grpc.RpcError as e:
                    expect(e.code() == grpc.StatusCode.PERMISSION_DENIED, str(e))
                    expect_text(e.details(), "password authentication failed")
                    return
                raise Failed(f"let in with {metadata}")

            statement = pb.ExecuteRequest(sql="SELECT 1")
            right = basic("sherd", SECRET)
            for bad in (None, basic("sherd", "wrong"), basic("guest", SECRET), basic("", SECRET), (("authorization", ""),),
                        (("authorization", "Basic "),), (("authorization", "Basic !!!!"),),
                        (("authorization", "Basic c2hlcmQ="),), (("authorization", "Basic " + "AAAA" * 1500),),
                        (("authorization", "Bearer " + right[0][1][6:]),)):
                refused(open_session, pb.OpenSessionRequest(), bad)
                refused(execute, statement, bad)
            refused(open_session, pb.OpenSessionRequest(user="guest"), right)
            refused(execute, pb.ExecuteRequest(sql="SELECT 1", user="guest"), right)
            for _ in range(3):
                rows = [v.text for m in execute(statement, metadata=right, timeout=20) for row in m.rows for v in row.values]
                expect(rows == ["1"], str(rows))
            refused(execute, statement, basic("sherd", "wrong"))  # also after the right one is remembered
            session = open_session(pb.OpenSessionRequest(), metadata=right, timeout=20).session
            within = pb.ExecuteRequest(session=session, sql="SELECT 2")  # the handle is enough
            rows = [v.text for m in execute(within, timeout=20) for row in m.rows for v in row.values]
            expect(rows == ["2"], str(rows))
        expect(s.stop() == 0, s.text())


def nobody_can_log_in():
    with beyond_loopback(Server()) as s:
        s.start()
        with open(os.path.join(s.values["log.dir"], "system.log")) as f:
            expect_text(f.read(), "nobody can log in", "sql.password_file")
        expect_refused(s, "anything")
        sql(s, "anything", expected=2)


def loopback_stays_open():
    with Server() as s:
        s.start()
        s.connect().close()
        sql(s, None)
        sql(s, "not asked for")


def a_password_on_loopback():
    """A password file means that it is asked for, on loopback too."""
    with Server() as s:
        password_file(s, SECRET)
        s.start()
        log_in(s, SECRET).close()
        expect_refused(s, "wrong")


def refused_file(text, mode, *parts):
    def run():
        with Server() as s:
            path = password_file(s, text, mode)
            said = s.refuses("sql.password_file", path, "hint", *parts)
            expect(not text.strip() or text.strip() not in said, f"the secret is told:\n{said}")
            expect(check(s.config()) == (1, said), "--check-config says something else")
    return run


def refused_path(make, *parts):
    def run():
        with Server() as s:
            path = os.path.join(s.dir, "password")
            make(path)
            s.values["sql.password_file"] = path
            s.refuses("sql.password_file", path, "hint", *parts)
    return run


def trust_with_a_password():
    with Server() as s:
        password_file(s, SECRET)
        s.values["sql.auth"] = "trust"
        s.refuses("sql.auth", "sql.password_file", "hint")


def check(path):
    r = subprocess.run([SHERDD, "--check-config", path], capture_output=True, text=True, timeout=30)
    return r.returncode, r.stdout + r.stderr


def check_config():
    with Server() as s:
        password_file(s, SECRET)
        expect(check(s.config()) == (0, ""), str(check(s.config())))
        expect(not os.path.exists(s.data) and not os.path.exists(s.values["log.dir"]), "it made directories")
        s.values["log.config"] = os.path.join(s.dir, "logger.yaml")
        code, said = check(s.config())
        expect(code == 1, said)
        expect_text(said, "logger.yaml", "No such file")
        with open(s.values["log.config"], "w") as f:
            f.write("level: loud\n")
        code, said = check(s.config())
        expect(code == 1 and re.search(r"logger.yaml:1: .*loud", said), said)
        s.values.pop("log.config")
        s.values["ports.sql"] = "many"
        code, said = check(s.config())
        expect(code == 1 and re.search(r"sherd.yaml:\d+: .*many", said), said)


def main():
    return run_cases([
        ("psql and psycopg2", by_postgresql_clients),
        ("a verifier in the file", by_a_verifier),
        ("another password after a restart", the_password_changes),
        ("sherd sql", by_sherd_sql),
        ("gRPC", by_grpc),
        ("no password file: nobody, and it is said", nobody_can_log_in),
        ("loopback without a file asks for none", loopback_stays_open),
        ("loopback with a file asks", a_password_on_loopback),
        ("refused: readable by all", refused_file("secret\n", 0o644, "all users", "chmod o-rwx")),
        ("refused: empty", refused_file("", 0o600, "empty first line")),
        ("refused: first line empty", refused_file("\nsecret\n", 0o600, "empty first line")),
        ("refused: a control character", refused_file("sec\tret\n", 0o600, "printable ASCII")),
        ("refused: not ASCII", refused_file("gehe\u00edm\n", 0o600, "printable ASCII", "verifier")),
        ("refused: too long", refused_file("x" * 1001, 0o600, "1000 bytes")),
        ("refused: a damaged verifier", refused_file(VERIFIER[:-3], 0o600, "damaged verifier", "SCRAM-SHA-256$")),
        ("refused: not there", refused_path(lambda path: None, "No such file")),
        ("refused: a directory", refused_path(os.mkdir, "not a file")),
        ("refused: a pipe", refused_path(os.mkfifo, "not a file")),
        ("refused: trust with a password file", trust_with_a_password),
        ("--check-config", check_config),
    ])


if __name__ == "__main__":
    sys.exit(main())
