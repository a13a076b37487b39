/*
 * Server reflection, v1 and v1alpha: the descriptors of all .proto files, embedded at build time as
 * one FileDescriptorSet, and an index of the names in them made at the first use.
 *
 * The set is our own build's, yet it is read with the bounds-checked reader like everything else.
 * Only what lookup needs is taken: file name, package, and the names of messages, enums, services
 * and methods. The two versions of the service have the same messages but for the package.
 */
#include "api/pb.h"
#include "base/check.h"
#include "grpc_front.h"

#include "grpc/reflection/v1/reflection.pb-c.h"

#include <string.h>

extern const unsigned char api_descriptor_set[];
extern const unsigned long api_descriptor_set_size;

#define SYMBOL_DEPTH_MAX 8

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

/* One field of a protobuf message that is bytes or a string; others are skipped. */
static unsigned next_bytes(struct reader *r, struct slice *out)
{
    while (reader_left(r) > 0 && reader_ok(r)) {
        uint64_t tag = read_varint(r);
        switch (tag & 7) {
        case 0:
            (void)read_varint(r);
            break;
        case 1:
            (void)read_raw(r, 8);
            break;
        case 2:
            *out = read_bytes(r);
            return reader_ok(r) ? (unsigned)(tag >> 3) : 0;
        case 5:
            (void)read_raw(r, 4);
            break;
        default:
            return 0;
        }
    }
    return 0;
}

/* If `symbol` begins with `name` and a dot (or is it), the rest. */
static bool strip(struct slice symbol, struct slice name, struct slice *rest)
{
    if (!slice_has_prefix(symbol, name)) {
        return false;
    }
    if (symbol.len == name.len) {
        *rest = slice_make(symbol.data + symbol.len, 0);
        return true;
    }
    if (symbol.data[name.len] != '.') {
        return false;
    }
    *rest = slice_make(symbol.data + name.len + 1, symbol.len - name.len - 1);
    return true;
}

/* Is `symbol` this element or inside it? `inner`: fields whose elements are named within. */
static bool element_has(struct slice element, struct slice symbol, const unsigned *inner, int depth)
{
    struct reader r;
    struct slice bytes;
    struct slice rest = {0};
    bool is_named = false;
    unsigned field;
    reader_init(&r, element);
    while ((field = next_bytes(&r, &bytes)) != 0) {
        if (field == 1) {
            is_named = strip(symbol, bytes, &rest);
            break; /* the name comes first in what protoc writes */
        }
    }
    if (!is_named) {
        return false;
    }
    if (rest.len == 0) {
        return true;
    }
    if (depth == SYMBOL_DEPTH_MAX) {
        return false;
    }
    reader_init(&r, element);
    while ((field = next_bytes(&r, &bytes)) != 0) {
        for (const unsigned *i = inner; *i != 0; i++) {
            if (field == *i && element_has(bytes, rest, inner, depth + 1)) {
                return true;
            }
        }
    }
    return false;
}

static bool file_has(struct slice file, struct slice symbol)
{
    /* FileDescriptorProto: 2 package, 4 message, 5 enum, 6 service. */
    static const unsigned in_message[] = {2, 3, 4, 8, 0}; /* field, nested message, enum, oneof */
    static const unsigned in_service[] = {2, 0};          /* method */
    static const unsigned in_enum[] = {2, 0};             /* value */
    struct reader r;
    struct slice bytes;
    struct slice rest = symbol;
    unsigned field;
    reader_init(&r, file);
    while ((field = next_bytes(&r, &bytes)) != 0) {
        if (field == 2) {
            if (!strip(symbol, bytes, &rest) || rest.len == 0) {
                return false;
            }
            break;
        }
    }
    reader_init(&r, file);
    while ((field = next_bytes(&r, &bytes)) != 0) {
        if ((field == 4 && element_has(bytes, rest, in_message, 0)) ||
            (field == 5 && element_has(bytes, rest, in_enum, 0)) ||
            (field == 6 && element_has(bytes, rest, in_service, 0))) {
            return true;
        }
    }
    return false;
}

