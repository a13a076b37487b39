#!/usr/bin/python3
"""SQL through the gRPC interface by a stock client: test_grpc.py HOST:PORT (a router's gRPC port)."""
import sys
import threading

import grpc

from sherd_grpc import Client, fails, run

client = Client(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7433")
SQL = "/sherd.v1.Sql/"


def session(**fields):
    return client.call(SQL + "OpenSession", user="sherd", database="sherd", **fields).session


def close(s):
    client.call(SQL + "CloseSession", session=s)


def execute(s, sql, *params, **more):
    """[(column names, rows, tag, transaction)] for each statement."""
    value = client.message("sherd.v1.Value")
    values = [value(null=True) if p is None else
              value(binary=p) if isinstance(p, bytes) else value(text=str(p)) for p in params]
    results, columns, rows = [], [], []
    for m in client.call(SQL + "Execute", session=s, sql=sql, params=values, **more):
        columns = [c.name for c in m.columns] or columns
        for row in m.rows:
            rows.append(tuple(None if v.WhichOneof("kind") == "null" else
                              getattr(v, v.WhichOneof("kind")) for v in row.values))
        if m.done:
            results.append((columns, rows, m.tag, m.transaction))
            columns, rows = [], []
    return results


def sql_error(sqlstate, *args):
    try:
        execute(*args)
    except grpc.RpcError as e:
        error = client.error_of(e)
        assert error is not None, e
        assert error.sqlstate == sqlstate, error
        return error
    raise AssertionError("it did not fail")


def health_is_serving():
    for name in ("", "sherd.v1.Sql"):
        reply = client.call("/grpc.health.v1.Health/Check", service=name)
        assert reply.status == 1, reply


def reflection_lists_the_services():
    names = client.services()
    for name in ("sherd.v1.Sql", "sherd.v1.Admin", "grpc.health.v1.Health"):
        assert name in names, names


def a_table_is_made_filled_and_read():
    s = session()
    execute(s, "DROP TABLE IF EXISTS grpc_test")
    execute(s, "CREATE TABLE grpc_test (id int PRIMARY KEY, name text)")
    assert execute(s, "INSERT INTO grpc_test VALUES ($1, $2), ($3, $4)", 1, "one", 2, None)[0][2] == "INSERT 0 2"
    result = execute(s, "SELECT id, name FROM grpc_test ORDER BY id")
    assert result == [(["id", "name"], [("1", "one"), ("2", None)], "SELECT 2", "I")], result
    close(s)


def an_error_carries_its_sqlstate():
    s = session()
    assert sql_error("42P01", s, "SELECT * FROM no_such_table").message
    error = sql_error("23505", s, "INSERT INTO grpc_test VALUES (1, 'again')")
    assert error.constraint == "grpc_test_pkey", error
    sql_error("42601", s, "SELEC 1")
    assert execute(s, "SELECT 1")[0][1] == [("1",)]
    close(s)


def a_transaction_is_rolled_back_or_committed():
    s, other = session(), session()
    assert execute(s, "BEGIN")[0][3] == "T"
    execute(s, "INSERT INTO grpc_test VALUES (3, 'three')")
    assert execute(other, "SELECT count(*) FROM grpc_test")[0][1] == [("2",)]
    assert execute(s, "ROLLBACK")[0][3] == "I"
    execute(s, "BEGIN; INSERT INTO grpc_test VALUES (3, 'three'); COMMIT")
    assert execute(other, "SELECT name FROM grpc_test WHERE id = 3")[0][1] == [("three",)]
    execute(s, "BEGIN")
    sql_error("22012", s, "SELECT 1 / 0")
    sql_error("25P02", s, "SELECT 1")
    assert execute(s, "ROLLBACK")[0][3] == "I"
    close(s)
    close(other)


def a_prepared_statement_runs_with_parameters():
    s = session()
    reply = client.call(SQL + "PrepareStatement", session=s, name="p",
                        sql="SELECT name FROM grpc_test WHERE id = $1")
    assert list(reply.param_types) == [23], reply
    assert [c.name for c in reply.columns] == ["name"], reply
    for key, name in ((1, "one"), (3, "three")):
        value = client.message("sherd.v1.Value")(text=str(key))
        rows = [r for m in client.call(SQL + "Execute", session=s, prepared="p", params=[value])
                for r in m.rows]
        assert [r.values[0].text for r in rows] == [name], rows
    close(s)


def a_statement_without_session_is_autocommit():
    result = client.call(SQL + "Execute", sql="SELECT 1 AS one", user="sherd", database="sherd")
    assert result[0].columns[0].name == "one"


def many_rows_come_in_several_messages():
    s = session()
    messages = client.call(SQL + "Execute", session=s, sql="SELECT * FROM generate_series(1, 2000)",
                           rows_per_message=100)
    assert len(messages) >= 20, len(messages)
    assert sum(len(m.rows) for m in messages) == 2000
    close(s)


def cancel_ends_a_statement():
    s, other = session(), session()
    # A lock that is held for the other to wait for.
    execute(other, "BEGIN; UPDATE grpc_test SET name = 'x' WHERE id = 1")
    started = threading.Event()
    result = []

    def wait():
        started.set()
        result.append(sql_error("57014", s, "UPDATE grpc_test SET name = 'y' WHERE id = 1"))

    t = threading.Thread(target=wait)
    t.start()
    started.wait()
    while t.is_alive():
        client.call(SQL + "Cancel", session=s)
        t.join(0.02)
    assert len(result) == 1
    execute(other, "ROLLBACK")
    close(s)
    close(other)


def a_deadline_ends_a_statement_on_the_server_too():
    s, other = session(), session()
    execute(other, "BEGIN; UPDATE grpc_test SET name = 'x' WHERE id = 1")
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, client.call, SQL + "Execute", timeout=0.1, session=s,
          sql="UPDATE grpc_test SET name = 'y' WHERE id = 1")
    execute(other, "COMMIT")
    assert execute(other, "SELECT name FROM grpc_test WHERE id = 1")[0][1] == [("x",)]
    close(other)


