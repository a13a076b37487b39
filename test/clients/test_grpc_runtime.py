#!/usr/bin/python3
"""The RPC runtime alone against a stock client: test_grpc_runtime.py PROGRAM, where `PROGRAM --peer`
is a server that prints its port (test_api_grpc)."""
import subprocess
import sys

import grpc

from sherd_grpc import Client, fails, run

server = subprocess.Popen([sys.argv[1], "--peer"], stdout=subprocess.PIPE)
port = int(server.stdout.readline())
client = Client("127.0.0.1:%d" % port)


def health_check_and_watch():
    assert client.call("/grpc.health.v1.Health/Check", service="sherd.v1.Sql").status == 1
    fails(grpc.StatusCode.NOT_FOUND, client.call, "/grpc.health.v1.Health/Check", service="x")
    call, request = client.method("/grpc.health.v1.Health/Watch")
    stream = call(request(service=""), timeout=10)
    assert next(stream).status == 1
    stream.cancel()
    stream = call(request(service="x"), timeout=10)
    assert next(stream).status == 3
    stream.cancel()


def both_versions_of_reflection():
    for version in ("v1", "v1alpha"):
        c = Client("127.0.0.1:%d" % port, version)
        assert "sherd.v1.Metadata" in c.services()
        assert c.message("sherd.v1.MetaTxnRequest")(request_id=3).request_id == 3
        for name in ("sherd.v1.Sql", "sherd.v1.Sql.Execute", "sherd.v1.Value.text",
                     "sherd.v1.OpenSessionRequest.SettingsEntry", "sherd.v1.Isolation",
                     "grpc.health.v1.HealthCheckResponse.ServingStatus"):
            assert c.symbol(name).WhichOneof("message_response") == "file_descriptor_response", name
        for name in ("sherd.v1.Nothing", "sherd.v1", "sherd.v1.Sql.Nothing", "", "x"):
            assert c.symbol(name).error_response.error_code == 5, name
        c.close()


def unary_calls_errors_and_deadlines():
    assert client.call("/sherd.v1.Metadata/Timestamp", count=4).first == 8
    e = fails(grpc.StatusCode.FAILED_PRECONDITION, client.call, "/sherd.v1.Metadata/Txn")
    error = client.error_of(e)
    assert (error.sqlstate, error.message, error.hint) == ("23505", "no puts", "Put something.")
    assert e.details() == "no puts"
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, client.call, "/sherd.v1.Metadata/Timestamp", timeout=0.05,
          count=0xffffffff)


def server_streams():
    for n in (0, 1, 2, 500):
        replies = client.call("/sherd.v1.Sql/Execute", sql=str(n))
        assert [r.row_count for r in replies] == list(range(n))
    replies = client.call("/sherd.v1.Sql/Execute", sql="-3")  # parts that join
    assert [(len(r.columns), len(r.rows), r.done, r.tag) for r in replies] == [(1, 2, True, "DONE")] * 3
    call, request = client.method("/sherd.v1.Sql/Execute")
    replies = []
    e = fails(grpc.StatusCode.ABORTED, lambda: replies.extend(call(request(sql="7"), timeout=10)))
    assert client.error_of(e).sqlstate == "40001"


def a_client_that_reads_slowly_holds_the_server_back():
    call, request = client.method("/sherd.v1.Sql/Execute")
    stream = call(request(sql="20000"), timeout=60)
    count = sum(1 for _ in stream)
    assert count == 20000, count


def compressed_requests_are_read():
    call, request = client.method("/sherd.v1.Metadata/Timestamp")
    assert call(request(count=5), timeout=10, compression=grpc.Compression.Gzip).first == 10


def unknown_methods_garbage_and_size():
    call = client.channel.unary_unary("/sherd.v1.Sql/Nothing")
    fails(grpc.StatusCode.UNIMPLEMENTED, call, b"", timeout=10)
    call = client.channel.unary_unary("/sherd.v1.Metadata/Txn")
    fails(grpc.StatusCode.INVALID_ARGUMENT, call, b"\xff\xff\xff", timeout=10)
    fails(grpc.StatusCode.RESOURCE_EXHAUSTED, call, b"\x0a" + b"\x80" * (40 << 20), timeout=30)
    assert client.call("/sherd.v1.Metadata/Timestamp", count=1).first == 2


def node_streams_of_strangers_are_refused():
    call = client.channel.stream_stream("/sherd.v1.Node/Stream")
    hello = client.message("sherd.v1.NodeEnvelope")
    for fields, code in (({}, grpc.StatusCode.INVALID_ARGUMENT),
                         ({"node_id": 3, "cluster_id": 99, "protocol": 1}, grpc.StatusCode.INVALID_ARGUMENT),
                         ({"node_id": 3, "protocol": 2}, grpc.StatusCode.UNIMPLEMENTED),
                         ({"node_id": 2, "protocol": 1}, grpc.StatusCode.INVALID_ARGUMENT)):
        m = hello()
        if fields:
            m.hello.SetInParent()
        for key, value in fields.items():
            setattr(m.hello, key, value)
        fails(code, lambda: list(call(iter([m.SerializeToString()]), timeout=10)))


try:
    run([health_check_and_watch, both_versions_of_reflection, unary_calls_errors_and_deadlines,
         server_streams, a_client_that_reads_slowly_holds_the_server_back, compressed_requests_are_read,
         unknown_methods_garbage_and_size, node_streams_of_strangers_are_refused])
    client.close()
    assert server.poll() is None, "the server has ended"
finally:
    server.kill()
    server.wait()