static bool file_is(struct slice file, struct slice name)
{
    struct reader r;
    struct slice bytes;
    reader_init(&r, file);
    return next_bytes(&r, &bytes) == 1 && slice_eq(bytes, name);
}

/* The first file for which match(file, name) is true. */
static bool find_file(bool (*match)(struct slice file, struct slice name), const char *name,
                      struct slice *out)
{
    struct reader r;
    struct slice file;
    reader_init(&r, slice_make(api_descriptor_set, api_descriptor_set_size));
    while (next_bytes(&r, &file) == 1) {
        if (match(file, slice_str(name))) {
            *out = file;
            return true;
        }
    }
    return false;
}

static void put_error(struct arena *a, reflection_response *out, const char *what, const char *name)
{
    Grpc__Reflection__V1__ErrorResponse *e = arena_alloc(a, sizeof(*e));
    grpc__reflection__v1__error_response__init(e);
    e->error_code = 5; /* NOT_FOUND */
    e->error_message = arena_printf(a, "unknown %s \"%.200s\"", what, name);
    out->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    out->error_response = e;
}

static void put_file(struct arena *a, reflection_response *out, struct slice file)
{
    Grpc__Reflection__V1__FileDescriptorResponse *r = arena_alloc(a, sizeof(*r));
    grpc__reflection__v1__file_descriptor_response__init(r);
    r->n_file_descriptor_proto = 1;
    r->file_descriptor_proto = ARENA_ARRAY(a, ProtobufCBinaryData, 1);
    r->file_descriptor_proto[0] = (ProtobufCBinaryData){file.len, (uint8_t *)file.data};
    out->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    out->file_descriptor_response = r;
}

static void put_services(struct arena *a, reflection_response *out, struct grpc_front *g)
{
    Grpc__Reflection__V1__ListServiceResponse *r = arena_alloc(a, sizeof(*r));
    grpc__reflection__v1__list_service_response__init(r);
    size_t n = 0;
    while (grpc_front_service(g, n) != NULL) {
        n++;
    }
    r->n_service = n;
    r->service = ARENA_ARRAY(a, Grpc__Reflection__V1__ServiceResponse *, n);
    for (size_t i = 0; i < n; i++) {
        r->service[i] = ARENA_NEW(a, Grpc__Reflection__V1__ServiceResponse);
        grpc__reflection__v1__service_response__init(r->service[i]);
        r->service[i]->name = arena_strdup(a, grpc_front_service(g, i));
    }
    out->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    out->list_services_response = r;
}

static void answer(struct arena *a, struct grpc_front *g, reflection_request *q,
                   reflection_response *out)
{
    struct slice file;
    switch (q->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        if (find_file(file_is, q->file_by_filename, &file)) {
            put_file(a, out, file);
        } else {
            put_error(a, out, "file", q->file_by_filename);
        }
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        if (find_file(file_has, q->file_containing_symbol, &file)) {
            put_file(a, out, file);
        } else {
            put_error(a, out, "symbol", q->file_containing_symbol);
        }
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        put_services(a, out, g);
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        put_error(a, out, "extension of", q->file_containing_extension->containing_type);
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        put_error(a, out, "extendable type", q->all_extension_numbers_of_type);
        break;
    default:
        put_error(a, out, "request", "");
    }
}

static struct status *reflection_info(struct fiber *f, struct rpc_context *ctx,
                                      struct grpc_stream *stream, void *handler_ctx)
{
    (void)ctx;
    for (;;) {
        struct arena *a = arena_create(64 << 20);
        void *q = NULL;
        struct status *st = grpc_stream_receive(
            f, stream, &grpc__reflection__v1__server_reflection_request__descriptor, a, &q);
        if (st == NULL && q != NULL) {
            reflection_response reply = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
            reply.valid_host = ((reflection_request *)q)->host;
            reply.original_request = q;
            answer(a, handler_ctx, q, &reply);
            st = grpc_stream_send(f, stream, &reply.base);
        }
        arena_destroy(a);
        if (st != NULL || q == NULL) {
            return st;
        }
    }
}

void grpc_reflection_register(struct grpc_front *g)
{
    grpc_front_bidi(g, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", reflection_info,
                    g);
    grpc_front_bidi(g, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                    reflection_info, g);
}