def an_unknown_session_is_told():
    e = fails(grpc.StatusCode.NOT_FOUND, client.call, SQL + "Execute", session=b"x" * 16, sql="SELECT 1")
    assert client.error_of(e).sqlstate == "08003"


def an_unknown_method_is_unimplemented():
    call = client.channel.unary_unary("/sherd.v1.Sql/Nothing")
    fails(grpc.StatusCode.UNIMPLEMENTED, call, b"", timeout=10)


def garbage_and_oversized_requests_are_refused():
    call = client.channel.unary_unary(SQL + "OpenSession")
    fails(grpc.StatusCode.INVALID_ARGUMENT, call, b"\xff\xff\xff", timeout=10)
    fails(grpc.StatusCode.RESOURCE_EXHAUSTED, call, b"\x0a" + b"\x80" * (40 << 20), timeout=30)
    health_is_serving()


def the_cluster_tells_its_status():
    reply = client.call("/sherd.v1.Admin/ClusterStatus")
    assert reply.leader_node > 0 and len(reply.nodes) > 0 and len(reply.shards) > 0, reply


if __name__ == "__main__":
    run([health_is_serving, reflection_lists_the_services, a_table_is_made_filled_and_read,
         an_error_carries_its_sqlstate, a_transaction_is_rolled_back_or_committed,
         a_prepared_statement_runs_with_parameters, a_statement_without_session_is_autocommit,
         many_rows_come_in_several_messages, cancel_ends_a_statement,
         a_deadline_ends_a_statement_on_the_server_too, an_unknown_session_is_told,
         an_unknown_method_is_unimplemented, garbage_and_oversized_requests_are_refused,
         the_cluster_tells_its_status])
    client.close()
