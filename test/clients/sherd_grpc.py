"""A stock Python gRPC client of sherd without generated stubs: it learns the messages by reflection.

Needs python3-grpcio and python3-protobuf, and protoc for the reflection service's own messages (from
the project's .proto files)."""
import os
import subprocess
import sys
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTO_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "api", "proto")


def _reflection_module():
    out = tempfile.mkdtemp(prefix="sherd_proto_")
    subprocess.run(["protoc", "--python_out=" + out, "-I", PROTO_DIR,
                    "grpc/reflection/v1alpha/reflection.proto"], check=True)
    # Beside the package "grpc" of grpcio, not in place of it.
    path = os.path.join(out, "grpc", "reflection", "v1alpha", "reflection_pb2.py")
    namespace = {"__name__": "sherd_reflection_pb2"}
    with open(path) as f:
        exec(compile(f.read(), path, "exec"), namespace)
    subprocess.run(["rm", "-rf", out], check=True)
    return namespace


class Client:
    """Calls by full method name; messages by full type name."""

    def __init__(self, target, version="v1alpha"):
        self.channel = grpc.insecure_channel(
            target, options=[("grpc.max_receive_message_length", 64 << 20),
                             ("grpc.max_send_message_length", 64 << 20)])
        self.version = version
        self.pool = descriptor_pool.DescriptorPool()
        self.files = set()
        self.reflection = _reflection_module()

    def close(self):
        self.channel.close()

    def _ask(self, **request):
        q = self.reflection["ServerReflectionRequest"](**request)
        call = self.channel.stream_stream(
            "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % self.version,
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=self.reflection["ServerReflectionResponse"].FromString)
        replies = list(call(iter([q]), timeout=10))
        assert len(replies) == 1, replies
        return replies[0]

    def services(self):
        return sorted(s.name for s in self._ask(list_services="").list_services_response.service)

    def _add(self, reply):
        assert reply.WhichOneof("message_response") == "file_descriptor_response", reply
        for data in reply.file_descriptor_response.file_descriptor_proto:
            proto = descriptor_pb2.FileDescriptorProto.FromString(data)
            if proto.name in self.files:
                continue
            self.files.add(proto.name)
            for name in proto.dependency:
                if name not in self.files:
                    self._add(self._ask(file_by_filename=name))
            self.pool.Add(proto)

    def symbol(self, name):
        """The raw reflection reply for a symbol."""
        return self._ask(file_containing_symbol=name)

    def message(self, name):
        try:
            descriptor = self.pool.FindMessageTypeByName(name)
        except KeyError:
            self._add(self.symbol(name))
            descriptor = self.pool.FindMessageTypeByName(name)
        return message_factory.MessageFactory(self.pool).GetPrototype(descriptor)

    def method(self, full):
        """(callable taking a dict of fields, request class): types come from the service's descriptor."""
        service, name = full.strip("/").split("/")
        try:
            descriptor = self.pool.FindServiceByName(service)
        except KeyError:
            self._add(self.symbol(service))
            descriptor = self.pool.FindServiceByName(service)
        m = descriptor.FindMethodByName(name)
        request = self.message(m.input_type.full_name)
        reply = self.message(m.output_type.full_name)
        proto = descriptor_pb2.MethodDescriptorProto()
        m.CopyToProto(proto)
        make = self.channel.unary_stream if proto.server_streaming else self.channel.unary_unary
        call = make(full, request_serializer=lambda q: q.SerializeToString(),
                    response_deserializer=reply.FromString)
        return call, request

    def call(self, full, timeout=10, **fields):
        call, request = self.method(full)
        result = call(request(**fields), timeout=timeout)
        return list(result) if hasattr(result, "__next__") else result

    def error_of(self, rpc_error):
        """The sherd.v1.Error in the details of a failed call, or None."""
        for key, value in rpc_error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                # google.rpc.Status: 3 = repeated Any; Any: 1 = type url, 2 = value.
                any_bytes = _field(value, 3)
                assert _field(any_bytes, 1).endswith(b"/sherd.v1.Error")
                return self.message("sherd.v1.Error").FromString(_field(any_bytes, 2))
        return None


def _varint(data, at):
    value, shift = 0, 0
    while True:
        value |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def _field(data, number):
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            _, at = _varint(data, at)
        elif tag & 7 == 2:
            size, at = _varint(data, at)
            if tag >> 3 == number:
                return data[at:at + size]
            at += size
        else:
            raise ValueError("unexpected wire type")
    raise KeyError(number)


def fails(code, fn, *args, **kwargs):
    """The RpcError that fn raises, which must have this code."""
    try:
        fn(*args, **kwargs)
    except grpc.RpcError as e:
        assert e.code() == code, (e.code(), e.details())
        return e
    raise AssertionError("it did not fail")


def run(tests):
    for test in tests:
        test()
        print("ok", test.__name__)
        sys.stdout.flush()
